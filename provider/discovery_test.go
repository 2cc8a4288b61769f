package provider_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider"
)

// What the document lists works, and what it does not list does not work.
func TestDiscoveryTellsTheTruth(t *testing.T) {
	w := newWorld(t, func(c *provider.Config) { c.UILocales = []string{"en", "sv"} })
	a := w.get("/.well-known/openid-configuration")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" || !strings.Contains(a.Header.Get("Cache-Control"), "max-age=") {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	if oauth := w.get("/.well-known/oauth-authorization-server"); oauth.body != a.body {
		t.Error("the RFC 8414 document differs")
	}
	d := a.json()
	if d["issuer"] != issuer {
		t.Errorf("issuer %v", d["issuer"])
	}
	for name, v := range d {
		at, ok := v.(string)
		if !ok || !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
			continue
		}
		path, ok := strings.CutPrefix(at, issuer)
		if !ok {
			t.Errorf("%s %s is not under the issuer", name, at)
		}
		if a := w.get(path); a.StatusCode == 404 {
			t.Errorf("%s %s does not answer", name, at)
		}
	}
	list := func(name string) []string {
		raw, _ := json.Marshal(d[name])
		var values []string
		if err := json.Unmarshal(raw, &values); err != nil || len(values) == 0 {
			t.Errorf("%s: %s", name, raw)
		}
		return values
	}
	// accepted says whether the authorization endpoint takes the value.
	got, session := w.tokens("app", everything)
	accepted := func(pairs ...string) bool {
		a := w.get("/authorize?" + asked("app", pairs...).Encode())
		_, query := a.to()
		page, view := a.page()
		raw, _ := json.Marshal(view["fields"])
		return page == "signin" || query.Get("error") == "login_required" || page == "formpost" && strings.Contains(string(raw), "login_required")
	}
	for param, row := range map[string]struct {
		list string
		all  []string // everything that exists
	}{
		"response_type":         {"response_types_supported", []string{"code", "token", "id_token", "code id_token", "code token", "code id_token token", "id_token token", "none"}},
		"response_mode":         {"response_modes_supported", []string{"query", "fragment", "form_post", "jwt", "query.jwt", "web_message"}},
		"code_challenge_method": {"code_challenge_methods_supported", []string{"S256", "plain"}},
		"prompt":                {"prompt_values_supported", []string{"none", "login", "consent", "select_account", "create"}},
	} {
		listed := list(row.list)
		for _, v := range row.all {
			if accepted(param, v) != slices.Contains(listed, v) {
				t.Errorf("%s=%s: accepted %v, listed in %v", param, v, accepted(param, v), listed)
			}
		}
	}
	for flag, param := range map[string]string{"request_parameter_supported": "request", "request_uri_parameter_supported": "request_uri"} {
		if d[flag] != accepted(param, "x") {
			t.Errorf("%s is %v", flag, d[flag])
		}
	}
	if d["authorization_response_iss_parameter_supported"] != true || d["claims_parameter_supported"] != false {
		t.Error("flags")
	}
	// Every scope is granted to who asks, no other.
	if scope := strings.Join(list("scopes_supported"), " "); got["scope"] != scope {
		t.Errorf("listed %s, granted %v", scope, got["scope"])
	}
	// Every claim that comes is listed.
	id, listed := claimsOf(t, got["id_token"]), list("claims_supported")
	for claim := range id {
		if !slices.Contains(listed, claim) {
			t.Errorf("the claim %s is not listed", claim)
		}
	}
	if !slices.Contains(list("acr_values_supported"), id["acr"].(string)) {
		t.Errorf("acr %v", id["acr"])
	}
	// Grants and ways to authenticate.
	for _, grantType := range []string{"authorization_code", "refresh_token", "client_credentials", "password", "implicit",
		"urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba"} {
		a := w.post("/token", url.Values{"grant_type": {grantType}, "code": {"x"}, "redirect_uri": {"x"}, "refresh_token": {"x"}}, basic("app", secret))
		if known := a.json()["error"] != "unsupported_grant_type"; known != slices.Contains(list("grant_types_supported"), grantType) {
			t.Errorf("grant type %s: %s", grantType, a.body)
		}
	}
	assertion := url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {"x"}}
	for path, name := range map[string]string{"/token": "token_endpoint_auth_methods_supported", "/revoke": "revocation_endpoint_auth_methods_supported", "/introspect": "introspection_endpoint_auth_methods_supported"} {
		try := func(extra url.Values, auth bool, id string) bool {
			v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}
			for name, values := range extra {
				v[name] = values
			}
			r := form(path, v)
			if auth {
				basic(id, secret)(r)
			}
			return w.do(r).StatusCode != 401
		}
		for method, works := range map[string]bool{
			"client_secret_basic": try(nil, true, "app"),
			"client_secret_post":  try(url.Values{"client_id": {"app"}, "client_secret": {secret}}, false, ""),
			"none":                try(url.Values{"client_id": {"public"}}, false, ""),
			"private_key_jwt":     try(assertion, false, ""),
			"client_secret_jwt":   try(assertion, false, ""),
		} {
			if works != slices.Contains(list(name), method) {
				t.Errorf("%s %s: works %v", path, method, works)
			}
		}
	}
	// Every algorithm has a key, and a client can have it.
	algs := list("id_token_signing_alg_values_supported")
	if !slices.Contains(algs, "RS256") {
		t.Error("OpenID Connect Discovery §3: RS256 must be there")
	}
	for _, alg := range algs {
		if !strings.Contains(w.get("/jwks").body, `"alg":"`+alg+`"`) {
			t.Errorf("no key for %s", alg)
		}
	}
	if !slices.Equal(list("subject_types_supported"), []string{"public", "pairwise"}) || len(list("ui_locales_supported")) != 2 {
		t.Error("subject types or locales")
	}
	if !w.alive(session) {
		t.Error("prompt=none does not sign in")
	}
}

