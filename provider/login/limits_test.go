package login_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
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
	t.Run("cooling down", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *login.Config) { c.CoolDown = 20 * time.Minute })
			a := w.start()
			time.Sleep(time.Minute)
			w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
			again := w.engine.AgainAt(w.record(a.ID))
			if !again.Equal(time.Now().Add(20 * time.Minute)) {
				t.Errorf("the page says %v, at %v", again, time.Now())
			}
			time.Sleep(20*time.Minute - 1)
			if !w.locked() {
				t.Error("a declined number cooled down too early")
			}
			time.Sleep(time.Nanosecond)
			if w.locked() {
				t.Error("a declined number stays locked")
			}
		})
	})
}

func another(n int) func(*login.PushRequest) {
	return func(s *login.PushRequest) {
		s.Browser = login.BrowserSecret(fmt.Sprintf("another browser, %d", n))
		s.Network = fmt.Sprintf("192.0.2.%d/32", 100+n)
	}
}

func (w *world) refused(err error, kind limit.Kind) *limit.Exceeded {
	w.t.Helper()
	exceeded := (*limit.Exceeded)(nil)
	if !errors.As(err, &exceeded) || exceeded.Kind != kind {
		w.t.Fatalf("%v, want a refusal by %s", err, kind)
	}
	return exceeded
}

// Whoever waits for the moment in which a user approves cannot have the next prompt
// on their phone: for other browsers the lock stays, on every node and after a
// restart. The browser that was approved may go on.
func TestThreat_PromptConfusion(t *testing.T) {
	ends := map[string]func(*world){
		"approved": (*world).approve,
		"approved, and the profile is not to be had": func(w *world) {
			w.must(w.engine.Failed(w.t.Context(), w.callback(), truecaller.ErrUnauthorized))
		},
		"approved, and the account is inactive": func(w *world) {
			p := profile(w.t, "asha", digits)
			p.Inactive = true
			w.must(w.engine.Profile(w.t.Context(), w.callback(), p))
		},
	}
	for what, end := range ends {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) { c.AfterApproval = 2 * time.Minute })
				a := w.start()
				_, err := w.begin(another(1))
				w.refused(err, limit.Lock)
				end(w)
				for n := range 3 {
					_, err := w.begin(another(n))
					if refused := w.refused(err, limit.Lock); refused.Holder != "" || !refused.RetryAt.Equal(time.Now().Add(2*time.Minute)) {
						t.Errorf("another browser is told %+v", refused)
					}
				}
				w.restart()
				time.Sleep(2*time.Minute - 1)
				_, err = w.begin(another(1))
				w.refused(err, limit.Lock)
				if again := w.engine.AgainAt(w.record(a.ID)); again.After(time.Now()) {
					t.Errorf("its own browser is told to wait until %v", again)
				}
				w.start() // its own browser
				if w.phone.pushes() != 2 {
					t.Errorf("%d pushes", w.phone.pushes())
				}
				_, err = w.begin(another(1)) // a lock like any other
				w.refused(err, limit.Lock)
			})
		})
	}
	t.Run("for two minutes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *login.Config) { c.AfterApproval = 2 * time.Minute })
			w.start()
			w.approve()
			time.Sleep(2 * time.Minute)
			if _, err := w.begin(another(1)); err != nil {
				t.Error(err)
			}
		})
	})
}

// Polling a number costs the one who polls, whatever refuses, and a solved challenge
// is good for one try.
func TestThreat_PollingANumberIsPaidFor(t *testing.T) {
	locks := func(w *world) { w.start() }
	for what, refuses := range map[string]func(*world){
		"a lock": locks,
		"a cool-down": func(w *world) {
			w.start()
			w.must(w.engine.Progress(w.t.Context(), w.callback(status("user_rejected"))))
		},
		"after an approval": func(w *world) {
			w.start()
			w.approve()
		},
		"the number's budget": func(w *world) {
			w.start()
			w.approve()
			time.Sleep(2 * time.Minute)
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) {
					c.AfterApproval, c.CoolDown = 2*time.Minute, 15*time.Minute
					c.Limits.Number = limit.Rate{Burst: 1, Period: 24 * time.Hour}
					c.Limits.Network = limit.Rate{Burst: 5, Period: 24 * time.Hour}
				})
				refuses(w)
				end := time.Now().Add(time.Hour)
				poll := func(id string) error {
					_, err := w.begin(another(1), func(s *login.PushRequest) { s.Solved = login.Solved{ID: id, Until: end} })
					return err
				}
				for i := range 5 {
					exceeded := (*limit.Exceeded)(nil)
					if err := poll(fmt.Sprint("challenge ", i)); !errors.As(err, &exceeded) || exceeded.Kind != limit.Lock && exceeded.Kind != limit.Number {
						t.Fatalf("poll %d: %v", i, err)
					}
					w.refused(poll(fmt.Sprint("challenge ", i)), limit.Challenge)
					w.restart()
				}
				w.refused(poll("another challenge"), limit.Network)
			})
		})
	}
}

