// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// A request whose client or redirect URI cannot be trusted gets an error page; one
// with another mistake goes back to the client with an error, iss and state. That
// holds for every prompt, with a session and without.
func TestAuthorizeRefuses(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	long := strings.Repeat("s", 4096)
	for _, row := range []struct {
		what   string
		client string
		pairs  []string
		raw    string // added to the query as it is
		want   string // "page kind" or the error
	}{
		{"no client", "app", []string{"client_id", "-"}, "", "page bad_request"},
		{"unknown client", "app", []string{"client_id", "nobody"}, "", "page unknown_client"},
		{"a malformed client_id", "app", []string{"client_id", "a b\x00/"}, "", "page unknown_client"},
		{"two clients", "app", nil, "&client_id=old", "page bad_request"},
		{"the same client twice", "app", nil, "&client_id=app", "page bad_request"},
		{"no redirect_uri", "app", []string{"redirect_uri", "-"}, "", "page redirect_uri"},
		{"two redirect_uris", "app", nil, "&redirect_uri=https%3A%2F%2Fapp.example%2Fcb", "page bad_request"},
		{"trailing slash", "app", []string{"redirect_uri", "https://app.example/cb/"}, "", "page redirect_uri"},
		{"another case", "app", []string{"redirect_uri", "https://app.example/CB"}, "", "page redirect_uri"},
		{"upper case host", "app", []string{"redirect_uri", "https://APP.example/cb"}, "", "page redirect_uri"},
		{"default port", "app", []string{"redirect_uri", "https://app.example:443/cb"}, "", "page redirect_uri"},
		{"longer path", "app", []string{"redirect_uri", "https://app.example/cb/../evil"}, "", "page redirect_uri"},
		{"added query", "app", []string{"redirect_uri", "https://app.example/cb?x=1"}, "", "page redirect_uri"},
		{"fragment", "app", []string{"redirect_uri", "https://app.example/cb#x"}, "", "page redirect_uri"},
		{"encoded twice", "app", []string{"redirect_uri", "https%3A%2F%2Fapp.example%2Fcb"}, "", "page redirect_uri"},
		{"percent in the path", "app", []string{"redirect_uri", "https://app.example/%63b"}, "", "page redirect_uri"},
		{"javascript", "app", []string{"redirect_uri", "javascript:alert(1)"}, "", "page redirect_uri"},
		{"another client's", "app", []string{"redirect_uri", "https://old.example/cb"}, "", "page redirect_uri"},
		{"a space after", "app", []string{"redirect_uri", "https://app.example/cb "}, "", "page redirect_uri"},
		{"an invalid port", "public", []string{"redirect_uri", "http://127.0.0.1:99999/cb"}, "", "page redirect_uri"},
		{"user name before the loopback address", "public", []string{"redirect_uri", "http://127.0.0.1:80@evil.example/cb"}, "", "page redirect_uri"},
		{"localhost for the loopback address", "public", []string{"redirect_uri", "http://localhost:8000/cb"}, "", "page redirect_uri"},
		{"another path on the loopback address", "public", []string{"redirect_uri", "http://127.0.0.1:8000/other"}, "", "page redirect_uri"},
		{"a client_id that is not UTF-8", "app", []string{"client_id", "app\xe9"}, "", "page unknown_client"},
		{"a redirect_uri that is not UTF-8", "app", []string{"redirect_uri", "https://app.example/cb\xe9"}, "", "page redirect_uri"},
		{"too long", "app", []string{"x", strings.Repeat("x", 40000)}, "", "page too_large"},

		{"no response_type", "app", []string{"response_type", "-"}, "", "invalid_request"},
		{"empty response_type", "app", []string{"response_type", ""}, "", "invalid_request"},
		{"token", "app", []string{"response_type", "token"}, "", "unsupported_response_type"},
		{"id_token", "app", []string{"response_type", "id_token"}, "", "unsupported_response_type"},
		{"hybrid", "app", []string{"response_type", "code id_token"}, "", "unsupported_response_type"},
		{"none", "app", []string{"response_type", "none"}, "", "unsupported_response_type"},
		{"unknown mode", "app", []string{"response_mode", "carrier_pigeon"}, "", "invalid_request"},
		{"two modes", "app", nil, "&response_mode=query&response_mode=form_post", "invalid_request"},
		{"no scope", "app", []string{"scope", "-"}, "", "invalid_scope"},
		{"empty scope", "app", []string{"scope", ""}, "", "invalid_scope"},
		{"scope without openid", "app", []string{"scope", "profile"}, "", "invalid_scope"},
		{"scope like openid", "app", []string{"scope", "openid2 OPENID"}, "", "invalid_scope"},
		{"two scopes", "app", nil, "&scope=openid", "invalid_request"},
		{"a nonce that is not UTF-8", "app", []string{"nonce", "\xe9"}, "", "invalid_request"},
		{"a response_type that is not UTF-8", "app", []string{"response_type", "code\xe9"}, "", "unsupported_response_type"},
		{"a max_age that is not UTF-8", "app", []string{"max_age", "\xe9"}, "", "invalid_request"},
		{"two nonces", "app", nil, "&nonce=2", "invalid_request"},
		{"two of something unknown", "app", nil, "&zzz=1&zzz=2", "invalid_request"},
		{"request object", "app", []string{"request", "eyJhbGciOiJub25lIn0.e30."}, "", "request_not_supported"},
		{"request_uri", "app", []string{"request_uri", "https://app.example/r"}, "", "request_uri_not_supported"},
		{"registration", "app", []string{"registration", "{}"}, "", "registration_not_supported"},
		{"a resource", "app", []string{"resource", "https://api.example"}, "", "invalid_target"},
		{"two resources", "app", nil, "&resource=&resource=https://api.example", "invalid_target"},
		{"no PKCE", "app", []string{"code_challenge", "-", "code_challenge_method", "-"}, "", "invalid_request"},
		{"no PKCE, public", "public", []string{"code_challenge", "-", "code_challenge_method", "-"}, "", "invalid_request"},
		{"a method without a challenge", "old", []string{"code_challenge", "-"}, "", "invalid_request"},
		{"a challenge without a method", "app", []string{"code_challenge_method", "-"}, "", "invalid_request"},
		{"a challenge without a method, excused", "old", []string{"code_challenge_method", "-"}, "", "invalid_request"},
		{"plain", "app", []string{"code_challenge_method", "plain"}, "", "invalid_request"},
		{"plain, excused", "old", []string{"code_challenge_method", "plain"}, "", "invalid_request"},
		{"lower case method", "app", []string{"code_challenge_method", "s256"}, "", "invalid_request"},
		{"short challenge", "app", []string{"code_challenge", testworld.PKCEChallenge(testworld.Verifier)[:42]}, "", "invalid_request"},
		{"long challenge", "app", []string{"code_challenge", testworld.PKCEChallenge(testworld.Verifier) + "A"}, "", "invalid_request"},
		{"padded challenge", "app", []string{"code_challenge", testworld.PKCEChallenge(testworld.Verifier) + "="}, "", "invalid_request"},
		{"challenge of another alphabet", "app", []string{"code_challenge", strings.Repeat("+", 43)}, "", "invalid_request"},
		{"max_age that is no number", "app", []string{"max_age", "soon"}, "", "invalid_request"},
		{"long state comes back with the error", "app", []string{"scope", "email", "state", long}, "", "invalid_scope"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := w.In(t)
			for _, prompt := range []string{"", "none", "login", "consent", "select_account"} {
				for _, cookies := range [][]*http.Cookie{nil, {session}} {
					request := testworld.AuthRequest(row.client, row.pairs...)
					if prompt != "" {
						request.Set("prompt", prompt)
					}
					a := w.Get("/authorize?"+request.Encode()+row.raw, cookies...)
					what := fmt.Sprintf("prompt=%s with %d cookies", prompt, len(cookies))
					if kind, shown := strings.CutPrefix(row.want, "page "); shown {
						page, view := a.Page()
						if page != "error" || view["Kind"] != kind || a.Header.Get("Location") != "" ||
							a.StatusCode < 400 || view["Correlation"] == "" {
							t.Errorf("%s: got %v, want the error page %s", what, a, kind)
						}
					} else {
						got, mode := a.Delivered(), "query"
						if client.InFront(request.Get("response_type")) {
							mode = "fragment"
						}
						if a.StatusCode != 303 || got.Mode != mode || got.Target != testworld.RedirectURI(row.client) ||
							got.Get("error") != row.want || got.Get("error_description") == "" ||
							got.Get("iss") != testworld.Issuer || got.Get("state") != request.Get("state") ||
							got.Get("code") != "" {
							t.Errorf("%s: got %v, want a redirect with error %s, its description, iss and state",
								what, a, row.want)
						}
					}
					if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Set-Cookie") != "" {
						t.Errorf("%s: got headers %v, want no-store and no cookie", what, a.Header)
					}
				}
			}
		})
	}
}

