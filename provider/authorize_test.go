package provider_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
)

// A request that cannot be trusted goes nowhere; one with a mistake goes back to
// the client with an error, iss and state. It is so under every prompt, with a
// session and without.
func TestAuthorizeRefuses(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	long := strings.Repeat("s", 5000)
	rows := []struct {
		what   string
		client string
		pairs  []string
		raw    string // added to the query as it is
		want   string // "page kind" or the error
	}{
		{"no client", "app", []string{"client_id", "-"}, "", "page bad_request"},
		{"unknown client", "app", []string{"client_id", "nobody"}, "", "page unknown_client"},
		{"unknown client that is no ID", "app", []string{"client_id", "a b\x00/"}, "", "page unknown_client"},
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
		{"a port that is none", "public", []string{"redirect_uri", "http://127.0.0.1:99999/cb"}, "", "page redirect_uri"},
		{"user name before the loopback address", "public", []string{"redirect_uri", "http://127.0.0.1:80@evil.example/cb"}, "", "page redirect_uri"},
		{"localhost for the loopback address", "public", []string{"redirect_uri", "http://localhost:8000/cb"}, "", "page redirect_uri"},
		{"another path on the loopback address", "public", []string{"redirect_uri", "http://127.0.0.1:8000/other"}, "", "page redirect_uri"},
		{"not UTF-8", "app", nil, "&x=%ff", "page bad_request"},
		{"a broken escape", "app", nil, "&x=%zz", "page bad_request"},
		{"a semicolon", "app", nil, "&x=1;y=2", "page bad_request"},
		{"too long", "app", []string{"x", strings.Repeat("x", 40000)}, "", "page too_large"},

		{"no response_type", "app", []string{"response_type", "-"}, "", "invalid_request"},
		{"empty response_type", "app", []string{"response_type", ""}, "", "invalid_request"},
		{"token", "app", []string{"response_type", "token"}, "", "unsupported_response_type"},
		{"id_token", "app", []string{"response_type", "id_token"}, "", "unsupported_response_type"},
		{"hybrid", "app", []string{"response_type", "code id_token"}, "", "unsupported_response_type"},
		{"none", "app", []string{"response_type", "none"}, "", "unsupported_response_type"},
		{"fragment mode", "app", []string{"response_mode", "fragment"}, "", "invalid_request"},
		{"unknown mode", "app", []string{"response_mode", "carrier_pigeon"}, "", "invalid_request"},
		{"two modes", "app", nil, "&response_mode=query&response_mode=form_post", "invalid_request"},
		{"no scope", "app", []string{"scope", "-"}, "", "invalid_scope"},
		{"empty scope", "app", []string{"scope", ""}, "", "invalid_scope"},
		{"scope without openid", "app", []string{"scope", "profile"}, "", "invalid_scope"},
		{"scope like openid", "app", []string{"scope", "openid2 OPENID"}, "", "invalid_scope"},
		{"two scopes", "app", nil, "&scope=openid", "invalid_request"},
		{"two nonces", "app", nil, "&nonce=2", "invalid_request"},
		{"two of something unknown", "app", nil, "&zzz=1&zzz=2", "invalid_request"},
		{"request object", "app", []string{"request", "eyJhbGciOiJub25lIn0.e30."}, "", "request_not_supported"},
		{"request_uri", "app", []string{"request_uri", "https://app.example/r"}, "", "request_uri_not_supported"},
		{"registration", "app", []string{"registration", "{}"}, "", "registration_not_supported"},
		{"no PKCE", "app", []string{"code_challenge", "-", "code_challenge_method", "-"}, "", "invalid_request"},
		{"no PKCE, public", "public", []string{"code_challenge", "-", "code_challenge_method", "-"}, "", "invalid_request"},
		{"a method without a challenge", "old", []string{"code_challenge", "-"}, "", "invalid_request"},
		{"a challenge without a method", "app", []string{"code_challenge_method", "-"}, "", "invalid_request"},
		{"a challenge without a method, excused", "old", []string{"code_challenge_method", "-"}, "", "invalid_request"},
		{"plain", "app", []string{"code_challenge_method", "plain"}, "", "invalid_request"},
		{"plain, excused", "old", []string{"code_challenge_method", "plain"}, "", "invalid_request"},
		{"lower case method", "app", []string{"code_challenge_method", "s256"}, "", "invalid_request"},
		{"short challenge", "app", []string{"code_challenge", challengeOf(verifier)[:42]}, "", "invalid_request"},
		{"long challenge", "app", []string{"code_challenge", challengeOf(verifier) + "A"}, "", "invalid_request"},
		{"padded challenge", "app", []string{"code_challenge", challengeOf(verifier) + "="}, "", "invalid_request"},
		{"challenge of another alphabet", "app", []string{"code_challenge", strings.Repeat("+", 43)}, "", "invalid_request"},
		{"max_age that is no number", "app", []string{"max_age", "soon"}, "", "invalid_request"},
		{"long state comes back with the error", "app", []string{"scope", "email", "state", long}, "", "invalid_scope"},
	}
	for _, row := range rows {
		for _, prompt := range []string{"", "none", "login", "consent", "select_account"} {
			for _, cookies := range [][]*http.Cookie{nil, {session}} {
				request := asked(row.client, row.pairs...)
				if prompt != "" {
					request.Set("prompt", prompt)
				}
				a := w.get("/authorize?"+request.Encode()+row.raw, cookies...)
				what := row.what + ", prompt=" + prompt
				if kind, shown := strings.CutPrefix(row.want, "page "); shown {
					page, view := a.page()
					if page != "error" || view["Kind"] != kind || a.Header.Get("Location") != "" || a.StatusCode < 400 || view["Correlation"] == "" {
						t.Errorf("%s: %d %s %.300s", what, a.StatusCode, a.Header.Get("Location"), a.body)
					}
				} else {
					at, query := a.to()
					if a.StatusCode != 303 || at != redirects[row.client] || query.Get("error") != row.want || query.Get("error_description") == "" ||
						query.Get("iss") != issuer || query.Get("state") != request.Get("state") || query.Get("code") != "" {
						t.Errorf("%s: %d %.300s %s", what, a.StatusCode, a.Header.Get("Location"), a.body)
					}
				}
				if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: headers %v", what, a.Header)
				}
			}
		}
	}
}