// With what the one who asks may spend used up, the answer is the same for every
// number, whatever its phone is doing (invariant 7).
func TestThreat_RefusalsAreNoOracle(t *testing.T) {
	one := limit.Rate{Burst: 1, Period: time.Hour}
	for kind, narrow := range map[limit.Kind]func(*login.Limits){
		limit.Network:    func(l *login.Limits) { l.Network = one },
		limit.Client:     func(l *login.Limits) { l.Client = one },
		limit.Deployment: func(l *login.Limits) { l.Deployment = one },
		limit.Challenge:  func(*login.Limits) {},
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) { c.CoolDown, c.AfterApproval = time.Hour, time.Hour })
				open, approved, declined, idle := "46701740601", digits, "46701740603", "46701740604"
				w.start(dialled(t, open))
				w.start(dialled(t, approved))
				w.approve()
				w.start(dialled(t, declined))
				w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
				narrow(&w.config.Limits)
				w.restart()
				poll := func(number string) error {
					_, err := w.begin(another(1), dialled(t, number), func(s *login.PushRequest) {
						s.ClientID = "another"
						if kind == limit.Challenge {
							s.Solved = login.Solved{ID: "solved", Until: time.Now().Add(time.Hour)}
						}
					})
					return err
				}
				time.Sleep(time.Second)
				w.must(poll("46701740699")) // spends what there was
				want := w.refused(poll(idle), kind)
				for _, number := range []string{open, approved, declined} {
					if got := w.refused(poll(number), kind); *got != *want {
						t.Errorf("%s: %+v, want %+v", number, got, want)
					}
				}
			})
		})
	}
}

// While a push is open, its own browser is led to the page that waits for it. Another
// browser is not: the prompt on the phone is not its own.
func TestThreat_NobodyIsLedToApproveAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) { c.Limits.Network = limit.Rate{Burst: 1, Period: time.Hour} })
		a := w.start()
		for range 3 {
			w.restart()
			again, err := w.begin(func(r *login.PushRequest) { r.Request, r.ClientID = []byte("another tab's"), "another" })
			if err != nil || again.ID != a.ID {
				t.Errorf("led to %q, %v; want %q", again.ID, err, a.ID)
			}
		}
		_, err := w.begin(another(1))
		if refused := w.refused(err, limit.Lock); refused.Holder != "" {
			t.Errorf("another browser is told %+v", refused)
		}
		if w.phone.pushes() != 1 || w.log.count("attempt.started", nil) != 1 {
			t.Errorf("%d pushes:\n%s", w.phone.pushes(), w.log.text())
		}
		// What the browser has cancelled is open on the phone, but no page waits for it.
		w.must(w.engine.Cancel(t.Context(), a.ID, browser))
		_, err = w.begin()
		if refused := w.refused(err, limit.Lock); refused.Holder != string(a.ID) {
			t.Errorf("the browser that has cancelled is told %+v", refused)
		}
	})
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
		w.approve()
		left(3)
		second := w.start()
		if again := w.engine.AgainAt(w.record(first.ID)); again.After(time.Now()) {
			t.Errorf("the first attempt's page tells that the number is asked again: %v", again)
		}
		w.approve()
		other := w.start(dialled(t, "46701740606"))
		last := w.start(dialled(t, "46701740607"))
		left(0)
		for _, row := range []struct {
			what string
			a    login.Attempt
			want login.Tries
		}{
			{"the first", first, login.Tries{Left: 1, Next: first.Created}},
			{"the last for the number", second, login.Tries{Left: 0, Next: second.Created.Add(12 * time.Hour)}},
			{"another number", other, login.Tries{Left: 1, Next: other.Created}},
			{"the last for the network", last, login.Tries{Left: 0, Next: last.Created.Add(15 * time.Minute)}},
		} {
			if got := w.record(row.a.ID).Tries; got.Left != row.want.Left || !got.Next.Equal(row.want.Next) {
				t.Errorf("%s: %+v, want %+v", row.what, got, row.want)
			}
		}
		// Approved, but the number has no try left: later than the lock says.
		if again := w.engine.AgainAt(w.record(second.ID)); !again.Equal(second.Created.Add(12 * time.Hour)) {
			t.Errorf("the page says %v, at %v", again, time.Now())
		}
		tries, err := w.engine.NetworkTries(t.Context(), "192.0.2.7/32", login.Push)
		if err != nil || !tries.Next.Equal(time.Now().Add(15*time.Minute)) {
			t.Errorf("the network: %+v, %v", tries, err)
		}
		time.Sleep(15 * time.Minute)
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

