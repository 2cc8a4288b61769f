// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"calleridp/provider/login"
	"calleridp/truecaller"
)

// The process ends after every step in turn, and another one goes on over the
// same file: the sign-in completes, and is used once.
func TestACrashAtAnyStepLosesNothing(t *testing.T) {
	type run struct {
		w *world
		a login.Attempt
		d truecaller.Delivery
	}
	// What the worker does with a delivery. It stops where there is no more to do.
	token := func(r *run) bool {
		err := r.w.engine.Token(r.w.t.Context(), r.d)
		if err != nil && !errors.Is(err, truecaller.ErrNotFound) {
			r.w.t.Error(err)
		}
		return err == nil
	}
	fetched := func(r *run) {
		r.w.must(r.w.engine.Profile(r.w.t.Context(), r.d, profile(r.w.t, "asha", digits)))
	}
	steps := []func(*run){
		func(r *run) { r.a = r.w.start() },
		func(r *run) { r.d = r.w.callback() },
		func(r *run) { token(r) },
		fetched,
		func(r *run) {
			_, err := r.w.finish(r.a.ID)
			r.w.must(err)
		},
	}
	for crash := range steps {
		t.Run(fmt.Sprint("after step ", crash), func(t *testing.T) {
			r := &run{w: newWorld(t)}
			for i, step := range steps {
				step(r)
				if i == crash {
					r.w.restart()
					// The inbox is worked on again from the start, as the worker does, also
					// what was finished already and only not yet forgotten.
					if i >= 1 && i < 4 && token(r) {
						fetched(r)
					}
				}
			}
			r.w.expect(r.a.ID, login.Done, login.NoReason)
			r.w.emptyInbox()
			if n := r.w.log.count("attempt.approved", nil); n != 1 {
				t.Errorf("approved %d times", n)
			}
		})
	}
}

// The process ends while the push is under way. Whether it was sent is unknown:
// it is not sent again, and a callback completes the sign-in.
func TestACrashDuringThePush(t *testing.T) {
	w := newWorld(t)
	w.phone.answer = func(context.Context, string) (string, error) { panic("the process ends here") }
	func() {
		defer func() { recover() }()
		w.begin()
	}()
	w.restart()
	if w.phone.pushes() != 1 || !w.locked() {
		t.Errorf("%d pushes, locked %v", w.phone.pushes(), w.locked())
	}
	d := w.callback()
	expected, err := w.engine.Expects(t.Context(), d.App, d.Callback)
	w.must(err)
	if !expected {
		t.Error("the callback is not expected")
	}
	w.must(w.engine.Token(t.Context(), d))
	w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
	if !w.log.has("attempt.approved", nil) {
		t.Error("the attempt was not approved")
	}
}

// Two different tokens for one attempt: while one is tried, the other's failure
// does not end it. This must survive the way through the store.
func TestAFailedTokenLeavesAnotherItsChance(t *testing.T) {
	w := newWorld(t)
	a := w.start()
	first, second := w.callback(), w.callback(func(d *truecaller.Delivery) { d.AccessToken = "another" })
	w.must(w.engine.Token(t.Context(), first))
	w.must(w.engine.Token(t.Context(), second))
	w.must(w.engine.Failed(t.Context(), first, truecaller.ErrUnauthorized))
	w.expect(a.ID, login.TokenReceived, login.NoReason)
	w.must(w.engine.Profile(t.Context(), second, profile(t, "asha", digits)))
	w.expect(a.ID, login.Approved, login.NoReason)
	w.emptyInbox()
}