func TestJWKS(t *testing.T) {
	w := newWorld(t)
	a := w.get("/jwks")
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || len(set.Keys) < 3 {
		t.Fatalf("%v: %s", err, a.body)
	}
	for _, key := range set.Keys {
		if key["kid"] == "" || key["use"] != "sig" || key["alg"] == nil {
			t.Errorf("key %v", key)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if key[private] != nil {
				t.Errorf("the key %v has %s", key["kid"], private)
			}
		}
	}
	if a.Header.Get("ETag") == "" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", a.Header)
	}
	if age, err := time.ParseDuration(strings.TrimPrefix(a.Header.Get("Cache-Control"), "public, max-age=") + "s"); err != nil || age > time.Hour {
		t.Errorf("Cache-Control %q: clients must fetch it again well before a new key signs", a.Header.Get("Cache-Control"))
	}
	r := httptest.NewRequest("GET", issuer+"/jwks", nil)
	r.Header.Set("If-None-Match", a.Header.Get("ETag"))
	if a := w.do(r); a.StatusCode != 304 || a.body != "" {
		t.Errorf("unchanged: %d", a.StatusCode)
	}
	for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
		if a := w.do(httptest.NewRequest("HEAD", issuer+path, nil)); a.StatusCode != 200 || a.body != "" {
			t.Errorf("HEAD %s: %d", path, a.StatusCode)
		}
		if a := w.do(httptest.NewRequest("POST", issuer+path, nil)); a.StatusCode != 405 {
			t.Errorf("POST %s: %d", path, a.StatusCode)
		}
	}
}

// The library has routes of its own; none of them is served.
func TestOnlyOurRoutes(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/ready", "/oauth/token", "/keys", "/device_authorization", "/authorize/callback?id=1", "/end_session", "/signin"} {
		if a := w.get(path); a.StatusCode != 404 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
}
