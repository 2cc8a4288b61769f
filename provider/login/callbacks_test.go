// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

func TestInvariant3_AnotherNumbersProfileIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	d := w.callback()
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "mallory", "46701740699", "4670174060")))
	w.expect(a.ID, login.Failed, login.PhoneMismatch)
	w.emptyInbox()
	if a := w.record(a.ID); a.Sub != "" {
		t.Errorf("it has a subject: %q", a.Sub)
	}
	if _, err := w.finish(a.ID); !errors.Is(err, login.ErrState) {
		t.Errorf("Finish: %v", err)
	}
	if !w.log.has("attempt.failed", map[string]string{"reason": "phone_mismatch", "level": "WARN"}) {
		t.Errorf("it is not audited:\n%s", w.log.text())
	}
	if !w.locked() {
		t.Error("the lock is gone, though the phone that was asked has not answered")
	}
	// The right one comes too late.
	late := w.callback()
	w.must(w.engine.Profile(t.Context(), late, profile(t, "asha", digits)))
	w.expect(a.ID, login.Failed, login.PhoneMismatch)
}

// Mexico's old mobile 1 and its like do not make two lines of one, nor one of two.
func TestInvariant3_ALineIsComparedInEverySpelling(t *testing.T) {
	for _, row := range []struct {
		pushed, profile string
		approved        bool
	}{
		{"525512345678", "5215512345678", true},
		{"5215512345678", "525512345678", true},
		{"5491123456789", "541123456789", true},
		{"5511981234567", "551181234567", true},
		{"2290197123456", "22997123456", true},
		{"2250707123456", "22507123456", true},
		{"525512345678", "5215512345679", false},
		{"525512345678", "15512345678", false},
		{"5511971234567", "551171234567", false}, // trunked radio has eight digits
		{"2250707123456", "22504123456", false},
	} {
		w := newWorld(t)
		a := w.start(dialled(t, row.pushed))
		d := w.callback()
		w.must(w.engine.Token(t.Context(), d))
		w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", row.profile)))
		if row.approved {
			w.expect(a.ID, login.Approved, "")
		} else {
			w.expect(a.ID, login.Failed, login.PhoneMismatch)
		}
	}
}

// One line has one lock, and one user.
func TestInvariant7_SpellingsOfALineShareItsLock(t *testing.T) {
	w := newWorld(t, offersOneTap)
	a := w.start(dialled(t, "5215512345678"))
	if a.Number != num(t, "525512345678") || !w.isLocked("525512345678") {
		t.Errorf("the push goes to %s, want today's spelling", a.Number.E164())
	}
	stranger := func(r *login.PushRequest) { r.Browser = "of-another-browser----" }
	exceeded := (*limit.Exceeded)(nil)
	if _, err := w.begin(dialled(t, "525512345678"), stranger); !errors.As(err, &exceeded) || exceeded.Kind != limit.Lock {
		t.Errorf("a second push: %v, want the lock", err)
	}
	d := w.callback()
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "", "525512345678")))
	sub := w.record(a.ID).Sub

	w.phone.quiet()
	tapped, err := w.tap()
	w.must(err)
	d = w.tapped()
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "", "5215512345678")))
	if got := w.record(tapped.ID); got.Sub != sub || got.Number != num(t, "525512345678") {
		t.Errorf("one-tap signs in %q with %s, want %q", got.Sub, got.Number.E164(), sub)
	}
}

func TestInactiveAccountIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	p := profile(t, "asha", digits)
	p.Inactive = true
	w.must(w.engine.Profile(t.Context(), w.callback(), p))
	w.expect(a.ID, login.Failed, login.InactiveAccount)
}

