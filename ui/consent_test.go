package ui

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/login"
)

func TestEveryScopeIsExplained(t *testing.T) {
	want := slices.Sorted(slices.Values(claims.Scopes))
	for _, s := range loaded(t).all {
		if got := s.texts.stars("consent.scope.*"); !slices.Equal(got, want) {
			t.Errorf("%s explains %v, want %v", s.Tag, got, want)
		}
	}
}

func TestTheConsentPage(t *testing.T) {
	w := newWorld(t)
	v := authorize.ConsentView{Client: shop, Request: "sealed", Scopes: []string{claims.OpenID, claims.Phone, claims.Email}, Number: "+46•••••0605", FormAction: "https://shop.example"}
	answer := httptest.NewRecorder()
	w.ui.Consent(answer, httptest.NewRequest("GET", "/authorize", nil), v)
	wants(t, answer, 200, `id="consent"`, `<h1>Allow <bdi>Lingon Market</bdi>?</h1>`, `action="/consent"`, `name="request" value="sealed"`,
		`<button id="allow" class="primary" name="decision" value="allow">`, `<button id="deny" class="secondary" name="decision" value="deny">`,
		`<li>Your phone number, <bdi class="number" dir="ltr">&#43;46•••••0605</bdi></li>`, "nobody has verified", "https://shop.example/privacy", "https://shop.example/terms")
	body, _, _ := strings.Cut(answer.Body.String(), "</main>")
	if n := strings.Count(body, "<li>"); n != 3 || strings.Contains(body, "Your address") {
		t.Errorf("%d lines:\n%s", n, body)
	}
	h := answer.Header()
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' https:;") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script-src") {
		t.Errorf("CSP %s", csp)
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%v", h)
	}
}

// The question comes instead of the answer, with the new session's cookie.
func TestContinueAsksForConsent(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	w.flow.finished.Consent = &authorize.ConsentView{Client: shop, Request: "sealed-question", Scopes: []string{claims.OpenID}}
	answer := w.do(ours("GET", ourPath+"/continue", nil))
	wants(t, answer, 200, `id="consent"`, `value="sealed-question"`)
	if answer.Header().Get("Location") != "" || strings.Contains(answer.Body.String(), "c/1") {
		t.Error("it answers the client before the person has")
	}
	cookies := answer.Result().Cookies()
	if !slices.ContainsFunc(cookies, func(c *http.Cookie) bool {
		return c.Name == "__Host-calleridp_session" && c.Value == "session-secret"
	}) {
		t.Errorf("cookies %v", cookies)
	}
}
