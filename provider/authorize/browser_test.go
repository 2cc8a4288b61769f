package authorize_test

import (
	"errors"
	"testing"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
)

// browserFor returns the secret under which a submission would start an attempt.
func browserFor(t *testing.T, w *testworld.World, s authorize.Submission, cookie login.BrowserSecret) login.BrowserSecret {
	t.Helper()
	secret, err := w.Flow.BrowserFor(t.Context(), authorize.SentForm{
		Cookie:  cookie,
		Request: s.Request,
		Input:   s.Phone,
		Network: s.Network,
	})
	if err != nil || len(secret) != 43 {
		t.Fatalf("BrowserFor: got %d characters, %v, want 43", len(secret), err)
	}
	return secret
}

// A browser that has no cookie yet may send its form twice: the second post leads to
// the attempt of the first, and nobody is asked twice. Who does not have the page, or
// sends it from elsewhere or with another number, is another browser.
func TestInvariant2_AFormSentTwiceByABrowserWithoutACookie(t *testing.T) {
	w := testworld.New(t)
	first := w.Submission(w.Authorize("app"), testworld.Number)
	first.Browser = browserFor(t, w, first, "")
	id, err := w.Flow.Submit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	second := first
	second.Browser = browserFor(t, w, second, "")
	if again, err := w.Flow.Submit(t.Context(), second); err != nil || again != id {
		t.Errorf("the second post: got %q, %v, want the attempt %q", again, err, id)
	}
	if _, err := w.Flow.View(t.Context(), id, second.Browser); err != nil {
		t.Errorf("the attempt's page: got %v", err)
	}
	for what, change := range map[string]func(*authorize.Submission){
		"another page":    func(s *authorize.Submission) { s.Request = testworld.SealedRequest(t, w.Authorize("app"), "signin") },
		"another network": func(s *authorize.Submission) { s.Network = "192.0.2.99/32" },
	} {
		stranger := first
		change(&stranger)
		if stranger.Browser = browserFor(t, w, stranger, ""); stranger.Browser == first.Browser {
			t.Fatalf("%s: got the browser's own secret", what)
		}
		_, err := w.Flow.Submit(t.Context(), stranger)
		refusal, ok := errors.AsType[*authorize.Refusal](err)
		if !ok || refusal.Problem.Kind != authorize.LockedElsewhere {
			t.Errorf("%s: got %v, want %s", what, err, authorize.LockedElsewhere)
		}
		if _, err := w.Flow.View(t.Context(), id, stranger.Browser); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("%s: got %v for the attempt's page, want %v", what, err, login.ErrNotYours)
		}
	}
	other := first
	other.Phone = "+46701740699"
	if browserFor(t, w, other, "") == first.Browser {
		t.Error("another number: got the browser's own secret")
	}
}
