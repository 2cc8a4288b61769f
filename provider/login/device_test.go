// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// known is a browser that has signed in with the number before.
func known(r *login.PushRequest) { r.Device, r.Browser, r.Network = "device", browser, "192.0.2.7/32" }

// Strangers cannot lock a user out of a browser that has signed in before: neither by
// an open push, nor by a decline, nor by spending the number's budget.
func TestThreat_StrangersDoNotLockAKnownBrowserOut(t *testing.T) {
	for what, closes := range map[string]func(*world){
		"an open push": func(w *world) { w.start(another(1)) },
		"a declined push": func(w *world) {
			w.start(another(1))
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("user_rejected"))))
		},
		"the number's budget": func(w *world) {
			for range 2 {
				w.start(another(1))
				time.Sleep(5 * time.Minute)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) {
					c.CoolDown, c.AfterApproval = time.Hour, 2*time.Minute
					c.Limits.Number = limit.Rate{Burst: 2, Period: 24 * time.Hour}
				})
				closes(w)
				if _, err := w.begin(another(2)); err == nil {
					t.Fatal("the number is open to everybody")
				}
				w.restart()
				a := w.start(known)
				w.approve()
				w.expect(a.ID, login.Approved, "")
			})
		})
	}
}

// The lane of a known browser is one push at a time, and has a budget. While its push
// is open, and for a while after the approval, nobody else's follows.
func TestInvariant7_AKnownBrowserHasALaneAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.CoolDown, c.AfterApproval = 15*time.Minute, 2*time.Minute
			c.Limits.Device = limit.Rate{Burst: 3, Period: 24 * time.Hour}
		})
		stranger := func(kind limit.Kind) {
			t.Helper()
			_, err := w.begin(another(1))
			w.refused(err, kind)
		}
		same := func(r *login.PushRequest) { known(r); r.Browser = "after a sign-out" }
		free := func(r *login.PushRequest) { known(r); r.Device = "another device" }

		w.start(another(2))
		time.Sleep(4 * time.Minute)
		a := w.start(known)
		if again := w.start(known); again.ID != a.ID {
			t.Error("the same browser is not led to its push")
		}
		_, err := w.begin(same)
		w.refused(err, limit.DeviceLock)
		time.Sleep(4 * time.Minute)
		w.restart()
		stranger(limit.Lock) // the first stranger's lock has ended, this push is open
		w.approve()
		stranger(limit.Lock)

		// The lane is free as soon as its push is approved, also under another secret.
		w.start(same, func(r *login.PushRequest) { r.Before = []login.BrowserSecret{browser} })
		time.Sleep(2 * time.Minute)
		stranger(limit.Lock) // it is taken with the lane's
		w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
		_, err = w.begin(known) // a decline cools the lane down
		w.refused(err, limit.DeviceLock)
		stranger(limit.Lock)
		w.start(free) // other devices have lanes of their own
		time.Sleep(15 * time.Minute)
		w.start(known)
		time.Sleep(5 * time.Minute)
		w.start(known) // the push that was approved has cost nothing
		time.Sleep(5 * time.Minute)
		_, err = w.begin(known)
		w.refused(err, limit.Device)
	})
}

// Of a number's budget too, a part is for unknown browsers that solve a challenge:
// strangers who solve none cannot close the door.
func TestInvariant7_ANumberHasAReserve(t *testing.T) {
	w := newWorld(t, func(c *login.Config) {
		c.Limits.Number = limit.Rate{Burst: 4, Period: 24 * time.Hour}
		c.Limits.Reserve = c.Limits.Network.Burst / 2
	})
	push := func(n int, solved string) error {
		_, err := w.begin(another(n), func(r *login.PushRequest) {
			r.Solved = login.Solved{ID: solved, Until: time.Now().Add(time.Hour)}
		})
		if err == nil { // an approval would give it back
			w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
		}
		return err
	}
	w.must(push(1, ""))
	w.must(push(2, ""))
	if refused := w.refused(push(3, ""), limit.Number); !refused.Reserved {
		t.Errorf("without a challenge: %+v", refused)
	}
	w.must(push(3, "a"))
	w.must(push(4, "b"))
	if refused := w.refused(push(5, "c"), limit.Number); refused.Reserved {
		t.Errorf("more than there is: %+v", refused)
	}
}
