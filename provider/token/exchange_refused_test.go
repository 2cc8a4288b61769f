// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider"
	"calleridp/provider/grant"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// One thing is wrong in each row. None of them reaches Truecaller, and after it
// the code is still good.
func TestTokenExchangeRefuses(t *testing.T) {
	long := strings.Repeat("a", 3000)
	for _, row := range []struct {
		what   string
		form   url.Values
		auth   func(*http.Request)
		status int
		code   string
	}{
		{"no subject_token", testworld.ExchangeRequest("native", "subject_token", "-"), nil, 400, "invalid_request"},
		{"an empty subject_token", testworld.ExchangeRequest("native", "subject_token", ""), nil, 400, "invalid_request"},
		{"a subject_token with a space", testworld.ExchangeRequest("native", "subject_token", "a b"), nil, 400, "invalid_request"},
		{"a long subject_token", testworld.ExchangeRequest("native", "subject_token", long), nil, 400, "invalid_request"},
		{"no subject_token_type", testworld.ExchangeRequest("native", "subject_token_type", "-"), nil, 400, "invalid_request"},
		{"an ID token's type", testworld.ExchangeRequest("native", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), nil, 400, "invalid_request"},
		{"a JWT's type", testworld.ExchangeRequest("native", "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), nil, 400, "invalid_request"},
		{"our own access token's type", testworld.ExchangeRequest("native", "subject_token_type", testworld.AccessTokenType), nil, 400, "invalid_request"},
		{"no code_verifier", testworld.ExchangeRequest("native", "code_verifier", "-"), nil, 400, "invalid_request"},
		{"a short code_verifier", testworld.ExchangeRequest("native", "code_verifier", testworld.Verifier[:42]), nil, 400, "invalid_request"},
		{"a code_verifier with a plus", testworld.ExchangeRequest("native", "code_verifier", testworld.Verifier+"+"), nil, 400, "invalid_request"},
		{"an actor_token", testworld.ExchangeRequest("native", "actor_token", "x", "actor_token_type", testworld.AccessTokenType), nil, 400, "invalid_request"},
		{"an actor_token alone", testworld.ExchangeRequest("native", "actor_token", "x"), nil, 400, "invalid_request"},
		{"an actor_token_type alone", testworld.ExchangeRequest("native", "actor_token_type", testworld.AccessTokenType), nil, 400, "invalid_request"},
		{"another requested_token_type", testworld.ExchangeRequest("native", "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), nil, 400, "invalid_request"},
		{"an audience", testworld.ExchangeRequest("native", "audience", "https://api.example"), nil, 400, "invalid_target"},
		{"a resource", testworld.ExchangeRequest("native", "resource", "https://api.example"), nil, 400, "invalid_target"},
		{"two resources", url.Values{"resource": {"https://a.example", "https://b.example"}}, nil, 400, "invalid_target"},
		{"two audiences", url.Values{"audience": {"a", "b"}}, nil, 400, "invalid_target"},
		{"subject_token twice", url.Values{"subject_token": {testworld.SDKCode, testworld.SDKCode}}, nil, 400, "invalid_request"},
		{"code_verifier twice", url.Values{"code_verifier": {testworld.Verifier, testworld.Verifier}}, nil, 400, "invalid_request"},
		{"grant_type twice", url.Values{"grant_type": {testworld.ExchangeGrant, testworld.ExchangeGrant}}, nil, 400, "invalid_request"},
		{"scope twice", url.Values{"scope": {"openid", "phone"}}, nil, 400, "invalid_request"},
		{"no client", testworld.ExchangeRequest("native", "client_id", "-"), nil, 401, "invalid_client"},
		{"an unknown client", testworld.ExchangeRequest("nobody"), nil, 401, "invalid_client"},
		{"a public client with a secret", testworld.ExchangeRequest("native", "client_secret", "x"), nil, 401, "invalid_client"},
		{"a confidential client without its secret", testworld.ExchangeRequest("backend"), nil, 401, "invalid_client"},
		{"a confidential client with a wrong one", testworld.ExchangeRequest("backend"), testworld.Basic("backend", "wrong"), 401, "invalid_client"},
		{"an assertion", testworld.ExchangeRequest("native", "client_assertion", "x"), nil, 401, "invalid_client"},
		{"a client that is not native", testworld.ExchangeRequest("app", "client_id", "-"), testworld.Basic("app", testworld.Secret), 400, "unauthorized_client"},
		{"a public client that is not native", testworld.ExchangeRequest("public"), nil, 400, "unauthorized_client"},
		{"a web client of the same Truecaller app", testworld.ExchangeRequest("web-of-nat", "client_id", "-"), testworld.Basic("web-of-nat", testworld.Secret), 400, "unauthorized_client"},
		{"a native client of an app without a client id", testworld.ExchangeRequest("native-lost"), nil, 400, "unauthorized_client"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w, oauth := testworld.NewNative(t)
			form := row.form
			if form.Get("client_id") == "" && row.status == 400 && row.auth == nil { // a change of the usual
				form = testworld.ExchangeRequest("native")
				maps.Copy(form, row.form)
			}
			auth := row.auth
			if auth == nil {
				auth = testworld.Unchanged
			}
			a := w.Post("/token", form, auth)
			wantTokenError(t, a, row.status, row.code)
			if a.Member("error_description") == "" {
				t.Errorf("got %v, want a description", a)
			}
			if codes := oauth.Codes(); len(codes) != 0 {
				t.Errorf("codes sent to Truecaller: got %v, want none", codes)
			}
			w.NativeTokens("native")
			w.WantNotLogged(testworld.SDKCode, testworld.Verifier, long)
		})
	}
	w, oauth := testworld.NewNative(t)
	for _, name := range []string{"subject_token", "code_verifier", "actor_token"} {
		w.Post("/token?"+url.Values{name: {"x"}}.Encode(), testworld.ExchangeRequest("native")).
			WantStatus(t, name+" in the URL", 400)
	}
	if codes := oauth.Codes(); len(codes) != 0 {
		t.Errorf("codes sent to Truecaller: got %v, want none", codes)
	}
	w.Get("/token?"+testworld.ExchangeRequest("native").Encode()).WantStatus(t, "GET", 405)
}

// Truecaller's errors, and what the application gets: a wrong subject token is an
// invalid_request (RFC 8693 §2.2.2).
func TestTokenExchangeTellsTruecallersErrors(t *testing.T) {
	for _, row := range []struct {
		exchange, userinfo error
		status             int
		code, says         string
	}{
		{truecaller.ErrCodeRefused, nil, 400, "invalid_request", "subject_token"},
		{truecaller.ErrClientIDRefused, nil, 500, "server_error", "reference"},
		{truecaller.ErrExchange, nil, 500, "server_error", "reference"},
		{truecaller.ErrExchangeUnavailable, nil, 503, "temporarily_unavailable", "Truecaller"},
		{nil, truecaller.ErrUnauthorized, 400, "invalid_request", "subject_token"},
		{nil, truecaller.ErrNoOpenID, 400, "invalid_request", "scope openid"},
		{nil, truecaller.ErrNoNumber, 400, "invalid_request", "scope phone"},
		{nil, truecaller.ErrUnverified, 400, "invalid_request", "verified"},
		{nil, truecaller.ErrNoProfile, 400, "invalid_request", "profile"},
		{nil, truecaller.ErrProfile, 500, "server_error", "reference"},
		{nil, truecaller.ErrProfileUnavailable, 503, "temporarily_unavailable", "Truecaller"},
	} {
		t.Run(fmt.Sprint(row.exchange, row.userinfo), func(t *testing.T) {
			w, oauth := testworld.NewNative(t)
			secretly := errors.New("what only the log may have")
			if row.exchange != nil {
				oauth.ExchangeErr = fmt.Errorf("%w: %w", row.exchange, secretly)
			} else {
				oauth.UserinfoErr = fmt.Errorf("%w: %w", row.userinfo, secretly)
			}
			a := w.Post("/token", testworld.ExchangeRequest("native"))
			a.WantOAuthError(t, "token exchange", row.status, row.code)
			if says := a.Member("error_description"); !strings.Contains(says, row.says) ||
				strings.Contains(a.Text, secretly.Error()) || len(a.JSON()) != 2 {
				t.Errorf("got %v, want a description with %q and nothing secret", a, row.says)
			}
			if after, want := a.Header.Get("Retry-After"), row.status == 503; (after != "") != want {
				t.Errorf("Retry-After: got %q, want one %v", after, want)
			}
			for _, want := range []string{secretly.Error(), `"attempt.failed"`} {
				if !strings.Contains(w.Log.Text(), want) {
					t.Errorf("log: got\n%s\nwant %s", w.Log.Text(), want)
				}
			}
			w.WantNotLogged(testworld.SDKCode, testworld.Verifier)
		})
	}
}

// While Truecaller is down, an application gets the time to try again, and its
// code is still good if it was not sent.
func TestTokenExchangeWhileTruecallerIsDown(t *testing.T) {
	w, oauth := testworld.NewNative(t)
	down := &truecaller.Unavailable{
		Purpose: truecaller.ForToken,
		Host:    "oauth.example",
		RetryAt: time.Now().Add(25 * time.Second),
	}
	oauth.Down = down
	a := w.Post("/token", testworld.ExchangeRequest("native"))
	a.WantOAuthError(t, "before the code is sent", 503, "temporarily_unavailable")
	if after := a.Header.Get("Retry-After"); after != "25" || !strings.Contains(a.Text, "still good") {
		t.Errorf("before the code is sent: got Retry-After %q and %v, want 25 and a code that is still good", after, a)
	}
	oauth.Down = nil
	w.NativeTokens("native")

	oauth.UserinfoErr = fmt.Errorf("%w: %w", truecaller.ErrProfileUnavailable, down)
	a = w.Post("/token", testworld.ExchangeRequest("native", "subject_token", "other"))
	if after := a.Header.Get("Retry-After"); a.StatusCode != 503 || after != "25" ||
		strings.Contains(a.Text, "still good") {
		t.Errorf("at the profile: got Retry-After %q and %v, want 503, 25 and a used code", after, a)
	}
}

// overtaken is an engine whose native sign-ins return err.
type overtaken struct {
	provider.Engine
	err error
}

func (o overtaken) Native(
	context.Context, login.NativeRequest, func(login.Attempt, truecaller.Profile) (grant.Redemption, error),
) (login.NativeSignIn, error) {
	return login.NativeSignIn{}, o.err
}

// The application learns what happened to a sign-in while it waited; an internal
// error is hidden.
func TestTokenExchangeThatIsOvertaken(t *testing.T) {
	for _, row := range []struct {
		what   string
		err    error
		status int
		code   string
	}{
		{"the user was deleted", subject.ErrNotFound, 400, "invalid_request"},
		{"the attempt has changed", login.ErrState, 503, "temporarily_unavailable"},
		{"an internal error", errors.New("the disk is full"), 500, "server_error"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w, _ := testworld.NewNative(t, func(c *testworld.Config) {
				c.WrapEngine = func(e *login.Engine) provider.Engine { return overtaken{e, row.err} }
			})
			a := w.Post("/token", testworld.ExchangeRequest("native"))
			a.WantOAuthError(t, "token exchange", row.status, row.code)
			if strings.Contains(a.Text, row.err.Error()) {
				t.Errorf("token exchange: got %v, want no cause", a)
			}
		})
	}
}

// A developer reads what is missing, not what is wrong with nothing.
func TestTokenExchangeSaysWhatIsMissing(t *testing.T) {
	w, _ := testworld.NewNative(t)
	for _, name := range []string{"subject_token", "subject_token_type", "code_verifier"} {
		a := w.Post("/token", testworld.ExchangeRequest("native", name, "-"))
		if says := a.Member("error_description"); !strings.HasPrefix(says, name+" is missing") {
			t.Errorf("without %s: got %q, want it to be missing", name, says)
		}
	}
}

// A client whose Truecaller app has left the configuration is our own fault.
func TestTokenExchangeWithoutItsApp(t *testing.T) {
	w, oauth := testworld.NewNative(t, func(c *testworld.Config) {
		apps := maps.Clone(c.Provider.Apps.ByID)
		apps["another"] = apps["nat"]
		delete(apps, "nat")
		c.Provider.Apps.ByID = apps
	})
	w.Post("/token", testworld.ExchangeRequest("native")).WantOAuthError(t, "token exchange", 500, "server_error")
	if codes := oauth.Codes(); len(codes) != 0 {
		t.Errorf("codes sent to Truecaller: got %v, want none", codes)
	}
}