func TestAuthorizeAccepts(t *testing.T) {
	w := testworld.New(t)
	longState, longNonce := strings.Repeat("n/+ä&=", 585), strings.Repeat("n/+ä&=", 146)
	for what, request := range map[string]url.Values{
		"plain":                  testworld.AuthRequest("app"),
		"no state, no nonce":     testworld.AuthRequest("app", "state", "-", "nonce", "-"),
		"long state and nonce":   testworld.AuthRequest("app", "state", longState, "nonce", longNonce),
		"unknown scopes":         testworld.AuthRequest("app", "scope", "openid cheese profile"),
		"unknown parameters":     testworld.AuthRequest("app", "approval_prompt", "force", "access_type", "offline", "OktaAppName", "x", "claims", `{"userinfo":{"name":null}}`),
		"hints of all kinds":     testworld.AuthRequest("app", "login_hint", "nobody@example.com", "acr_values", "1 2", "ui_locales", "sv xx-!!", "display", "touch", "claims_locales", "se"),
		"public, any port":       testworld.AuthRequest("public", "redirect_uri", "http://127.0.0.1:51004/cb"),
		"public, private scheme": testworld.AuthRequest("public"),
		"excused from PKCE":      testworld.AuthRequest("old", "code_challenge", "-", "code_challenge_method", "-"),
		"excused, and uses it":   testworld.AuthRequest("old"),
		"a query of its own":     testworld.AuthRequest("app", "redirect_uri", "https://app.example/cb?with=query"),
		"empty is absent":        testworld.AuthRequest("app", "prompt", "", "max_age", "", "response_mode", "", "request", "", "id_token_hint", ""),
		"query mode":             testworld.AuthRequest("app", "response_mode", "query"),
		"form_post mode":         testworld.AuthRequest("app", "response_mode", "form_post"),
	} {
		t.Run(what, func(t *testing.T) {
			w := w.In(t)
			for method, number := range map[string]string{"GET": "+46701740607", "POST": "+46701740608"} {
				a := w.Get("/authorize?" + request.Encode())
				if method == "POST" { // the query of a POST is ignored
					a = w.Post("/authorize?client_id=old&scope=x", request)
				}
				view := a.WantPage(t, method, "signin")
				done, err := w.Continue(w.SubmitApproved(a, number))
				if err != nil || testworld.Param(done.Response, "state") != request.Get("state") ||
					done.Response.FormPost != (request.Get("response_mode") == "form_post") {
					t.Errorf("signing in after %s: got %+v, %v, want the state in the response mode", method, done, err)
				}
				if view["Phone"] != "" {
					t.Errorf("sign-in page by %s: got the number %v filled in, want none", method, view["Phone"])
				}
			}
		})
	}
}