// Every callback may come twice, late, for nothing, in any order.
func TestInvariant4_CallbacksMayBeRepeatedLateAndOutOfOrder(t *testing.T) {
	right := func(w *world, d truecaller.Delivery) {
		if err := w.engine.Token(w.t.Context(), d); err == nil {
			w.must(w.engine.Profile(w.t.Context(), d, profile(w.t, "asha", digits)))
		} else if errors.Is(err, truecaller.ErrNotFound) {
			w.must(w.store.DropDelivery(w.t.Context(), d.ID)) // as the worker does
		} else {
			w.t.Error(err)
		}
	}
	progress := func(what string) func(*world) {
		return func(w *world) { w.must(w.engine.Progress(w.t.Context(), w.callback(status(what)))) }
	}
	token := func(w *world) { right(w, w.callback()) }
	failed := func(w *world) {
		w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrUnauthorized))
	}
	stranger := func(w *world) {
		right(w, w.callback(func(d *truecaller.Delivery) { d.State = "not ours" }))
		right(w, w.callback(func(d *truecaller.Delivery) { d.State = "" }))
	}
	rows := []struct {
		what   string
		steps  []func(*world)
		state  login.State
		reason login.Reason
	}{
		{"a token", []func(*world){token}, login.Approved, ""},
		{"a token three times", []func(*world){token, token, token}, login.Approved, ""},
		{"progress only", []func(*world){progress("flow_invoked"), progress("flow_invoked")}, login.Waiting, ""},
		{"progress, then a token", []func(*world){progress("flow_invoked"), token}, login.Approved, ""},
		{"progress after a token", []func(*world){token, progress("flow_invoked")}, login.Approved, ""},
		{"an unknown status", []func(*world){progress("moon_phase"), progress("")}, login.Waiting, ""},
		{"an unknown status, then a token", []func(*world){progress("moon_phase"), token}, login.Approved, ""},
		{"declined", []func(*world){progress("user_rejected")}, login.Rejected, login.UserRejected},
		{"dismissed", []func(*world){progress("flow_cancelled")}, login.Rejected, login.UserRejected},
		{"another number", []func(*world){progress("use_another_number")}, login.Rejected, login.AnotherNumber},
		{"declined twice", []func(*world){progress("user_rejected"), progress("use_another_number")}, login.Rejected, login.UserRejected},
		{"declined, then a token", []func(*world){progress("user_rejected"), token}, login.Rejected, login.UserRejected},
		{"declined after a token", []func(*world){token, progress("user_rejected")}, login.Approved, ""},
		{"a token that fetches nothing", []func(*world){failed}, login.Failed, login.ProfileFailed},
		{"nothing fetched, then a token", []func(*world){failed, token}, login.Failed, login.ProfileFailed},
		{"nothing fetched after approval", []func(*world){token, failed}, login.Approved, ""},
		{"strangers", []func(*world){stranger}, login.Waiting, ""},
		{"strangers, then a token", []func(*world){stranger, token, stranger}, login.Approved, ""},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			for _, step := range row.steps {
				step(w)
			}
			w.expect(a.ID, row.state, row.reason)
			w.emptyInbox()
		})
	}
	t.Run("unknown statuses are in the log", func(t *testing.T) {
		w := newWorld(t)
		w.start()
		progress("moon_phase")(w)
		progress("flow_invoked")(w)
		if !strings.Contains(w.log.text(), "moon_phase") || strings.Contains(w.log.text(), "flow_invoked") {
			t.Error(w.log.text())
		}
	})
}

// A callback at another app's address is a mismatch, whatever it says: it is not
// stored, and audited as what it is (invariant 6).
func TestInvariant6_AnotherAppsCallbackIsAMismatch(t *testing.T) {
	for _, status := range []string{"flow_invoked", "user_rejected", ""} {
		t.Run("status "+status, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			d := w.callback()
			d.App, d.Status = "other", status
			if expected, err := w.engine.Expects(t.Context(), d.App, d.Callback); expected || err != nil {
				t.Errorf("Expects: got %v, %v, want false", expected, err)
			}
			var err error
			if status == "" {
				err = w.engine.Token(t.Context(), d)
			} else {
				err = w.engine.Progress(t.Context(), d)
			}
			if err != nil && !errors.Is(err, truecaller.ErrNotFound) {
				t.Errorf("delivering it: got %v", err)
			}
			if got, err := w.engine.Get(t.Context(), a.ID, browser); err != nil || got.State != login.Waiting || !got.Invoked.IsZero() {
				t.Errorf("the attempt: got %v, invoked %v (%v), want it waiting", got.State, got.Invoked, err)
			}
			log := w.log.text()
			if strings.Count(log, "attempt.callback_mismatch") != 2 || strings.Contains(log, "attempt.invoked") {
				t.Errorf("got the audit\n%s\nwant two mismatches and nothing else", log)
			}
		})
	}
}

// What nobody expects is not stored: it is late, finished, or a stranger's.
func TestInvariant4_OnlyLiveAttemptsExpectCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		expects := func() bool {
			t.Helper()
			expected, err := w.engine.Expects(t.Context(), "main", w.callback().Callback)
			w.must(err)
			return expected
		}
		a := w.start()
		if !expects() {
			t.Error("a waiting attempt expects nothing")
		}
		w.approve()
		if expects() {
			t.Error("an approved attempt expects more")
		}
		w.must(w.engine.Cancel(t.Context(), a.ID, browser))
		if expects() {
			t.Error("a cancelled attempt expects more")
		}
		w.start()
		time.Sleep(5 * time.Minute)
		if expects() {
			t.Error("an expired attempt expects more")
		}
	})
}

