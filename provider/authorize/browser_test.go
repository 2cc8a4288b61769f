// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

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

// A browser's cookie is taken as it comes, and somebody may have put it there, or noted
// it: on a computer that several people use, say. It is good for no attempt that starts
// later, and for none after the browser has signed in.
func TestThreat_AFixedBrowserCookie(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		fixed := login.NewBrowserSecret()
		submit := func(number string, cookie login.BrowserSecret) (login.ID, login.BrowserSecret) {
			s := w.Submission(w.Authorize("app"), number)
			s.Browser = browserFor(t, w, s, cookie)
			id, err := w.Flow.Submit(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			return id, s.Browser
		}
		first, secret := submit(testworld.Number, fixed)
		if _, err := w.Flow.View(t.Context(), first, fixed); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("who knows the cookie from before: got %v for the attempt, want %v", err, login.ErrNotYours)
		}
		if _, err := w.ContinueElsewhere(first, fixed); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("who knows the cookie from before: got %v for its use, want %v", err, login.ErrNotYours)
		}
		// Another tab of the same browser.
		second, same := submit("+46701740699", secret)
		if same != secret {
			t.Error("another tab got another secret, and the first tab lost its attempt")
		}
		// As long as the other tab waits, the secret stays; then there is another one.
		w.Approve(testworld.Number)
		done, err := w.Flow.Continue(t.Context(), first, secret, "")
		if err != nil || done.Browser != "" {
			t.Errorf("signed in, and another tab waits: got the secret %v, %v, want the same", done.Browser, err)
		}
		w.Approve("+46701740699")
		done, err = w.Flow.Continue(t.Context(), second, secret, "")
		if err != nil || len(done.Browser) != 43 || done.Browser == secret {
			t.Errorf("signed in: got the secret %v, %v, want another one", done.Browser, err)
		}
		if _, next := submit(testworld.Number, secret); next == secret {
			t.Error("after the sign-in: got the secret of before")
		}
		// A response that was lost is given again to the browser that has the old cookie.
		if _, err := w.Flow.Continue(t.Context(), second, secret, ""); err != nil {
			t.Errorf("continuing again: got %v", err)
		}
		// Nor does an attempt that has expired keep a secret.
		_, third := submit("+46701740698", "")
		time.Sleep(5 * time.Minute)
		if _, next := submit("+46701740698", third); next == third {
			t.Error("after the attempt has expired: got the secret of before")
		}
		// The pages of earlier attempts stay with their browser.
		if got := w.Flow.Owner(t.Context(), first, third, secret); got != secret {
			t.Error("the owner of an earlier attempt: got another secret")
		}
		if got := w.Flow.Owner(t.Context(), first, third, fixed); got != third {
			t.Error("an attempt of none of the cookie's: got another secret than the current one")
		}
	})
}
