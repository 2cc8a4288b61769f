// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

func TestInvariant7_OneOpenPushPerNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		end := w.start().Expires
		other := func(s *login.PushRequest) { s.Browser, s.ClientID, s.Network = "another", "another", "2001:db8::/64" }
		refused := func() {
			t.Helper()
			_, err := w.begin(other)
			exceeded := (*limit.Exceeded)(nil)
			if !errors.As(err, &exceeded) || exceeded.Kind != limit.Lock || !exceeded.RetryAt.Equal(end) {
				t.Errorf("whoever asks: %v", err)
			}
		}
		refused()
		time.Sleep(4 * time.Minute)
		w.restart()
		refused()
		time.Sleep(time.Minute - time.Nanosecond)
		refused()
		if w.phone.pushes() != 1 {
			t.Errorf("%d pushes", w.phone.pushes())
		}
		time.Sleep(time.Nanosecond)
		if _, err := w.begin(other); err != nil {
			t.Errorf("after five minutes: %v", err)
		}
	})
}

// The lock ends early only when Truecaller has given its answer.
func TestInvariant7_TheLockEndsOnTruecallersWord(t *testing.T) {
	rows := []struct {
		what   string
		step   func(*world, login.Attempt)
		locked bool
	}{
		{"approved", func(w *world, _ login.Attempt) { w.approve() }, false}, // see TestThreat_PromptConfusion for other browsers
		{"declined", func(w *world, _ login.Attempt) {
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("user_rejected"))))
		}, false},
		{"no profile", func(w *world, _ login.Attempt) {
			w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrUnauthorized))
		}, false},
		{"cancelled in the browser", func(w *world, a login.Attempt) {
			w.must(w.engine.Cancel(w.t.Context(), a.ID, browser))
		}, true},
		{"progress", func(w *world, _ login.Attempt) {
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("flow_invoked"))))
		}, true},
		{"a token", func(w *world, _ login.Attempt) { w.must(w.engine.Token(w.t.Context(), w.callback())) }, true},
		{"another number's profile", func(w *world, _ login.Attempt) {
			w.must(w.engine.Profile(w.t.Context(), w.callback(), profile(w.t, "asha", "46701740606")))
		}, true},
		{"a foreign endpoint", func(w *world, _ login.Attempt) {
			w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrForeignEndpoint))
		}, true},
		{"the push was refused", func(w *world, _ login.Attempt) {}, false},
		{"cancelled after the approval", func(w *world, a login.Attempt) {
			w.approve()
			w.must(w.engine.Cancel(w.t.Context(), a.ID, browser))
		}, false},
		{"used", func(w *world, a login.Attempt) {
			w.approve()
			_, err := w.finish(a.ID)
			w.must(err)
		}, false},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			w := newWorld(t)
			if row.what == "the push was refused" {
				w.phone.answer = refuses(truecaller.PushRefused)
			}
			a := w.start()
			row.step(w, a)
			if w.locked() != row.locked {
				t.Errorf("locked: %v", !row.locked)
			}
			// What the page tells the person is what is so.
			if told := w.engine.AgainAt(w.record(a.ID)).After(time.Now()); told != row.locked {
				t.Errorf("the page says locked: %v", told)
			}
		})
	}
	for _, row := range []struct{ lock, coolDown, want time.Duration }{
		{10 * time.Minute, 20 * time.Minute, 10 * time.Minute},
		{10 * time.Minute, time.Minute, 10 * time.Minute}, // a decline opens no number sooner
	} {
		t.Run(fmt.Sprint("declined, with a cool-down of ", row.coolDown), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) { c.CoolDown, c.Lock = row.coolDown, row.lock })
				a := w.start()
				time.Sleep(time.Minute)
				w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
				again := w.engine.AgainAt(w.record(a.ID))
				if !again.Equal(time.Now().Add(row.want)) {
					t.Errorf("the page says %v, at %v", again, time.Now())
				}
				time.Sleep(row.want - 1)
				if !w.locked() {
					t.Error("a declined number is free too early")
				}
				time.Sleep(time.Nanosecond)
				if w.locked() {
					t.Error("a declined number stays locked")
				}
			})
		})
	}
}

