package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
)

// reopen shows a page again, for a browser with these cookies.
func (w *world) reopen(page authorize.Reopening, cookies ...*http.Cookie) answer {
	w.t.Helper()
	r, recorder := httptest.NewRequest("POST", "/language", nil), httptest.NewRecorder()
	for _, c := range cookies {
		r.AddCookie(c)
	}
	page.Network = "192.0.2.1/32"
	w.provider.Reopen(recorder, r, page)
	return answer{Response: recorder.Result(), body: recorder.Body.String()}
}

func TestReopenTheSignInPage(t *testing.T) {
	w := newWorld(t)
	_, view := w.get("/authorize?" + asked("app", "ui_locales", "sv").Encode()).page()
	problem := &authorize.Problem{Kind: authorize.PhoneTooShort}
	before := w.store.Stats().Operations
	page, again := w.reopen(authorize.Reopening{Request: view["Request"].(string), Phone: "99999 9", Region: "in", Problem: problem}).page()
	if page != "signin" || again["Phone"] != "99999 9" || again["Region"] != "IN" || again["Problem"].(map[string]any)["Kind"] != "phone_too_short" {
		t.Errorf("%s %v", page, again)
	}
	if page, again := w.reopen(authorize.Reopening{Request: view["Request"].(string), Region: "nowhere"}).page(); page != "signin" || again["Region"] != "SE" || again["Problem"] != nil {
		t.Errorf("%s %v", page, again)
	}
	if w.store.Stats().Operations != before {
		t.Error("a page that is shown again writes something (invariant 1)")
	}
	if _, err := w.provider.Submit(t.Context(), authorize.Submission{Request: again["Request"].(string), Phone: number, Browser: browser, Network: "192.0.2.1/32"}); err != nil {
		t.Errorf("the page that is shown again does not work: %v", err)
	}
}

func TestReopenTheConsentPage(t *testing.T) {
	w := newWorld(t)
	view, session := w.asks(w.approved(asked("third", "scope", "openid phone"), number))
	page, again := w.reopen(authorize.Reopening{Request: view.Request}, session).page()
	if page != "consent" || len(again["Scopes"].([]any)) != 2 {
		t.Fatalf("%s %v", page, again)
	}
	// Both pages are the same question: the second yes gets the code of the first.
	one, two := w.decide(again["Request"].(string), "allow", cookie(session)), w.decide(view.Request, "allow", cookie(session))
	if code(one) == "" || code(one) != code(two) {
		t.Errorf("%q and %q", code(one), code(two))
	}
	// Without the session nobody is asked anything.
	if page, again := w.reopen(authorize.Reopening{Request: view.Request}).page(); page != "error" || again["Kind"] != "request_expired" {
		t.Errorf("%s %v", page, again)
	}
}

func TestReopenTheSignOutQuestion(t *testing.T) {
	w := newWorld(t)
	_, session := w.tokens("app", "openid")
	_, view := w.get("/logout?client_id=app&post_logout_redirect_uri=https://app.example/bye", session).page()
	page, again := w.reopen(authorize.Reopening{Request: view["Request"].(string)}, session).page()
	if page != "confirm" || again["Client"].(map[string]any)["Name"] != "App" || again["FormAction"] != "https://app.example" {
		t.Errorf("%s %v", page, again)
	}
	if !w.alive(session) {
		t.Error("looking at the question has signed out")
	}
}

func TestReopenRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, view := w.get("/authorize?" + asked("app").Encode()).page()
		_, session := w.tokens("app", "openid")
		_, question := w.get("/logout", session).page()
		time.Sleep(2 * time.Hour) // of the bubble's own time
		for sealed, want := range map[string]string{
			"": "bad_request", "sealed": "bad_request", strings.Repeat("A", 400): "bad_request",
			view["Request"].(string): "request_expired", question["Request"].(string): "request_expired",
		} {
			if page, view := w.reopen(authorize.Reopening{Request: sealed}, session).page(); page != "error" || view["Kind"] != want {
				t.Errorf("%.20q: %s %v, want %s", sealed, page, view, want)
			}
		}
	})
}