func TestAuthorizeAccepts(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("n/+ä&=", 800)
	for what, request := range map[string]url.Values{
		"plain":                  asked("app"),
		"no state, no nonce":     asked("app", "state", "-", "nonce", "-"),
		"long state and nonce":   asked("app", "state", long, "nonce", long),
		"unknown scopes":         asked("app", "scope", "openid cheese profile"),
		"unknown parameters":     asked("app", "approval_prompt", "force", "access_type", "offline", "OktaAppName", "x", "claims", `{"userinfo":{"name":null}}`),
		"hints of all kinds":     asked("app", "login_hint", "nobody@example.com", "acr_values", "1 2", "ui_locales", "sv xx-!!", "display", "touch", "claims_locales", "se"),
		"public, any port":       asked("public", "redirect_uri", "http://127.0.0.1:51004/cb"),
		"public, private scheme": asked("public"),
		"excused from PKCE":      asked("old", "code_challenge", "-", "code_challenge_method", "-"),
		"excused, and uses it":   asked("old"),
		"a query of its own":     asked("app", "redirect_uri", "https://app.example/cb?with=query"),
		"empty is absent":        asked("app", "prompt", "", "max_age", "", "response_mode", "", "request", "", "id_token_hint", ""),
		"query mode":             asked("app", "response_mode", "query"),
		"form_post mode":         asked("app", "response_mode", "form_post"),
	} {
		for _, method := range []string{"GET", "POST"} {
			a := w.get("/authorize?" + request.Encode())
			if method == "POST" { // what else stands in the query counts for nothing
				a = w.post("/authorize?client_id=old&scope=x", request)
			}
			page, view := a.page()
			if a.StatusCode != 200 || page != "signin" {
				t.Errorf("%s by %s: %d %s %s", what, method, a.StatusCode, a.Header.Get("Location"), a.body)
				continue
			}
			id := w.submit(a, "+4670174060"+map[string]string{"GET": "7", "POST": "8"}[method])
			w.approve("+4670174060" + map[string]string{"GET": "7", "POST": "8"}[method])
			done, err := w.provider.Continue(t.Context(), id, browser, "")
			if err != nil || param(done.Response, "state") != request.Get("state") || done.Response.FormPost != (request.Get("response_mode") == "form_post") {
				t.Errorf("%s: %+v, %v", what, done, err)
			}
			if view["Phone"] != "" {
				t.Errorf("%s: prefilled with %v", what, view["Phone"])
			}
		}
	}
}

