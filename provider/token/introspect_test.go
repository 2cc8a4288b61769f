// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/internal/testworld"
)

func TestIntrospection(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("pair", testworld.AllScopes)
	introspect := func(token string) testworld.Response { return w.Introspect(token, "pair", testworld.Secret) }
	for what, token := range map[string]string{"access token": got.Access, "refresh token": got.Refresh} {
		t.Run(what, func(t *testing.T) {
			a := introspect(token)
			if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %v %v, want 200 and no-store", a, a.Header)
			}
			m := a.JSON()
			testworld.WantMembers(t, "the response", m, map[string]any{
				"active":    true,
				"client_id": "pair",
				"iss":       testworld.Issuer,
				"scope":     testworld.AllScopes,
				"sub":       got.Claims(t)["sub"],
			})
			if want := got.Claims(t)["amr"]; want == nil || !reflect.DeepEqual(m["amr"], want) {
				t.Errorf("amr: got %v, want %v of the ID token", m["amr"], want)
			}
			if exp := testworld.Seconds(m["exp"]); time.Until(exp) < 50*time.Minute {
				t.Errorf("exp: got %v, want most of an hour from now", exp)
			}
			if iat := testworld.Seconds(m["iat"]); iat.After(time.Now()) {
				t.Errorf("iat: got %v, want a time in the past", iat)
			}
		})
	}
	for what, a := range map[string]testworld.Response{
		"nonsense":                       introspect("nonsense"),
		"another client's access token":  w.Introspect(got.Access, "app", testworld.Secret),
		"another client's refresh token": w.Introspect(got.Refresh, "app", testworld.Secret),
		"an ID token":                    introspect(got.ID),
		"a changed refresh token":        introspect(got.Refresh + "x"),
	} {
		t.Run(what, func(t *testing.T) {
			if want := `{"active":false}`; a.StatusCode != 200 || strings.TrimSpace(a.Text) != want {
				t.Errorf("got %v, want 200 %s", a, want)
			}
		})
	}
	wantActive := func(what, token string, want bool) {
		t.Helper()
		if got := introspect(token).JSON()["active"]; got != want {
			t.Errorf("%s: got active %v, want %v", what, got, want)
		}
	}
	next := testworld.TokensIn(t, w.Refresh("pair", got.Refresh)).Refresh
	wantActive("the first refresh token within the grace", got.Refresh, true)
	wantActive("its successor", next, true)
	last := testworld.TokensIn(t, w.Refresh("pair", next)).Refresh
	wantActive("a refresh token that was replaced twice", got.Refresh, false)
	wantActive("the third refresh token", last, true)
	introspect("").WantOAuthError(t, "no token", 400, "invalid_request")
	for what, a := range map[string]testworld.Response{
		"no secret":     w.Post("/introspect", url.Values{"token": {got.Access}, "client_id": {"pair"}}),
		"public client": w.Post("/introspect", url.Values{"token": {got.Access}, "client_id": {"public"}}),
		"wrong secret":  w.Introspect(got.Access, "pair", "wrong"),
		"bearer":        w.Post("/introspect", url.Values{"token": {got.Access}}, testworld.Bearer(got.Access)),
	} {
		t.Run(what, func(t *testing.T) {
			a.WantOAuthError(t, "introspection", 401, "invalid_client")
			if challenge := a.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("got WWW-Authenticate %q, want Basic", challenge)
			}
		})
	}
}
