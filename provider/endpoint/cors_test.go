// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/registration"

	"github.com/go-chi/chi/v5"
)

// Browser applications of registered origins may call what they need, never with
// credentials; others may not.
func TestCORS(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(client.Client{ID: "spa", Name: "SPA", Public: true, RedirectURIs: []string{"https://own.example/cb"}})
	w.AddClient(client.Client{ID: "confidential", Name: "Confidential", RedirectURIs: []string{"https://confidential.example/cb"}})
	tokens, _ := w.Tokens("app", "openid")
	const appOrigin, publicOrigin, otherOrigin = "https://app.example", "https://spa.example", "https://evil.example"
	from := func(origin string) testworld.Change { return testworld.Header("Origin", origin) }
	preflight := func(path, origin string) testworld.Response {
		r := httptest.NewRequest("OPTIONS", testworld.Issuer+path, nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		return w.Do(r)
	}
	refresh := func(origin string) testworld.Response {
		v := testworld.RefreshRequest("x")
		v.Set("client_id", "public")
		return w.Post("/token", v, from(origin))
	}
	userinfo := func(token, origin string) testworld.Response {
		return w.Post("/userinfo", nil, testworld.Bearer(token), from(origin))
	}
	revoke := w.Post("/revoke", url.Values{"token": {"x"}, "client_id": {"public"}}, from(publicOrigin))
	basic := testworld.Basic("app", testworld.Secret)
	introspect := w.Post("/introspect", url.Values{"token": {"x"}}, basic, from(appOrigin))
	for _, row := range []struct {
		what     string
		response testworld.Response
		want     string // the origin that is allowed, "" for none
	}{
		{"preflight token", preflight("/token", publicOrigin), publicOrigin},
		{"preflight userinfo", preflight("/userinfo", appOrigin), appOrigin},
		{"preflight revoke", preflight("/revoke", appOrigin), appOrigin},
		{"preflight of a public client's redirect URI", preflight("/token", "https://own.example"), "https://own.example"},
		{"preflight of a confidential client's redirect URI", preflight("/token", "https://confidential.example"), ""},
		{"preflight of a redirect URI beside other origins", preflight("/token", "http://127.0.0.1"), ""},
		{"preflight of another origin", preflight("/token", otherOrigin), ""},
		{"preflight of null", preflight("/token", "null"), ""},
		{"preflight introspect", preflight("/introspect", appOrigin), ""},
		{"preflight authorize", preflight("/authorize", appOrigin), ""},
		{"preflight logout", preflight("/logout", appOrigin), ""},
		{"token", refresh(publicOrigin), publicOrigin},
		{"token, another client's origin", refresh(appOrigin), ""},
		{"token, another origin", refresh(otherOrigin), ""},
		{"revoke", revoke, publicOrigin},
		{"userinfo", userinfo(tokens.Access, appOrigin), appOrigin},
		{"userinfo, another client's origin", userinfo(tokens.Access, publicOrigin), ""},
		{"userinfo refused", userinfo("x", publicOrigin), publicOrigin},
		{"userinfo refused, another origin", userinfo("x", otherOrigin), ""},
		{"introspect", introspect, ""},
		{"authorize", w.Post("/authorize", testworld.AuthRequest("app"), from(appOrigin)), ""},
		{"discovery", w.Get("/.well-known/openid-configuration"), "*"},
		{"JWKS", w.Get("/jwks"), "*"},
		{"preflight JWKS", preflight("/jwks", otherOrigin), "*"},
	} {
		t.Run(row.what, func(t *testing.T) {
			h := row.response.Header
			if got := h.Get("Access-Control-Allow-Origin"); got != row.want {
				t.Errorf("Access-Control-Allow-Origin: got %q, want %q", got, row.want)
			}
			if got := h.Get("Access-Control-Allow-Credentials"); got != "" {
				t.Errorf("Access-Control-Allow-Credentials: got %q, want none", got)
			}
			if vary := h.Get("Vary"); row.want != "" && row.want != "*" && !strings.Contains(vary, "Origin") {
				t.Errorf("Vary: got %q, want Origin in it", vary)
			}
		})
	}
}

// No endpoint but these answers pages of other origins, whatever they send and whoever they
// are, and none ever with credentials (Fetch §3.2).
func TestThreat_NothingElseAnswersAcrossOrigins(t *testing.T) {
	const registrar = "https://registrar.example"
	w := testworld.New(t, testworld.EveryResponseType, testworld.WithDevices, func(c *testworld.Config) {
		c.Provider.Registration = registration.Policy{
			Mode: registration.Open, Origins: []string{registrar}, Network: testworld.Wide, Deployment: testworld.Wide, Most: 1000,
		}
	})
	tokens, session := w.Tokens("app", "openid")
	anyone := []string{"*"}
	clients := []string{"https://app.example", "https://spa.example"}
	allowed := map[string][]string{
		"/.well-known/openid-configuration":       anyone,
		"/.well-known/oauth-authorization-server": anyone,
		"/.well-known/webfinger":                  anyone, // RFC 7033 §5
		"/jwks":                                   anyone,
		"/token":                                  clients,
		"/userinfo":                               clients,
		"/revoke":                                 clients,
		"/register":                               {registrar},
		"/register/{client_id}":                   {registrar},
	}
	seen := map[string]bool{}
	err := chi.Walk(w.Handler.(chi.Routes), func(_, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if seen[route] {
			return nil
		}
		seen[route] = true
		target := strings.ReplaceAll(route, "{client_id}", "x")
		for _, origin := range append([]string{registrar, "https://evil.example", "null", testworld.Issuer, "https://app.example.evil.example"}, clients...) {
			for _, method := range []string{"OPTIONS", "GET", "POST", "PUT", "DELETE", "HEAD"} {
				for _, body := range []string{"", "client_id=public&token=x&client_id=app", "client_id=public&grant_type=refresh_token&refresh_token=x"} {
					r := httptest.NewRequest(method, testworld.Issuer+target, strings.NewReader(body))
					r.Header.Set("Origin", origin)
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					r.Header.Set("Access-Control-Request-Method", "POST")
					r.Header.Set("Access-Control-Request-Headers", "authorization")
					testworld.Bearer(tokens.Access)(r)
					r.AddCookie(session)
					h := w.Do(r).Header
					got := h.Get("Access-Control-Allow-Origin")
					if got != "" && (!slices.Contains(allowed[route], got) || got != "*" && got != origin) {
						t.Errorf("%s %s from %s: got Access-Control-Allow-Origin %s, want one of %v", method, route, origin, got, allowed[route])
					}
					if h.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s %s from %s: got Access-Control-Allow-Credentials", method, route, origin)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for route := range allowed {
		if !seen[route] {
			t.Errorf("%s is not there", route)
		}
	}
}