// The nonce and the redirect URI's own query come back unchanged.
func TestEchoes(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("n/+ä&=", 800)
	done, _ := w.signIn(asked("app", "nonce", long, "redirect_uri", "https://app.example/cb?with=query"), number)
	at := done.Response.URL()
	if !strings.HasPrefix(at, "https://app.example/cb?with=query&code=") {
		t.Errorf("response at %s", at)
	}
	a := w.exchange("app", param(done.Response, "code"), func(v url.Values) { v.Set("redirect_uri", "https://app.example/cb?with=query") })
	if got := claimsOf(t, a.json()["id_token"])["nonce"]; got != long {
		t.Errorf("nonce %v", got)
	}
}

func TestLoginHintIsUntrusted(t *testing.T) {
	w := newWorld(t)
	for hint, want := range map[string]string{
		"+46 70 174 06 05": "+46 70 174 06 05", "070-174 06 05": "070-174 06 05", "f3a1-opaque-id": "", "46701740605 or 1=1": "", strings.Repeat("4", 3000): "",
	} {
		page, view := w.get("/authorize?" + asked("app", "login_hint", hint).Encode()).page()
		if page != "signin" || view["Phone"] != want {
			t.Errorf("%.40q: %s, prefilled with %v, want %q", hint, page, view["Phone"], want)
		}
	}
	if len(w.phone.state) != 0 {
		t.Error("a login_hint sent a push")
	}
}

func TestSignInViewSaysWhoAsks(t *testing.T) {
	w := newWorld(t)
	_, view := w.get("/authorize?" + asked("public", "redirect_uri", "http://127.0.0.1:51004/cb", "ui_locales", "sv hi-IN").Encode()).page()
	raw, _ := json.Marshal(view)
	var v authorize.SignInView
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if v.Client.Name != "Public" || v.Region != "SE" || v.FormAction != "http://127.0.0.1:51004" || len(v.UILocales) != 2 || v.Problem != nil {
		t.Errorf("%+v", v)
	}
	_, view = w.get("/authorize?" + asked("public").Encode()).page()
	if view["FormAction"] != "com.example.app:" {
		t.Errorf("form action %v", view["FormAction"])
	}
}

// A crawler can open the page as often as it likes.
func TestInvariant1_AuthorizeWritesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.store.Stats()
	for range 2000 {
		for _, prompt := range []string{"", "none", "login"} {
			a := w.get("/authorize?" + asked("app", "prompt", prompt).Encode())
			if a.Header.Get("Set-Cookie") != "" {
				t.Fatal("a cookie was set")
			}
		}
		w.get("/authorize?" + asked("app", "redirect_uri", "https://evil.example").Encode())
	}
	if after := w.store.Stats(); after != before {
		t.Errorf("the store went from %+v to %+v", before, after)
	}
}