// A late release does not end a lock that a later attempt holds.
func TestInvariant7_ALockIsReleasedByItsHolderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) { c.Lock = time.Minute })
		w.start()
		first := w.phone.state()
		time.Sleep(time.Minute)
		w.start()
		d := w.callback(status("user_rejected"), func(d *truecaller.Delivery) { d.State = first })
		w.must(w.engine.Progress(t.Context(), d))
		if !w.locked() {
			t.Error("the first attempt's decline released the second's lock")
		}
	})
}

func TestInvariant7_BudgetsAreSpentWithTheAttempt(t *testing.T) {
	two := limit.Rate{Burst: 2, Period: time.Hour}
	rows := []struct {
		kind limit.Kind
		set  func(*login.Limits)
		same func(*login.PushRequest) // what the tries have in common is in here
	}{
		{limit.Number, func(l *login.Limits) { l.Number = two }, func(s *login.PushRequest) { s.Network, s.ClientID = string(s.Browser), string(s.Browser) }},
		{limit.Network, func(l *login.Limits) { l.Network = two }, func(s *login.PushRequest) { s.ClientID = string(s.Browser) }},
		{limit.Client, func(l *login.Limits) { l.Client = two }, func(s *login.PushRequest) { s.Network = string(s.Browser) }},
		{limit.Deployment, func(l *login.Limits) { l.Deployment = two }, func(s *login.PushRequest) { s.Network, s.ClientID = string(s.Browser), string(s.Browser) }},
	}
	for _, row := range rows {
		t.Run(string(row.kind), func(t *testing.T) {
			w := newWorld(t, func(c *login.Config) { row.set(&c.Limits) })
			try := func(n string) error {
				_, err := w.begin(row.same, func(s *login.PushRequest) {
					s.Browser = login.BrowserSecret("browser " + n)
					row.same(s)
					if row.kind != limit.Number {
						s.Number = num(t, "4670174061"+n)
					}
				})
				if err == nil && row.kind == limit.Number { // release the lock, not the budget
					w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
				}
				return err
			}
			for _, n := range []string{"1", "2"} {
				w.must(try(n))
			}
			w.restart()
			exceeded := (*limit.Exceeded)(nil)
			if err := try("3"); !errors.As(err, &exceeded) || exceeded.Kind != row.kind || !exceeded.RetryAt.After(time.Now()) {
				t.Errorf("the third: %v", err)
			}
			if w.phone.pushes() != 2 {
				t.Errorf("%d pushes", w.phone.pushes())
			}
			if !w.log.has("attempt.limited", map[string]string{"limit": string(row.kind)}) {
				t.Error("the refusal is not audited")
			}
			// A refused submission takes nothing, the lock neither.
			if row.kind != limit.Number && w.isLocked("46701740613") {
				t.Error("the refused number is locked")
			}
		})
	}
}

// Nobody can tell by the record that a page shows whether the number has an
// account.
func TestInvariant7_NoAccountLooksLikeNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		silent := w.start()
		w.phone.answer = refuses(truecaller.PushNoAccount)
		nobody := w.start(dialled(t, "46701740617"))
		w.settle()
		for range 7 {
			a, b := w.record(silent.ID), w.record(nobody.ID)
			if a.State != b.State || a.Reason != b.Reason || !a.Expires.Equal(b.Expires) {
				t.Fatalf("%s %s %v, but %s %s %v", a.State, a.Reason, a.Expires, b.State, b.Reason, b.Expires)
			}
			_, lockA := w.begin()
			_, lockB := w.begin(dialled(t, "46701740617"))
			if (lockA == nil) != (lockB == nil) {
				t.Fatalf("%v, but %v", lockA, lockB)
			}
			time.Sleep(time.Minute)
		}
	})
}

