// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// One thing is wrong in each row; after it the code is still good for its
// client.
func TestCodeExchangeRefuses(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	set := func(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
	for _, row := range []struct {
		what   string
		change func(url.Values)
		auth   func(*http.Request)
		status int
		code   string
	}{
		{"wrong secret", nil, testworld.Basic("app", "wrong"), 401, "invalid_client"},
		{"empty secret", nil, testworld.Basic("app", ""), 401, "invalid_client"},
		{"unknown client", nil, testworld.Basic("nobody", testworld.Secret), 401, "invalid_client"},
		{"no client", nil, nil, 401, "invalid_client"},
		{"client without its secret", set("client_id", "app"), nil, 401, "invalid_client"},
		{"Bearer instead of Basic", nil, testworld.Bearer("x"), 401, "invalid_client"},
		{"malformed Basic", nil, func(r *http.Request) { r.Header.Set("Authorization", "Basic !!") }, 401, "invalid_client"},
		{"Basic with a broken escape", nil, func(r *http.Request) { r.SetBasicAuth("app%zz", testworld.Secret) }, 401, "invalid_client"},
		{"an assertion beside Basic", set("client_assertion", "x"), testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"Basic and post", func(v url.Values) { v.Set("client_id", "app"); v.Set("client_secret", testworld.Secret) }, testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"secret in the body beside Basic", set("client_secret", testworld.Secret), testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"two client_ids", set("client_id", "old"), testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"another client", nil, testworld.Basic("old", testworld.Secret), 400, "invalid_grant"},
		{"no grant_type", func(v url.Values) { v.Del("grant_type") }, testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"implicit", set("grant_type", "implicit"), testworld.Basic("app", testworld.Secret), 400, "unsupported_grant_type"},
		{"password", set("grant_type", "password"), testworld.Basic("app", testworld.Secret), 400, "unsupported_grant_type"},
		{"client_credentials", set("grant_type", "client_credentials"), testworld.Basic("app", testworld.Secret), 400, "unsupported_grant_type"},
		{"jwt-bearer", set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), testworld.Basic("app", testworld.Secret), 400, "unsupported_grant_type"},
		{"token exchange", set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), testworld.Basic("app", testworld.Secret), 400, "unsupported_grant_type"},
		{"device code", set("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), testworld.Basic("app", testworld.Secret), 400, "unsupported_grant_type"},
		{"a resource", set("resource", "https://api.example"), testworld.Basic("app", testworld.Secret), 400, "invalid_target"},
		{"no code", func(v url.Values) { v.Del("code") }, testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"an unknown code", set("code", "nonsense"), testworld.Basic("app", testworld.Secret), 400, "invalid_grant"},
		{"no redirect_uri", func(v url.Values) { v.Del("redirect_uri") }, testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"another redirect_uri", set("redirect_uri", "https://app.example/cb/"), testworld.Basic("app", testworld.Secret), 400, "invalid_grant"},
		{"no verifier", func(v url.Values) { v.Del("code_verifier") }, testworld.Basic("app", testworld.Secret), 400, "invalid_grant"},
		{"another verifier", set("code_verifier", strings.Repeat("a", 43)), testworld.Basic("app", testworld.Secret), 400, "invalid_grant"},
		{"the challenge as verifier", set("code_verifier", testworld.PKCEChallenge(testworld.Verifier)), testworld.Basic("app", testworld.Secret), 400, "invalid_grant"},
		{"a parameter twice", func(v url.Values) { v.Add("code_verifier", testworld.Verifier) }, testworld.Basic("app", testworld.Secret), 400, "invalid_request"},
		{"too large", set("x", strings.Repeat("x", 40000)), testworld.Basic("app", testworld.Secret), 413, "invalid_request"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := w.In(t)
			code := w.Code(session, "app")
			v := testworld.CodeRequest("app", code)
			if row.change != nil {
				row.change(v)
			}
			auth := row.auth
			if auth == nil {
				auth = testworld.Unchanged
			}
			a := w.Post("/token", v, auth)
			wantTokenError(t, a, row.status, row.code)
			w.Exchange("app", code).WantStatus(t, "redeeming the code afterwards", 200)
		})
	}
}

// wantTokenError fails the test unless the response is this error, as the token
// endpoint sends it (RFC 6749 §5.2).
func wantTokenError(t *testing.T, a testworld.Response, status int, code string) {
	t.Helper()
	a.WantOAuthError(t, "token request", status, code)
	if a.Header.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		t.Errorf("token request: got headers %v, want JSON and no-store", a.Header)
	}
	challenge := a.Header.Get("WWW-Authenticate")
	if want := status == 401; strings.HasPrefix(challenge, "Basic ") != want {
		t.Errorf("token request: got WWW-Authenticate %q, want Basic %v", challenge, want)
	}
}

// A second use of a code is refused, and revokes what the first one issued (RFC
// 6749 §4.1.2).
func TestInvariant9_CodeReuseRevokes(t *testing.T) {
	w := testworld.New(t)
	done, _ := w.SignIn(testworld.AuthRequest("app", "scope", testworld.AllScopes), testworld.Number)
	code := testworld.Param(done.Response, "code")
	got := testworld.TokensIn(t, w.Exchange("app", code))
	w.Exchange("app", code).WantOAuthError(t, "the second use", 400, "invalid_grant")
	w.Userinfo(got.Access).WantStatus(t, "userinfo after the second use", 401)
	w.Refresh("app", got.Refresh).WantStatus(t, "refreshing after the second use", 400)
}

