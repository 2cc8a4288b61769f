package authorize_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// Crawlers can open the page as often as they like.
func TestInvariant1_AuthorizeWritesNothing(t *testing.T) {
	w := testworld.New(t)
	w.WantNothingStored("8000 authorization requests", func() {
		for range 2000 {
			for _, prompt := range []string{"", "none", "login"} {
				if set := w.Authorize("app", "prompt", prompt).Header.Get("Set-Cookie"); set != "" {
					t.Fatalf("prompt=%s: got the cookie %q, want none", prompt, set)
				}
			}
			w.Authorize("app", "redirect_uri", "https://evil.example")
		}
	})
}

// A HEAD request has no effect, and other methods are refused.
func TestAuthorizeHead(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	w.WantHeadWithoutEffect("/authorize?"+testworld.AuthRequest("app").Encode(), session)
	a := w.Do(httptest.NewRequest("DELETE", testworld.Issuer+"/authorize", nil))
	if a.StatusCode != 405 || a.Header.Get("Allow") == "" {
		t.Errorf("DELETE: got %v, Allow %q, want 405 and the methods", a, a.Header.Get("Allow"))
	}
}

// A form of another site arrives without the session cookie; the same request
// as a GET has it.
func TestAuthorizeCrossSitePost(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	a := w.Post("/authorize", testworld.AuthRequest("app", "prompt", "none"), testworld.CrossSite)
	if a.StatusCode != 303 || !strings.HasPrefix(a.Header.Get("Location"), "/authorize?") {
		t.Fatalf("POST from another site: got %v, want 303 to the same request as GET", a)
	}
	if a := w.Get(a.Header.Get("Location"), session); a.Code() == "" {
		t.Errorf("the redirected request with the session: got %v, want a code", a)
	}
	hinted := w.Post("/authorize", testworld.AuthRequest("app", "login_hint", testworld.Number), testworld.CrossSite)
	if to := hinted.Header.Get("Location"); hinted.StatusCode != 303 || strings.Contains(to, testworld.Number[1:]) {
		t.Errorf("POST with login_hint: got %v, want 303 to a URL without the number (invariant 10)", hinted)
	}
	long := testworld.AuthRequest("app", "state", strings.Repeat("<", 2100))
	w.Post("/authorize", long, testworld.CrossSite).WantPage(t, "a request that is too long for a URL", "signin")
	w.Post("/authorize", nil, testworld.Header("Content-Type", "application/json")).
		WantStatus(t, "a body that is no form", 400)
}