// An attempt knows what its number and its network had left after it, and when
// the next is possible; what others do later does not change it.
func TestTriesAreThoseOfTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.Limits.Number = limit.Rate{Burst: 2, Period: 24 * time.Hour}
			c.Limits.Network = limit.Rate{Burst: 4, Period: time.Hour}
		})
		left := func(n int) {
			t.Helper()
			if tries, err := w.engine.NetworkTries(t.Context(), "192.0.2.7/32", login.Push); err != nil || tries.Left != n {
				t.Errorf("the network has %+v, %v; want %d", tries, err, n)
			}
		}
		left(4)
		first := w.start()
		left(3)
		time.Sleep(5 * time.Minute)
		second := w.start()
		if again := w.engine.AgainAt(w.record(first.ID)); again.After(time.Now()) {
			t.Errorf("the first attempt's page tells that the number is asked again: %v", again)
		}
		other := w.start(dialled(t, "46701740606"))
		last := w.start(dialled(t, "46701740607"))
		left(0)
		for _, row := range []struct {
			what string
			a    login.Attempt
			want login.Tries
		}{
			{"the first", first, login.Tries{Left: 1, Next: first.Created}},
			{"the last for the number", second, login.Tries{Left: 0, Next: first.Created.Add(12 * time.Hour)}},
			{"another number", other, login.Tries{Left: 1, Next: other.Created}},
			{"the last for the network", last, login.Tries{Left: 0, Next: last.Created.Add(10 * time.Minute)}},
		} {
			if got := w.record(row.a.ID).Tries; got.Left != row.want.Left || !got.Next.Equal(row.want.Next) {
				t.Errorf("%s: %+v, want %+v", row.what, got, row.want)
			}
		}
		// The number has no try left: later than the lock says. An approval gives one back.
		if again := w.engine.AgainAt(w.record(second.ID)); !again.Equal(first.Created.Add(12 * time.Hour)) {
			t.Errorf("the page says %v, at %v", again, time.Now())
		}
		d := w.callback(func(d *truecaller.Delivery) { d.State = w.phone.states[1] })
		w.must(w.engine.Profile(t.Context(), d, profile(t, "asha", digits)))
		if again := w.engine.AgainAt(w.record(second.ID)); again.After(time.Now()) {
			t.Errorf("approved, and the page says %v, at %v", again, time.Now())
		}
		tries, err := w.engine.NetworkTries(t.Context(), "192.0.2.7/32", login.Push)
		if err != nil || !tries.Next.Equal(time.Now().Add(10*time.Minute)) {
			t.Errorf("the network: %+v, %v", tries, err)
		}
		time.Sleep(10 * time.Minute)
		left(1)
	})
}

// A solved challenge buys one push, and lets it have the reserve of the
// network's budget. It is used up in the transaction that creates the attempt,
// and only there.
func TestInvariant7_ASolvedChallengeBuysOnePush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.Limits.Network, c.Limits.Reserve = limit.Rate{Burst: 3, Period: time.Hour}, 2
		})
		end := time.Now().Add(time.Hour)
		push := func(id, digits string, until time.Time) error {
			_, err := w.begin(dialled(t, digits), func(s *login.PushRequest) { s.Solved = login.Solved{ID: id, Until: until} })
			return err
		}
		refused := func(err error, kind limit.Kind, reserved bool) {
			t.Helper()
			exceeded := (*limit.Exceeded)(nil)
			if !errors.As(err, &exceeded) || exceeded.Kind != kind || exceeded.Reserved != reserved {
				t.Errorf("%+v, %v; want %s, reserved %v", exceeded, err, kind, reserved)
			}
		}
		w.must(push("", "46701740601", time.Time{}))
		refused(push("", "46701740602", time.Time{}), limit.Network, true)
		_, err := w.begin(dialled(t, "46701740601"), another(1), func(s *login.PushRequest) {
			s.Network, s.Solved = "192.0.2.99/32", login.Solved{ID: "refused", Until: end}
		})
		refused(err, limit.Lock, false) // which uses it up
		refused(push("refused", "46701740602", end), limit.Challenge, false)
		w.must(push("a", "46701740602", end))
		w.restart()
		refused(push("a", "46701740603", end), limit.Challenge, false)
		refused(push("old", "46701740603", time.Now()), limit.Challenge, false) // fail closed
		w.must(push("b", "46701740603", end))
		refused(push("c", "46701740604", end), limit.Network, false)
		time.Sleep(time.Hour - 1)
		refused(push("a", "46701740604", end), limit.Challenge, false)
		if n := w.phone.pushes(); n != 3 {
			t.Errorf("%d pushes", n)
		}
	})
}