// A query is read as the URL standard reads forms: what browsers and marketing
// tools put into one is no reason to refuse a sign-in, and state comes back byte by
// byte or not at all.
func TestAuthorizeReadsWhatBrowsersWrite(t *testing.T) {
	w := testworld.New(t)
	for _, row := range []struct{ what, raw, state string }{
		{"a semicolon", "&state=a;b", "a;b"},
		{"a percent sign", "&state=50%off%", "50%off%"},
		{"a broken escape", "&state=%zz%4", "%zz%4"},
		{"a state of Latin letters", "&state=%C3%A9", "é"},
		{"an unknown parameter with a percent sign", "&state=s&utm=50%off", "s"},
		{"an unknown parameter with a semicolon", "&utm=1;state=2&state=s", "s"},
		{"an unknown Latin-1 parameter", "&utm=caf\xe9&%e9=1&state=s", "s"},
		{"a Latin-1 login_hint", "&login_hint=Ren%e9&state=s", "s"},
		{"an unknown Latin-1 scope", "&state=s", "s"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := w.In(t)
			request := testworld.AuthRequest("app", "state", "-")
			if row.what == "an unknown Latin-1 scope" {
				request.Set("scope", "openid caf\xe9")
			}
			r := httptest.NewRequest("GET", testworld.Issuer+"/authorize", nil)
			r.URL.RawQuery = request.Encode() + row.raw
			done, err := w.Continue(w.SubmitApproved(w.Do(r), testworld.Number))
			if err != nil || testworld.Param(done.Response, "state") != row.state {
				t.Errorf("got %+v, %v, want the state %q", done, err, row.state)
			}
		})
	}
	request := testworld.AuthRequest("app", "state", "caf\xe9", "prompt", "none", "response_type", "token")
	query := w.Get("/authorize?" + request.Encode()).Delivered()
	if query.Get("error") != "invalid_request" || query.Has("state") || !strings.Contains(query.Get("error_description"), "state") {
		t.Errorf("a state that is not UTF-8: got %v, want invalid_request without a state", query)
	}
}

