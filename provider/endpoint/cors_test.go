package endpoint_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
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
