// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strings"
	"testing"

	"calleridp/provider/checksession"
	"calleridp/provider/endpoint"
	"calleridp/provider/logout"
	"calleridp/ui/pagetest"
)

// The pages that may be in a frame are in those of one origin, and no other page is.
func TestWhoMayFrameAPage(t *testing.T) {
	p := newPages(t)
	for what, row := range map[string]struct {
		draw func(http.ResponseWriter, *http.Request)
		want string
	}{
		"the page of a session": {func(w http.ResponseWriter, r *http.Request) {
			p.CheckSession(w, r, checksession.View{Origin: "https://app.example", Cookie: "c"})
		}, "https://app.example"},
		"the page of a session, for what is no origin": {func(w http.ResponseWriter, r *http.Request) {
			p.CheckSession(w, r, checksession.View{Origin: "https://a; script-src *", Cookie: "c"})
		}, "'none'"},
		"a response by form post": {func(w http.ResponseWriter, r *http.Request) {
			p.FormPost(w, r, "https://APP.example:443/cb", []endpoint.Parameter{{Name: "code", Value: "x"}})
		}, "https://app.example"},
		"after signing out": {func(w http.ResponseWriter, r *http.Request) {
			p.SignedOut(w, r, logout.SignedOutView{Frames: []string{"https://app.example/out"}})
		}, "'none'"},
		"an error": {func(w http.ResponseWriter, r *http.Request) {
			p.Error(w, r, endpoint.ErrorView{Kind: endpoint.ErrorCrossOrigin})
		}, "'none'"},
	} {
		h := pagetest.Draw("/", row.draw).Header()
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors "+row.want+"; base-uri 'none'") {
			t.Errorf("%s: got %s, want frame-ancestors %s", what, csp, row.want)
		}
		if got := h.Get("X-Frame-Options") == "DENY"; got != (row.want == "'none'" && !strings.Contains(what, "no origin")) {
			t.Errorf("%s: got X-Frame-Options DENY %v", what, got)
		}
	}
}

func TestThePageOfASessionHasNothingElse(t *testing.T) {
	p := newPages(t)
	answer := pagetest.Draw("/session", func(w http.ResponseWriter, r *http.Request) {
		p.CheckSession(w, r, checksession.View{Origin: `https://a"><script>`, Cookie: "__Host-calleridp_state"})
	})
	pagetest.WellFormed(t, "session", answer.Body.String())
	pagetest.Want(t, answer, 200, `data-cookie="__Host-calleridp_state"`, `data-origin="https://a&#34;&gt;&lt;script&gt;"`, `/static/session-`)
	csp := answer.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "script-src 'nonce-") || strings.Contains(csp, "connect-src") || strings.Contains(csp, "unsafe") {
		t.Errorf("got %s, want the page's own script and no requests", csp)
	}
}

// The page after signing out loads the addresses of clients, and may load nothing else in
// frames.
func TestFramesOfTheSignedOutPage(t *testing.T) {
	p := newPages(t)
	draw := func(v logout.SignedOutView) (body, csp, opener string) {
		answer := pagetest.Draw("/logout", func(w http.ResponseWriter, r *http.Request) { p.SignedOut(w, r, v) })
		pagetest.WellFormed(t, "signed out", answer.Body.String())
		return answer.Body.String(), answer.Header().Get("Content-Security-Policy"), answer.Header().Get("Cross-Origin-Opener-Policy")
	}
	shop := endpoint.ClientView{ID: "shop", Name: "Shop", URI: "https://shop.example"}
	frames := []string{"https://a.example/out?x=1&sid=s", "https://B.example:443/out", "https://a.example/other", "http://127.0.0.1:9/out"}
	body, csp, opener := draw(logout.SignedOutView{Client: shop, Frames: frames, Next: "https://shop.example/bye?state=%22&a=b"})
	pagetest.Contains(t, body,
		`<iframe src="https://a.example/out?x=1&amp;sid=s" sandbox="allow-scripts allow-same-origin allow-forms" referrerpolicy="no-referrer" hidden>`,
		`http-equiv="refresh" content="5;url=https://shop.example/bye?state=%22&amp;a=b"`,
		`id="onward"`, `href="https://shop.example/bye?state=%22&amp;a=b"`, `data-seconds="5"`, `/static/signedout-`)
	if n := strings.Count(body, "<iframe"); n != len(frames) {
		t.Errorf("got %d frames, want %d", n, len(frames))
	}
	if want := "; frame-src https://a.example https://b.example http://127.0.0.1:9;"; !strings.Contains(csp, want) || opener != "" {
		t.Errorf("got %s and the opener %q, want %s and none", csp, opener, want)
	}
	body, csp, opener = draw(logout.SignedOutView{Client: shop, Frames: frames})
	if strings.Contains(body, `id="onward"`) || strings.Contains(body, "refresh") || strings.Contains(csp, "script-src") || opener != sameOriginOpener {
		t.Errorf("without an address to go to: got %s, %s and the opener %q, want it to stay", body, csp, opener)
	}
	if body, csp, _ = draw(logout.SignedOutView{Client: shop}); strings.Contains(body, "<iframe") || strings.Contains(csp, "frame-src") {
		t.Errorf("without frames: got %s and %s, want none", body, csp)
	}
}
