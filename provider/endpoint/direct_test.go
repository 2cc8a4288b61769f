// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
)

// Direct endpoints refuse other methods, secrets in the URL and bodies that are no
// form.
func TestDirectEndpointsRefuse(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", testworld.AllScopes)
	access := got.Access
	basic := testworld.Basic("app", testworld.Secret)
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		t.Run(path, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
				query := "?client_id=app&client_secret=" + testworld.Secret + "&token=" + access
				r := httptest.NewRequest(method, testworld.Issuer+path+query, nil)
				if a := w.Do(r); a.StatusCode != 405 || a.Header.Get("Allow") != "POST" {
					t.Errorf("%s: got %v, Allow %q, want 405 and POST", method, a, a.Header.Get("Allow"))
				}
			}
			for _, query := range []string{
				"client_secret=" + testworld.Secret,
				"token=x",
				"code=x",
				"refresh_token=x",
				"a=50%;b&client%5Fsecret=x",
			} {
				a := w.Post(path+"?"+query, url.Values{"client_id": {"app"}, "token": {access}})
				a.WantOAuthError(t, "the query "+query, 400, "invalid_request")
			}
			for _, kind := range []string{"", "application/json", "multipart/form-data; boundary=x"} {
				a := w.Post(path, url.Values{"token": {access}}, basic, testworld.Header("Content-Type", kind))
				a.WantOAuthError(t, "Content-Type "+kind, 400, "invalid_request")
			}
			w.Post(path, nil, basic).WantOAuthError(t, "without parameters", 400, "invalid_request")
			w.Post(path, url.Values{"token": {strings.Repeat("x", 40_000)}}, basic).
				WantOAuthError(t, "a large body", 413, "invalid_request")
		})
	}
	w.Get("/userinfo").WantStatus(t, "userinfo without a token", 401)
	w.Get("/userinfo?access_token="+access).WantStatus(t, "userinfo with the token in the URL", 401)
}

// noTokens fails to read access tokens.
type noTokens struct{ grant.Store }

func (noTokens) AccessToken(context.Context, grant.TokenHash) (grant.AccessToken, grant.Grant, error) {
	return grant.AccessToken{}, grant.Grant{}, errors.New("the disk is full")
}

// A challenge tells a client to get another token. Our own failure is no reason to.
func TestAFailureHasNoChallenge(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) { c.Provider.Grants = noTokens{c.Provider.Grants} })
	a := w.Userinfo("a-token")
	a.WantOAuthError(t, "userinfo", 500, "server_error")
	if challenge := a.Header.Get("WWW-Authenticate"); challenge != "" {
		t.Errorf("userinfo: got the challenge %s, want none", challenge)
	}
	if challenge := w.Get("/userinfo").Header.Get("WWW-Authenticate"); challenge != `Bearer realm="calleridp"` {
		t.Errorf("userinfo without a token: got the challenge %s, want Bearer without an error", challenge)
	}
	r := httptest.NewRequest("PUT", testworld.Issuer+"/userinfo", nil)
	if a := w.Do(r); a.StatusCode != 405 || a.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("another method: got %v, want 405 without a challenge", a)
	}
}