// One-tap and native sign-ins ring no phone and cost no work. Whoever empties their
// budgets takes nothing from pushes, at any level.
func TestThreat_WhatRingsNoPhoneSpendsNothingOfPushes(t *testing.T) {
	two := limit.Rate{Burst: 2, Period: time.Hour}
	for kind, narrow := range map[limit.Kind]func(*login.Limits){
		limit.SilentNetwork:    func(l *login.Limits) { l.SilentNetwork, l.Network = two, two },
		limit.SilentClient:     func(l *login.Limits) { l.SilentClient, l.Client = two, two },
		limit.SilentDeployment: func(l *login.Limits) { l.SilentDeployment, l.Deployment = two, two },
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, offersOneTap, func(c *login.Config) {
					narrow(&c.Limits)
					c.Exchanger = &oauthDouble{userinfo: tells(t, "1")}
					c.Apps["native"] = truecaller.App{ID: "native", NativeClientID: "id"}
				})
				tap := func(i int) error {
					_, err := w.tap(func(r *login.OneTapRequest) { r.Nonce, r.ClientID = fmt.Sprintf("%043d", i), "demo" })
					return err
				}
				native := func(i int) error {
					_, err := w.native(code(fmt.Sprint(i)), func(r *login.NativeRequest) {
						r.App, r.ClientID, r.Network = "native", "demo", "192.0.2.7/32"
					})
					return err
				}
				w.must(tap(1))
				w.must(native(1))
				w.refused(tap(2), kind)
				w.refused(native(2), kind)
				w.start()
				w.start(dialled(t, "46701740606"))
			})
		})
	}
}

// Whoever has an IPv6 /48 or /56 has many /64s, and not many budgets.
func TestThreat_ManyNetworksOfOneAttacker(t *testing.T) {
	two := limit.Rate{Burst: 2, Period: time.Hour}
	for _, row := range []struct{ what, net string }{
		{"a /56", "2001:db8:1:%x::/64"},
		{"a /48", "2001:db8:1:%x00::/64"},
	} {
		for method, kind := range map[login.Method]limit.Kind{login.Push: limit.Network, login.OneTap: limit.SilentNetwork} {
			t.Run(row.what+" "+string(method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, offersOneTap, func(c *login.Config) {
						c.Limits.Network, c.Limits.SilentNetwork = two, two
						c.Limits.Network56, c.Limits.Network48 = two.Times(2), two.Times(3)
					})
					allowed := 0
					var refused error
					for i := range 100 {
						network, err := fmt.Sprintf(row.net, i), error(nil)
						if method == login.Push {
							_, err = w.begin(dialled(t, fmt.Sprint(46701740600+i)), func(r *login.PushRequest) { r.Network = network })
						} else {
							_, err = w.tap(func(r *login.OneTapRequest) { r.Network, r.Nonce = network, fmt.Sprintf("%043d", i) })
						}
						if err == nil {
							allowed++
							continue
						}
						refused = err
					}
					w.refused(refused, kind)
					want := map[string]int{"a /56 push": 4, "a /48 push": 6, "a /56 onetap": 8, "a /48 onetap": 32}[row.what+" "+string(method)]
					if allowed != want {
						t.Errorf("%d attempts, want %d", allowed, want)
					}
					tries, err := w.engine.NetworkTries(t.Context(), fmt.Sprintf(row.net, 1), method)
					if err != nil || tries.Left != 0 {
						t.Errorf("the page says %+v, %v", tries, err)
					}
					tries, err = w.engine.NetworkTries(t.Context(), "2001:db8:2::/64", method)
					if err != nil || tries.Left != 2 {
						t.Errorf("somebody else's page says %+v, %v", tries, err)
					}
				})
			})
		}
	}
}
