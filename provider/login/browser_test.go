// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"calleridp/provider/consent"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

func TestInvariant2_AnAttemptBelongsToItsBrowser(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	w.approve()
	for _, stranger := range []login.BrowserSecret{"", "another browser", browser + " ", login.BrowserSecret(strings.ToUpper(browser))} {
		if got, err := w.engine.Get(t.Context(), a.ID, stranger); !errors.Is(err, login.ErrNotYours) || got.ID != "" {
			t.Errorf("Get by %q: %v", string(stranger), err)
		}
		if _, err := w.engine.Finish(t.Context(), finishing(a.ID, stranger), signIn); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("Finish by %q: %v", string(stranger), err)
		}
		if err := w.engine.Cancel(t.Context(), a.ID, stranger); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("Cancel by %q: %v", string(stranger), err)
		}
		if err := w.engine.Abandon(t.Context(), a.ID, stranger, login.Refused); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("Abandon by %q: %v", string(stranger), err)
		}
	}
	w.expect(a.ID, login.Approved, login.NoReason)
	if a.Browser != sha256.Sum256([]byte(browser)) {
		t.Error("the attempt has something else than the hash of the secret")
	}
	if _, err := w.begin(func(s *login.PushRequest) { s.Browser = "" }); err == nil {
		t.Error("an attempt without a browser was started")
	}
}

// Several tabs share the browser's secret, and each has its own attempt.
func TestInvariant2_SeveralTabs(t *testing.T) {
	w := newWorld(t)
	first := w.start()
	state := w.phone.state()
	second := w.start(dialled(t, "46701740606"), func(s *login.PushRequest) { s.Request = []byte("another") })
	d := w.callback(func(d *truecaller.Delivery) { d.State = state })
	w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
	w.expect(first.ID, login.Approved, login.NoReason)
	w.expect(second.ID, login.Waiting, login.NoReason)
	w.must(w.engine.Cancel(t.Context(), second.ID, browser))
	w.expect(second.ID, login.Rejected, login.Cancelled)
	if _, err := w.finish(first.ID); err != nil {
		t.Error(err)
	}
	if string(w.record(first.ID).Request) != "the request" || string(w.record(second.ID).Request) != "another" {
		t.Error("the requests are mixed up")
	}
}

func TestInvariant9_AnApprovedAttemptIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) {
		t.Fatalf("before approval: %v", err)
	}
	w.approve()

	broken := errors.New("broken")
	_, err := w.engine.Finish(t.Context(), finishing(a.ID, browser), func(login.Attempt, *consent.Consent) (login.SignIn, error) {
		return login.SignIn{}, broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("when nothing could be made: %v", err)
	}
	w.expect(a.ID, login.Approved, login.NoReason)

	var wg sync.WaitGroup
	results := make(chan error, 20)
	for range cap(results) {
		wg.Go(func() {
			_, err := w.finish(a.ID)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	used := 0
	for err := range results {
		switch {
		case err == nil:
			used++
		case !errors.Is(err, login.ErrState):
			t.Error(err)
		}
	}
	if used != 1 {
		t.Errorf("used %d times", used)
	}
	if n := w.log.count("attempt.done", nil); n != 1 {
		t.Errorf("audited %d times", n)
	}
	w.restart()
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) {
		t.Errorf("after a restart: %v", err)
	}
}

// The browser that started an attempt can have what it gave again, also after a
// crash, and no other browser can.
func TestInvariant2_AnOutcomeBelongsToItsBrowser(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	w.approve()
	request := finishing(a.ID, browser)
	done, err := w.engine.Finish(t.Context(), request, signIn)
	w.must(err)
	if done.Attempt.GrantID != request.Outcome.GrantID || done.Code.Grant.ID != request.Outcome.GrantID {
		t.Errorf("got the grant %s, want %s", done.Attempt.GrantID, request.Outcome.GrantID)
	}
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) { // with another outcome, which is not stored
		t.Errorf("a second use: got %v, want ErrState", err)
	}
	for range 2 {
		stored := w.record(a.ID)
		if got, err := stored.OutcomeFor(browser); err != nil || got != request.Outcome {
			t.Errorf("got another outcome than the browser was given, %v", err)
		}
		if _, err := stored.OutcomeFor("another browser"); !errors.Is(err, login.ErrNotYours) {
			t.Errorf("another browser: got %v, want ErrNotYours", err)
		}
		w.restart()
	}
}

// A secret prints as a mark, however it is printed.
func TestInvariant10_BrowserSecretsAreRedacted(t *testing.T) {
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "browser", login.BrowserSecret(browser))
	request := login.PushRequest{Browser: browser}
	for _, text := range []string{log.String(), fmt.Sprintf("%v %+v %#v", request, request, request), login.BrowserSecret(browser).String()} {
		if strings.Contains(text, browser) || !strings.Contains(text, "[redacted]") {
			t.Errorf("got %s", text)
		}
	}
}