// A callback may arrive while the push is still waiting for its answer.
func TestInvariant4_ACallbackMayOvertakeThePush(t *testing.T) {
	for _, row := range []struct {
		what   string
		answer func(context.Context, string) (string, error)
	}{
		{"accepted", accepts},
		{"unknown", refuses(truecaller.PushUnknown)},
		{"no account", refuses(truecaller.PushNoAccount)},
		{"unavailable", refuses(truecaller.PushUnavailable)},
		{"refused", refuses(truecaller.PushRefused)},
		{"appkey", refuses(truecaller.PushAppKeyRejected)},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			w.phone.answer = func(ctx context.Context, state string) (string, error) {
				d := w.callback(func(d *truecaller.Delivery) { d.State = state })
				if expected, err := w.engine.Expects(ctx, d.App, d.Callback); !expected || err != nil {
					t.Errorf("not expected: %v", err)
				}
				w.must(w.engine.Token(ctx, d))
				w.must(w.engine.Profile(ctx, d, profile(t, "asha", digits)))
				return row.answer(ctx, state)
			}
			a := w.start()
			w.expect(a.ID, login.Approved, login.NoReason)
			if _, err := w.finish(a.ID); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("declined", func(t *testing.T) {
		w := newWorld(t)
		w.phone.answer = func(ctx context.Context, state string) (string, error) {
			w.must(w.engine.Progress(ctx, w.callback(status("user_rejected"))))
			return "request", nil
		}
		w.expect(w.start().ID, login.Rejected, login.UserRejected)
	})
}

func TestInvariant5_AForeignEndpointEndsTheAttempt(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	w.must(w.engine.Failed(t.Context(), w.callback(), truecaller.ErrForeignEndpoint))
	w.expect(a.ID, login.Failed, login.ForeignEndpoint)
	w.emptyInbox()
	if !w.log.has("attempt.failed", map[string]string{"reason": "foreign_endpoint", "level": "WARN"}) {
		t.Errorf("it is not audited:\n%s", w.log.text())
	}
	if !w.locked() {
		t.Error("a hostile callback released the lock")
	}
}

func TestInvariant6_TheStateIsOurs(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	state := w.phone.state()
	if raw, err := base64.RawURLEncoding.DecodeString(state); err != nil || len(raw) != 32 {
		t.Fatalf("the state is %d bytes (%v), want 32", len(raw), err)
	}
	if a.Correlation != sha256.Sum256([]byte(state)) {
		t.Error("the attempt is not found by the hash of the state")
	}
	b := w.start(dialled(t, "46701740606"))
	if w.phone.state() == state || a.ID == b.ID {
		t.Error("two attempts share a state or an id")
	}
	if strings.Contains(w.log.text(), state) {
		t.Error("the state is in the log")
	}
}

// A callback with our state that does not agree is ignored and audited; the
// right one still counts. Used once, the state is worth nothing.
func TestInvariant6_DisagreeingCallbacksAreIgnored(t *testing.T) {
	stray := map[string]func(*truecaller.Delivery){
		"another requestId":    func(d *truecaller.Delivery) { d.RequestID = "another" },
		"another app's path":   func(d *truecaller.Delivery) { d.App = "second" },
		"an endless requestId": func(d *truecaller.Delivery) { d.RequestID = strings.Repeat("r", 257) },
	}
	for what, change := range stray {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			a := w.start()
			w.settle() // the requestId is known
			d := w.callback(change)
			if err := w.engine.Token(t.Context(), d); !errors.Is(err, truecaller.ErrNotFound) {
				t.Errorf("Token: %v", err)
			}
			w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
			w.must(w.engine.Progress(t.Context(), w.callback(change, status("user_rejected"))))
			w.must(w.engine.Failed(t.Context(), w.callback(change), truecaller.ErrUnauthorized))
			w.expect(a.ID, login.Waiting, login.NoReason)
			w.emptyInbox()
			if n := w.log.count("attempt.callback_mismatch", map[string]string{"attempt": string(a.ID)}); n != 4 {
				t.Errorf("audited %d times, want 4", n)
			}
			w.approve()
			w.expect(a.ID, login.Approved, login.NoReason)
		})
	}
}

// What this process does not hold decides nothing, whatever it has brought.
func TestInvariant8_ALostDeliveryDecidesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	for what, decide := range map[string]func(truecaller.Delivery) error{
		"a profile": func(d truecaller.Delivery) error { return w.engine.Profile(t.Context(), d, profile(t, "asha", digits)) },
		"another number's profile": func(d truecaller.Delivery) error {
			return w.engine.Profile(t.Context(), d, profile(t, "mallory", "46701740699"))
		},
		"a failure": func(d truecaller.Delivery) error { return w.engine.Failed(t.Context(), d, truecaller.ErrUnauthorized) },
		"a bad address": func(d truecaller.Delivery) error {
			return w.engine.Failed(t.Context(), d, truecaller.ErrForeignEndpoint)
		},
		"a refusal": func(d truecaller.Delivery) error {
			d.AccessToken, d.Status = "", "user_rejected"
			return w.engine.Progress(t.Context(), d)
		},
	} {
		d := w.callback()
		w.must(w.store.DropDelivery(t.Context(), d.ID)) // as if another process had it
		w.settle()
		if err := decide(d); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if a := w.record(a.ID); a.State.Terminal() || a.State == login.Approved {
			t.Fatalf("%s: the attempt is %s %s", what, a.State, a.Reason)
		}
	}
	if !w.locked() {
		t.Error("the lock is gone")
	}
	w.approve()
	w.expect(a.ID, login.Approved, "")
}
