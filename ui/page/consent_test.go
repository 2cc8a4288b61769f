// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strings"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/ui/pagetest"
)

func TestTheConsentPage(t *testing.T) {
	p := newPages(t)
	v := authorize.ConsentView{
		Client:     pagetest.Shop,
		Request:    "sealed",
		Scopes:     []string{claims.OpenID, claims.Phone, claims.Email},
		Number:     "+46•••••0605",
		FormAction: "https://shop.example",
	}
	answer := pagetest.Draw("/authorize", func(w http.ResponseWriter, r *http.Request) { p.Consent(w, r, v) })
	pagetest.Want(t, answer, 200, `id="consent"`, `<h1>Give <bdi>Lingon Market</bdi> access?</h1>`, `action="/consent"`, `name="request" value="sealed"`,
		`<button id="allow" class="primary" name="decision" value="allow">`, `<button id="deny" class="secondary" name="decision" value="deny">`,
		`<span>Your phone number, <bdi class="number" dir="ltr">&#43;46 •••• 0605</bdi></span></li>`, `Your email address <span class="tag">not verified</span>`, "https://shop.example/privacy", "https://shop.example/terms")
	for _, link := range []string{v.Client.URI, v.Client.PolicyURI, v.Client.TOSURI} {
		if want := `<a href="` + link + `" rel="noopener noreferrer nofollow">`; link == "" || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("got no %s", want)
		}
	}
	body, _, _ := strings.Cut(answer.Body.String(), "</main>")
	if n := strings.Count(body, "<li>"); n != 3 || strings.Contains(body, "Your address") {
		t.Errorf("got %d lines, want 3 without the address:\n%s", n, body)
	}
	h := answer.Header()
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "form-action 'self' https:;") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script-src") {
		t.Errorf("got the CSP %s, want form-action 'self' https: and no script", csp)
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("got the headers %v, want no-store and DENY", h)
	}
}
