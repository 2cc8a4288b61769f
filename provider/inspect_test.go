package provider_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRevocation(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", everything)
	access, refresh := got["access_token"].(string), got["refresh_token"].(string)
	alive := func() (bool, bool) {
		return w.post("/userinfo", nil, bearer(access)).StatusCode == 200,
			w.post("/introspect", url.Values{"token": {refresh}}, basic("app", secret)).json()["active"] == true
	}
	for what, a := range map[string]answer{
		"nonsense":                 w.post("/revoke", url.Values{"token": {"nonsense"}}, basic("app", secret)),
		"another client's access":  w.post("/revoke", url.Values{"token": {access}}, basic("old", secret)),
		"another client's refresh": w.post("/revoke", url.Values{"token": {refresh}}, basic("old", secret)),
		"a public client's try":    w.post("/revoke", url.Values{"token": {refresh}, "client_id": {"public"}}),
	} {
		if a.StatusCode != 200 || a.body != "" && a.body != "null\n" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
		if one, two := alive(); !one || !two {
			t.Fatalf("%s revoked something", what)
		}
	}
	if a := w.post("/revoke", url.Values{"token": {access}}, basic("app", "wrong")); a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("wrong secret: %d", a.StatusCode)
	}
	w.post("/revoke", url.Values{"token": {access}, "token_type_hint": {"refresh_token"}}, basic("app", secret))
	if one, two := alive(); one || !two {
		t.Errorf("revoking the access token: access %v, refresh %v", one, two)
	}
	access = w.refresh("app", refresh).json()["access_token"].(string)
	w.post("/revoke", url.Values{"token": {refresh}}, basic("app", secret))
	if one, two := alive(); one || two {
		t.Errorf("revoking the refresh token: access %v, refresh %v", one, two)
	}
}

func TestIntrospection(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("pair", everything)
	access, refresh := got["access_token"].(string), got["refresh_token"].(string)
	ask := func(token, id, secret string) answer {
		return w.post("/introspect", url.Values{"token": {token}}, basic(id, secret))
	}
	for what, token := range map[string]string{"access": access, "refresh": refresh} {
		a := ask(token, "pair", secret)
		m := a.json()
		if a.StatusCode != 200 || m["active"] != true || m["client_id"] != "pair" || m["iss"] != issuer || m["scope"] != everything || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
		if id := claimsOf(t, got["id_token"]); m["sub"] != id["sub"] {
			t.Errorf("%s: sub %v, in the ID token %v", what, m["sub"], id["sub"])
		}
		if exp := seconds(m["exp"]); time.Until(exp) < 50*time.Minute || seconds(m["iat"]).After(time.Now()) {
			t.Errorf("%s: exp %v", what, exp)
		}
	}
	for what, a := range map[string]answer{
		"nonsense": ask("nonsense", "pair", secret), "another client": ask(access, "app", secret), "another client, refresh": ask(refresh, "app", secret),
		"an ID token": ask(got["id_token"].(string), "pair", secret), "a changed refresh token": ask(refresh+"x", "pair", secret),
	} {
		if a.StatusCode != 200 || strings.TrimSpace(a.body) != `{"active":false}` {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
	next := w.refresh("pair", refresh).json()["refresh_token"].(string)
	if ask(refresh, "pair", secret).json()["active"] != true || ask(next, "pair", secret).json()["active"] != true {
		t.Error("within the grace both refresh tokens are good")
	}
	last := w.refresh("pair", next).json()["refresh_token"].(string)
	if ask(refresh, "pair", secret).json()["active"] != false || ask(last, "pair", secret).json()["active"] != true {
		t.Error("a refresh token that was replaced twice is not active")
	}
	for what, a := range map[string]answer{
		"no secret":     w.post("/introspect", url.Values{"token": {access}, "client_id": {"pair"}}),
		"public client": w.post("/introspect", url.Values{"token": {access}, "client_id": {"public"}}),
		"wrong secret":  ask(access, "pair", "wrong"),
		"bearer":        w.post("/introspect", url.Values{"token": {access}}, bearer(access)),
	} {
		if a.StatusCode != 401 || a.json()["error"] != "invalid_client" || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: %d %v %s", what, a.StatusCode, a.Header, a.body)
		}
	}
}

// Browser applications of registered origins may call what they need, never
// with credentials; others may not.
func TestCORS(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("app", "openid")
	from := func(origin string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Origin", origin) }
	}
	preflight := func(path, origin string) answer {
		r := httptest.NewRequest("OPTIONS", issuer+path, nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		return w.do(r)
	}
	token := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"public"}}
	for _, row := range []struct {
		what string
		a    answer
		want string
	}{
		{"preflight token", preflight("/token", "https://spa.example"), "https://spa.example"},
		{"preflight userinfo", preflight("/userinfo", "https://app.example"), "https://app.example"},
		{"preflight revoke", preflight("/revoke", "https://app.example"), "https://app.example"},
		{"preflight of a stranger", preflight("/token", "https://evil.example"), ""},
		{"preflight of null", preflight("/token", "null"), ""},
		{"preflight introspect", preflight("/introspect", "https://app.example"), ""},
		{"preflight authorize", preflight("/authorize", "https://app.example"), ""},
		{"preflight logout", preflight("/logout", "https://app.example"), ""},
		{"token", w.post("/token", token, from("https://spa.example")), "https://spa.example"},
		{"token, another client's origin", w.post("/token", token, from("https://app.example")), ""},
		{"token, a stranger", w.post("/token", token, from("https://evil.example")), ""},
		{"revoke", w.post("/revoke", url.Values{"token": {"x"}, "client_id": {"public"}}, from("https://spa.example")), "https://spa.example"},
		{"userinfo", w.post("/userinfo", nil, bearer(got["access_token"].(string)), from("https://app.example")), "https://app.example"},
		{"userinfo, another client's origin", w.post("/userinfo", nil, bearer(got["access_token"].(string)), from("https://spa.example")), ""},
		{"userinfo refused", w.post("/userinfo", nil, bearer("x"), from("https://spa.example")), "https://spa.example"},
		{"userinfo refused, a stranger", w.post("/userinfo", nil, bearer("x"), from("https://evil.example")), ""},
		{"introspect", w.post("/introspect", url.Values{"token": {"x"}}, basic("app", secret), from("https://app.example")), ""},
		{"authorize", w.post("/authorize", asked("app"), from("https://app.example")), ""},
		{"discovery", w.get("/.well-known/openid-configuration"), "*"},
		{"JWKS", w.get("/jwks"), "*"},
		{"preflight JWKS", preflight("/jwks", "https://evil.example"), "*"},
	} {
		if got := row.a.Header.Get("Access-Control-Allow-Origin"); got != row.want {
			t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", row.what, got, row.want)
		}
		if row.a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: with credentials", row.what)
		}
		if row.want != "" && row.want != "*" && !strings.Contains(row.a.Header.Get("Vary"), "Origin") {
			t.Errorf("%s: Vary %q", row.what, row.a.Header.Get("Vary"))
		}
	}
}
