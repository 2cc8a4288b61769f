// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

func another(n int) func(*login.PushRequest) {
	return func(s *login.PushRequest) {
		s.Browser = login.BrowserSecret(fmt.Sprintf("another browser, %d", n))
		s.Network = fmt.Sprintf("192.0.2.%d/32", 100+n)
	}
}

// elsewhere is another browser, in a network that has nothing to do with the others.
func elsewhere(n int) func(*login.PushRequest) {
	return func(s *login.PushRequest) {
		s.Browser = login.BrowserSecret(fmt.Sprintf("elsewhere, %d", n))
		s.Network = fmt.Sprintf("198.51.%d.7/32", 100+n)
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
			time.Sleep(5 * time.Minute)
		},
		"its networks' share": func(w *world) {
			w.start(another(1))
			time.Sleep(5 * time.Minute)
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
				polls := 5
				if what == "its networks' share" {
					polls-- // its push has cost one
				}
				for i := range polls {
					exceeded := (*limit.Exceeded)(nil)
					refusers := []limit.Kind{limit.Lock, limit.Number, limit.NumberNetwork}
					if err := poll(fmt.Sprint("challenge ", i)); !errors.As(err, &exceeded) || !slices.Contains(refusers, exceeded.Kind) {
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

// A network that has had its share of a number gets the same answer whatever that number's
// phone is doing for others, and pays for it. Only what its own users have done shows.
func TestThreat_ASpentShareIsNoOracle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) {
			c.CoolDown, c.AfterApproval = time.Hour, time.Hour
			c.Limits.NumberNetwork = limit.Rate{Burst: 1, Period: 24 * time.Hour}
			c.Limits.Network = limit.Rate{Burst: 9, Period: 24 * time.Hour}
		})
		idle, open, approved, declined := "46701740601", "46701740602", digits, "46701740604"
		all := []string{idle, open, approved, declined}
		for _, number := range all {
			w.start(another(1), dialled(t, number))
		}
		time.Sleep(5 * time.Minute)
		w.start(elsewhere(1), dialled(t, open))
		w.start(elsewhere(1), dialled(t, approved), solving("a"))
		w.approve()
		w.start(elsewhere(1), dialled(t, declined), solving("b"))
		w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
		poll := func(number string) error {
			_, err := w.begin(another(1), dialled(t, number))
			return err
		}
		want := w.refused(poll(idle), limit.NumberNetwork)
		for _, number := range all[1:] {
			if got := w.refused(poll(number), limit.NumberNetwork); *got != *want {
				t.Errorf("%s: %+v, want %+v", number, got, want)
			}
		}
		w.must(poll("46701740699")) // a number of which it has had nothing
		w.refused(poll(idle), limit.Network)
	})
}

// While a push is open, its own browser is led to the page that waits for it. Another
// browser is not: the prompt on the phone is not its own.
func TestThreat_NobodyIsLedToApproveAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *login.Config) { c.Limits.Network = limit.Rate{Burst: 1, Period: time.Hour} })
		a := w.start()
		for range 3 {
			w.restart()
			again, err := w.begin()
			if err != nil || again.ID != a.ID {
				t.Errorf("led to %q, %v; want %q", again.ID, err, a.ID)
			}
		}
		_, err := w.begin(asking("demo", "another tab's"))
		w.refused(err, limit.Network) // a request that changes the attempt costs a try
		_, err = w.begin(another(1))
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
					_, err := w.tap(func(r *login.OneTapRequest) { r.Nonce, r.ClientID = redact.Text(fmt.Sprintf("%043d", i)), "demo" })
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
							_, err = w.tap(func(r *login.OneTapRequest) { r.Network, r.Nonce = network, redact.Text(fmt.Sprintf("%043d", i)) })
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

// A browser whose own push holds a number's lock looks at it for nothing, and learns its
// own push's end. As soon as a known browser's push keeps the lock for longer, each look
// is paid for: the lock's end would tell when the number's user signs in.
func TestThreat_AHolderDoesNotWatchAKnownBrowserForNothing(t *testing.T) {
	for _, row := range []struct {
		what string
		ends func(w *world, a login.Attempt)
	}{
		{"a push that goes on in another application", func(*world, login.Attempt) {}},
		{"a push that was cancelled", func(w *world, a login.Attempt) {
			w.must(w.engine.Cancel(w.t.Context(), a.ID, browser))
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *login.Config) { c.Limits.Network = limit.Rate{Burst: 3, Period: time.Hour} })
				stranger := w.start()
				row.ends(w, stranger)
				look := func() error { // at another Truecaller app, so that nothing is resumed
					_, err := w.begin(func(r *login.PushRequest) { r.App = "second" })
					return err
				}
				before := look()
				for range 5 { // its own lock tells it nothing new
					if err := look(); err == nil || err.Error() != before.Error() {
						t.Fatalf("got %v, want %v", err, before)
					}
				}
				time.Sleep(time.Minute)
				w.start(func(r *login.PushRequest) {
					r.Browser, r.Device, r.Network = "the user's", "known", "198.51.100.1/32"
				})
				for range 2 {
					look()
				}
				refused, ok := errors.AsType[*limit.Exceeded](look())
				if !ok || refused.Kind != limit.Network {
					t.Errorf("a third look is not paid for: %v", refused)
				}
			})
		})
	}
}

// An attacker who shares a network with a user spends its budget by refused tries, of which
// one rings. That does not stop a browser that knows its number.
func TestThreat_ANeighbourSpendsTheNetworksBudget(t *testing.T) {
	w := newWorld(t, func(c *login.Config) { c.Limits.Network = limit.Rate{Burst: 20, Period: time.Hour} })
	for n := range 20 {
		_, _ = w.begin(another(1), func(r *login.PushRequest) { r.Browser = login.BrowserSecret(fmt.Sprint("neighbour ", n)) })
	}
	if rings := w.phone.pushes(); rings != 1 {
		t.Errorf("the phone rang %d times, want once", rings)
	}
	_, err := w.begin(another(1), func(r *login.PushRequest) { r.Browser = "unknown" })
	w.refused(err, limit.Network)
	w.start(another(1), func(r *login.PushRequest) { r.Browser, r.Device = "known", "device" })
}