// A request without a scope has the client's default (RFC 6749 §3.3); one with a
// scope has that alone.
func TestDefaultScopes(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(client.Client{ID: "default", Name: "Default", Public: true, RedirectURIs: []string{"https://default.example/cb"}, DefaultScopes: []string{"phone", "openid"}})
	_, session := w.Tokens("app", "openid")
	for scope, want := range map[string]string{"-": "openid phone", "": "openid phone", "openid": "openid", "openid profile": "openid profile", "phone": ""} {
		request := testworld.AuthRequest("default", "redirect_uri", "https://default.example/cb", "scope", scope)
		a := w.Get("/authorize?"+request.Encode(), session)
		if _, query := a.Redirect(); want == "" {
			if query.Get("error") != "invalid_scope" {
				t.Errorf("scope %q: got %v, want invalid_scope", scope, a)
			}
			continue
		}
		v := testworld.CodeRequest("default", a.Code())
		v.Set("client_id", "default")
		v.Set("redirect_uri", "https://default.example/cb")
		if got := w.Post("/token", v).Member("scope"); got != want {
			t.Errorf("scope %q: got %q, want %q", scope, got, want)
		}
	}
}

func TestScopesAreTheClients(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("narrow", testworld.AllScopes)
	if got.JSON()["scope"] != "openid phone" || got.Refresh != "" || got.Claims(t)["name"] != nil {
		t.Errorf("all scopes for a client with openid and phone: got %v, want those two", got)
	}
}

// A public client is never excused from PKCE, also if a record says so that is older
// than the rule.
func TestThreat_APublicClientIsNotExcusedFromPKCE(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("odd")
	c.SecretHashes, c.Public, c.WithoutPKCE = nil, true, true
	if err := w.Store.CreateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	a := w.Authorize("app", "client_id", "odd", "code_challenge", "-", "code_challenge_method", "-")
	if got := outcome(t, a); got != "invalid_request" {
		t.Errorf("without a code_challenge: got %s, want invalid_request", got)
	}
	if got := outcome(t, w.Authorize("app", "client_id", "odd")); got != "page" {
		t.Errorf("with one: got %s, want page", got)
	}
}