func TestAuthorizeHead(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	before := w.store.Stats()
	for _, target := range []string{"/authorize?" + asked("app").Encode(), "/logout"} {
		r := httptest.NewRequest("HEAD", issuer+target, nil)
		r.AddCookie(session)
		if a := w.do(r); a.StatusCode != 200 || a.Header.Get("Location") != "" {
			t.Errorf("HEAD %.20s: %d", target, a.StatusCode)
		}
	}
	if after := w.store.Stats(); after != before {
		t.Error("HEAD wrote something")
	}
	if a := w.do(httptest.NewRequest("DELETE", issuer+"/authorize", nil)); a.StatusCode != 405 || a.Header.Get("Allow") == "" {
		t.Errorf("DELETE: %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
}

// A form of another site arrives without the session cookie; the same request
// as a GET brings it.
func TestAuthorizeCrossSitePost(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	a := w.post("/authorize", asked("app", "prompt", "none"), crossSite)
	if a.StatusCode != 303 || !strings.HasPrefix(a.Header.Get("Location"), "/authorize?") {
		t.Fatalf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if _, query := w.get(a.Header.Get("Location"), session).to(); query.Get("code") == "" {
		t.Error("the session was not found")
	}
	hinted := w.post("/authorize", asked("app", "login_hint", number), crossSite)
	if to := hinted.Header.Get("Location"); hinted.StatusCode != 303 || strings.Contains(to, number[1:]) {
		t.Errorf("a number goes into the URL (invariant 10): %d %s", hinted.StatusCode, to)
	}
	if page, _ := w.post("/authorize", asked("app", "state", strings.Repeat("x", 9000)), crossSite).page(); page != "signin" {
		t.Error("a long request must not go into the URL")
	}
	if a := w.post("/authorize", nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }); a.StatusCode != 400 {
		t.Errorf("a body that is no form: %d", a.StatusCode)
	}
}

func TestFormPostResponse(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	a := w.get("/authorize?"+asked("app", "response_mode", "form_post").Encode(), session)
	page, view := a.page()
	raw, _ := json.Marshal(view["fields"])
	if page != "formpost" || view["action"] != redirects["app"] || !strings.Contains(string(raw), `["code",`) || !strings.Contains(string(raw), `["iss","`+issuer+`"]`) || !strings.Contains(string(raw), `["state","the-state"]`) {
		t.Errorf("%s %v", page, view)
	}
	// Errors take the same way.
	page, view = w.get("/authorize?" + asked("app", "response_mode", "form_post", "prompt", "none").Encode()).page()
	raw, _ = json.Marshal(view["fields"])
	if page != "formpost" || !strings.Contains(string(raw), `["error","login_required"]`) || !strings.Contains(string(raw), `["iss",`) {
		t.Errorf("%s %v", page, view)
	}
}

// A developer is told what is wrong with the redirect URI; a stranger is not.
func TestErrorDetailOnlyInDevelopment(t *testing.T) {
	target := "/authorize?" + asked("app", "redirect_uri", "https://app.example/cb/").Encode()
	_, view := newWorld(t).get(target).page()
	detail, _ := view["Detail"].(string)
	if !strings.Contains(detail, `"https://app.example/cb/"`) || !strings.Contains(detail, `"https://app.example/cb"`) || !strings.Contains(detail, "slash") {
		t.Errorf("detail %q", detail)
	}
	w := newWorld(t, func(c *provider.Config) { c.Dev = false })
	if _, view := w.get(target).page(); view["Detail"] != "" || !strings.Contains(w.log.text(), view["Correlation"].(string)) {
		t.Errorf("in production: %v", view)
	}
}

func TestScopesAreTheClients(t *testing.T) {
	w := newWorld(t)
	got, _ := w.tokens("narrow", everything)
	if got["scope"] != "openid phone" || got["refresh_token"] != nil || claimsOf(t, got["id_token"])["name"] != nil {
		t.Errorf("%v", got)
	}
}

func TestDefaultMaxAge(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	if _, query := w.get("/authorize?"+asked("hourly").Encode(), session).to(); query.Get("code") == "" {
		t.Error("a fresh session does not do")
	}
	if page, _ := w.get("/authorize?"+asked("hourly", "max_age", "0").Encode(), session).page(); page != "signin" {
		t.Error("max_age of the request does not count")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, bad := range []string{"", "https://id.example/", "https://id.example/path", "http://id.example", "https://ID.example", "ftp://id.example", "id.example", "https://id.example?x", "https://u@id.example"} {
		if err := provider.CheckIssuer(bad); err == nil {
			t.Errorf("issuer %q was accepted", bad)
		}
	}
	for _, good := range []string{"https://id.example", "https://id.example:8443", "http://127.0.0.1:9440", "http://localhost:1", "http://[::1]:9440"} {
		if err := provider.CheckIssuer(good); err != nil {
			t.Errorf("%v", err)
		}
	}
	if _, err := provider.New(provider.Config{Issuer: issuer}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	if _, err := client.NewRegistry([]client.Client{{ID: "x"}}, nil, nil); err == nil {
		t.Error("a client without anything was accepted")
	}
}