// It does so whichever client presents the code: one that has it should not.
func TestInvariant9_CodeReuseByAnotherClientRevokes(t *testing.T) {
	w := testworld.New(t)
	done, session := w.SignIn(testworld.AuthRequest("app", "scope", testworld.AllScopes), testworld.Number)
	code := testworld.Param(done.Response, "code")
	got := testworld.TokensIn(t, w.Exchange("app", code))
	other := func(code string) testworld.Response {
		return w.Post("/token", testworld.CodeRequest("app", code), testworld.Basic("old", testworld.Secret))
	}
	other(code).WantOAuthError(t, "another client's use", 400, "invalid_grant")
	w.Userinfo(got.Access).WantStatus(t, "userinfo after another client's use", 401)
	// Before its client has used it, another client can do nothing to it.
	code = w.Code(session, "app")
	other(code).WantOAuthError(t, "another client's first use", 400, "invalid_grant")
	w.Exchange("app", code).WantStatus(t, "the client's own use", 200)
}

// A second use tells of a theft: the audit has whose grant it was, and who tried. Another
// refusal is logged, and is none.
func TestThreat_ASecondUseIsAudited(t *testing.T) {
	w := testworld.New(t)
	done, session := w.SignIn(testworld.AuthRequest("app", "scope", testworld.AllScopes), testworld.Number)
	sub := w.Claim(session, "sub")
	code := testworld.Param(done.Response, "code")
	first := testworld.TokensIn(t, w.Exchange("app", code))
	grantID, _, _ := strings.Cut(first.Refresh, ".")
	check := func(what, event string, want map[string]any) {
		t.Helper()
		for _, name := range []string{"grant.reused", "grant refused"} {
			events := w.Events(name)
			if (name == event) != (len(events) == 1) || len(events) > 1 {
				t.Errorf("%s: got %v of %s, want one %s", what, events, name, event)
				continue
			}
			if name == event {
				testworld.WantMembers(t, what, events[0], want)
			}
		}
		w.Log.Reset()
	}
	w.Log.Reset()
	w.Exchange("app", "no code").WantStatus(t, "an unknown code", 400)
	check("an unknown code", "grant refused", map[string]any{"kind": "code", "client": "app"})
	w.Post("/token", testworld.CodeRequest("app", code), testworld.Basic("old", testworld.Secret)).WantStatus(t, "a used code", 400)
	check("a used code", "grant.reused", map[string]any{"kind": "code", "client": "old", "grant": grantID, "sub": sub})

	second := w.CodeTokens(session, "app", "scope", testworld.AllScopes)
	grantID, _, _ = strings.Cut(second.Refresh, ".")
	next := testworld.TokensIn(t, w.Refresh("app", second.Refresh)).Refresh
	testworld.TokensIn(t, w.Refresh("app", next))
	w.Log.Reset()
	w.Refresh("app", second.Refresh).WantStatus(t, "an old refresh token", 400)
	check("an old refresh token", "grant.reused", map[string]any{"kind": "refresh_token", "client": "app", "grant": grantID, "sub": sub})
	w.Refresh("app", next).WantStatus(t, "a revoked refresh token", 400)
	check("a revoked refresh token", "grant refused", map[string]any{"kind": "refresh_token", "client": "app", "grant": grantID})
}

func TestInvariant9_CodeIsRedeemedOnceWhenMany(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	for range 20 {
		code := w.Code(session, "app")
		responses := make([]testworld.Response, 8)
		var all sync.WaitGroup
		for i := range responses {
			all.Go(func() { responses[i] = w.Exchange("app", code) })
		}
		all.Wait()
		redeemed := 0
		for _, a := range responses {
			if a.StatusCode == 200 {
				redeemed++
				continue
			}
			a.WantOAuthError(t, "one of many", 400, "invalid_grant")
		}
		if redeemed != 1 {
			t.Fatalf("redeeming a code %d times at once: got it redeemed %d times, want 1", len(responses), redeemed)
		}
	}
}

// Libraries add the slash of an empty path, or remove it, between registration,
// request and redemption (RFC 3986 §6.2.3).
func TestCodeOfARedirectURIWithoutAPath(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(client.Client{ID: "spa", Name: "SPA", Public: true, RedirectURIs: []string{"https://spa.example.com", "http://127.0.0.1"}})
	_, session := w.Tokens("app", "openid")
	for _, row := range []struct{ requested, redeemed string }{
		{"https://spa.example.com", "https://spa.example.com"},
		{"https://spa.example.com/", "https://spa.example.com"},
		{"https://spa.example.com", "https://spa.example.com/"},
		{"http://127.0.0.1:35287", "http://127.0.0.1:35287/"},
	} {
		request := testworld.AuthRequest("spa", "redirect_uri", row.requested)
		a := w.Get("/authorize?"+request.Encode(), session)
		if to, _ := a.Redirect(); to != row.requested {
			t.Errorf("response to %s: got %v, want it there", row.requested, a)
		}
		v := testworld.CodeRequest("spa", a.Code())
		v.Set("client_id", "spa")
		v.Set("redirect_uri", row.redeemed+"x")
		w.Post("/token", v).WantOAuthError(t, "another redirect_uri", 400, "invalid_grant")
		v.Set("redirect_uri", row.redeemed)
		w.Post("/token", v).WantStatus(t, "redeeming for "+row.redeemed, 200)
	}
}