// What comes without a challenge leaves the reserve to those who solve one, in every
// budget that users have in common.
func TestInvariant7_TheReserveIsForThoseWhoSolve(t *testing.T) {
	six := limit.Rate{Burst: 6, Period: time.Hour}
	for kind, narrow := range map[limit.Kind]func(*login.Limits){
		limit.Network:    func(l *login.Limits) { l.Network = six },
		limit.Client:     func(l *login.Limits) { l.Client = six },
		limit.Deployment: func(l *login.Limits) { l.Deployment = six },
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) {
					narrow(&c.Limits)
					c.Limits.Reserve = c.Limits.Network.Burst / 2
				})
				push := func(i int, solved string) error {
					_, err := w.begin(dialled(t, fmt.Sprint(46701740600+i)), func(s *login.PushRequest) {
						s.Solved = login.Solved{ID: solved, Until: time.Now().Add(time.Hour)}
					})
					return err
				}
				for i := range 3 {
					w.must(push(i, ""))
				}
				if full := w.refused(push(3, ""), kind); !full.Reserved || !full.RetryAt.Equal(time.Now().Add(10*time.Minute)) {
					t.Errorf("a push without a challenge: %+v", full)
				}
				if tries, err := w.engine.UnsolvedTries(t.Context(), "192.0.2.7/32", "demo"); err != nil || tries.Left != 0 {
					t.Errorf("%+v, %v are left for those who solve nothing", tries, err)
				}
				for i := range 3 {
					w.must(push(3+i, fmt.Sprint("challenge ", i)))
				}
				if full := w.refused(push(6, "the last"), kind); full.Reserved {
					t.Errorf("more than there is: %+v", full)
				}
			})
		})
	}
}

// Sign-ins spend from parts of a large budget that all share, so that they need not wait
// for each other; together what they would have spent from the whole.
func TestInvariant7_SharedBudgetsAreInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := limit.Rate{Burst: 100_000, Period: time.Hour}
		w := newWorld(t, offersOneTap, func(c *login.Config) {
			c.Limits.Client, c.Limits.Deployment, c.Limits.SilentClient, c.Limits.SilentDeployment = large, large, large, large
		})
		const pushes = 40
		for i := range pushes {
			w.start(dialled(t, fmt.Sprint(46701740600+i)), func(r *login.PushRequest) { r.Network = fmt.Sprintf("192.0.2.%d/32", i) })
			w.must2(w.tap(func(r *login.OneTapRequest) { r.Nonce = redact.Text(fmt.Sprintf("%043d", i)) }))
		}
		for _, key := range []limit.Key{
			{Kind: limit.Client, ID: "demo"}, {Kind: limit.Deployment}, {Kind: limit.SilentClient, ID: "demo"}, {Kind: limit.SilentDeployment},
		} {
			parts, met := limit.Charge{Key: key, Rate: large}.Parts(), 0
			states, err := w.store.LimitStates(t.Context(), key.Parts()[:len(parts)]...)
			w.must(err)
			for _, s := range states {
				if !s.Until.IsZero() {
					met++
				}
			}
			if left, _, _ := limit.LeftOf(parts, states, time.Now()); left != large.Burst-pushes {
				t.Errorf("%s has %d left, want %d", key.Kind, left, large.Burst-pushes)
			}
			if met < 2 { // by chance, once in 10^39 times
				t.Errorf("%d sign-ins met %d of the %d parts of %s", pushes, met, len(parts), key.Kind)
			}
		}
	})
}
