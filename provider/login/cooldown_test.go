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
	"calleridp/truecaller"
)

// cooling is a world with the cool-downs of the default configuration.
func cooling(t *testing.T, change ...func(*login.Config)) *world {
	return newWorld(t, append([]func(*login.Config){func(c *login.Config) {
		c.AfterApproval, c.CoolDown, c.LongestCoolDown = 2*time.Minute, 15*time.Minute, 4*time.Hour
	}}, change...)...)
}

// solving is a browser that has solved a challenge.
func solving(id string) func(*login.PushRequest) {
	return func(r *login.PushRequest) {
		r.Solved = login.Solved{ID: id, Until: time.Now().Add(time.Hour)}
	}
}

// refusedAt returns when an unknown browser may ask again; a solved challenge would
// help now if solvable is true.
func (w *world) refusedAt(change ...func(*login.PushRequest)) (at time.Time, solvable bool) {
	w.t.Helper()
	_, err := w.begin(change...)
	var refused *limit.Exceeded
	if !errors.As(err, &refused) {
		w.t.Fatalf("got %v, want a refusal", err)
	}
	return refused.RetryAt, refused.Reserved
}

// Each push that is not approved lets a number cool down for longer, whoever asks and
// from wherever, and after a restart. The page of each attempt says so.
func TestInvariant7_TheCoolDownRises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := cooling(t)
		for i, minutes := range []time.Duration{5, 15, 30, 60, 120, 240, 240} {
			stranger := another(2 * i)
			a, err := w.config.Store.Attempt(t.Context(), w.start(stranger).ID)
			w.must(err)
			again, unsolved := w.engine.AgainAt(a), w.engine.UnsolvedAt(a)
			if want := a.Created.Add(5 * time.Minute); !again.Equal(want) {
				t.Errorf("push %d: the page says %v for those who solve, want %v", i+1, again, want)
			}
			free := a.Created.Add(minutes * time.Minute)
			if i > 0 && !unsolved.Equal(free) || i == 0 && !unsolved.Equal(a.Created) {
				t.Errorf("push %d: the page says %v, want %v", i+1, unsolved, free)
			}
			w.restart()
			if at, solvable := w.refusedAt(another(2*i+1), solving(fmt.Sprint(i))); !at.Equal(a.Created.Add(5*time.Minute)) || solvable {
				t.Errorf("push %d: while it is open, refused until %v, solvable %v", i+1, at, solvable)
			}
			if at, solvable := w.refusedAt(another(2*i + 1)); !at.Equal(free) || solvable != (i > 0) {
				t.Errorf("push %d: while it is open, refused until %v, solvable %v, for those who solve nothing", i+1, at, solvable)
			}
			time.Sleep(5 * time.Minute)
			if i > 0 {
				if at, solvable := w.refusedAt(another(2*i + 1)); !at.Equal(free) || !solvable {
					t.Errorf("push %d: refused until %v, solvable %v; want %v", i+1, at, solvable, free)
				}
				time.Sleep(time.Until(free) - 1)
				w.refusedAt(stranger)
				time.Sleep(time.Nanosecond)
			}
		}
		time.Sleep(24 * time.Hour) // quiet: all is forgotten
		w.start()
		time.Sleep(5 * time.Minute)
		w.start()
	})
}

// A decline counts twice, a push that was not sent does not count, and an approval
// ends it all.
func TestInvariant7_WhatACoolDownCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := cooling(t)
		unsolvedIn := func(what string, want time.Duration) {
			t.Helper()
			at, solvable := w.refusedAt(another(9))
			if got := time.Until(at); got != want || !solvable {
				t.Errorf("%s: refused for %s, solvable %v; want %s", what, got, solvable, want)
			}
		}
		declined := func() login.Attempt {
			a := w.start()
			w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
			return w.record(a.ID)
		}
		a := declined()
		if again, unsolved := w.engine.AgainAt(a), w.engine.UnsolvedAt(a); time.Until(again) != 5*time.Minute || time.Until(unsolved) != 15*time.Minute {
			t.Errorf("declined: the page says %v and %v", again, unsolved)
		}
		time.Sleep(5*time.Minute - 1)
		if at, solvable := w.refusedAt(another(9), solving("too early")); time.Until(at) != 1 || solvable {
			t.Errorf("a solved challenge opens a number whose user has just declined: %v, %v", at, solvable)
		}
		time.Sleep(time.Nanosecond)
		unsolvedIn("declined once", 10*time.Minute)

		w.phone.answer = refuses(truecaller.PushUnavailable)
		time.Sleep(10 * time.Minute)
		for range 3 {
			if a := w.start(); !w.engine.UnsolvedAt(w.record(a.ID)).IsZero() {
				t.Error("a push that was not sent: its page says that the number cools down")
			}
		}
		w.phone.answer = accepts

		declined()
		time.Sleep(5 * time.Minute)
		unsolvedIn("declined twice", 55*time.Minute)

		w.start(solving("mine"))
		w.approve()
		time.Sleep(2 * time.Minute)
		w.start(another(9)) // nothing is left of it
		time.Sleep(5 * time.Minute)
		w.start(another(9))
	})
}

// Strangers who keep a number cool for days ring its phone rarely, or pay with a
// challenge for each push, and shut nobody out: a known browser pushes at once, and
// one that solves a challenge no later than the lock allows, as long as the number's
// budget has room. Those who solve none do not exhaust it, while its user approves
// nothing. Those who do solve exhaust it: it is left out here, and the subject of
// TestThreat_TheNumbersBudgetBoundsWhoeverSolves.
func TestThreat_ACoolDownShutsNobodyOut(t *testing.T) {
	for what, solves := range map[string]bool{"without challenges": false, "with challenges": true} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := cooling(t, func(c *login.Config) {
					if !solves {
						c.Limits.Number = limit.Rate{Burst: 10, Period: 24 * time.Hour}
					}
				})
				var last time.Time
				rang, paid := 0, 0
				attack := func(i int) {
					change := []func(*login.PushRequest){another(i % 7)}
					if solves {
						change = append(change, solving(fmt.Sprint("attack ", i)))
					}
					if _, err := w.begin(change...); err != nil {
						return
					}
					now := time.Now()
					if !last.IsZero() && now.Sub(last) < 5*time.Minute {
						t.Fatalf("the phone rang twice within %s", now.Sub(last))
					}
					last = now
					rang++
				}
				for i := range 3 * 24 * 12 { // every five minutes
					attack(i)
					if solves {
						paid++
					}
					if i%200 == 199 { // the person, at any time
						w.start(known)
						w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
						time.Sleep(5 * time.Minute)
						person := []func(*login.PushRequest){elsewhere(1), solving(fmt.Sprint("person ", i))}
						if _, err := w.begin(person...); err != nil {
							t.Fatalf("after %d tries: a browser that solves a challenge: %v", i, err)
						}
						last = time.Now()
						w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
						time.Sleep(5 * time.Minute)
					}
					time.Sleep(5 * time.Minute)
				}
				if !solves && rang > 3*12 {
					t.Errorf("the phone rang %d times for those who solve nothing", rang)
				}
				if solves && paid < rang {
					t.Errorf("%d challenges for %d pushes", paid, rang)
				}
			})
		})
	}
}

// Whoever solves a challenge for each push, from one network, gets that network's share
// of the number's budget, and closes it to browsers of that network only: others push as
// soon as no push is open. Whoever has several networks takes the whole budget, which then
// bounds how often the phone rings. What is closed stays so while the attack lasts, and
// opens afterwards. A known browser signs in at any time.
func TestThreat_TheNumbersBudgetBoundsWhoeverSolves(t *testing.T) {
	const days, perDay = 2, 10
	address := func(format string, n int) func(int) string {
		return func(i int) string { return fmt.Sprintf(format, i%n+1) }
	}
	for _, row := range []struct {
		what   string
		from   func(i int) string // the attacker's network
		most   int                // how often the phone rings in a day, in the long run
		person string             // the network of a browser that nobody knows
		closed limit.Kind         // what refuses that browser, now and then; "": nothing but the lock
	}{
		{"one address", address("192.0.2.%d/32", 1), 3, "198.51.100.1/32", ""},
		{"one address, the person at its neighbour", address("192.0.2.%d/32", 1), 3, "192.0.2.200/32", ""},
		{"one address, the person behind it too", address("192.0.2.%d/32", 1), 3, "192.0.2.1/32", limit.NumberNetwork},
		{"a /24", address("192.0.2.%d/32", 200), 6, "198.51.100.1/32", ""},
		{"a /24, the person in it too", address("192.0.2.%d/32", 99), 6, "192.0.2.200/32", limit.NumberNetwork},
		{"a /64", address("2001:db8:1:%d::/64", 1), 3, "2001:db8:1:9::/64", ""},
		{"a /48", address("2001:db8:1:%x::/64", 60000), 6, "2001:db8:2::/64", ""},
		{"an address and a /48", func(i int) string {
			return []string{"192.0.2.1/32", fmt.Sprintf("2001:db8:1:%x::/64", i)}[i%2]
		}, 9, "198.51.100.1/32", ""},
		{"many networks", address("203.0.%d.1/32", 200), perDay, "198.51.100.1/32", limit.Number},
	} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := cooling(t, func(c *login.Config) { c.Limits.Number = limit.Rate{Burst: perDay, Period: 24 * time.Hour} })
				rang, paid, signIns := 0, 0, 0
				refusedBy := map[limit.Kind]int{}
				push := func(who func(*login.PushRequest), network, id string) error {
					_, err := w.begin(who, solving(id), func(r *login.PushRequest) { r.Network = network })
					return err
				}
				for i := range days * 24 * 4 { // every fifteen minutes
					paid++
					if push(another(1), row.from(i), fmt.Sprint("attack ", i)) == nil {
						rang++
					}
					if i%7 == 3 { // the person, in a browser that nobody knows
						err := push(elsewhere(1), row.person, fmt.Sprint("person ", i))
						switch refused, ok := errors.AsType[*limit.Exceeded](err); {
						case err == nil:
							w.approve()
							signIns++
						case ok:
							refusedBy[refused.Kind]++
						default:
							t.Fatal(err)
						}
					}
					if i%40 == 39 { // and in a known one
						a := w.start(known)
						w.approve()
						w.expect(a.ID, login.Approved, "")
					}
					time.Sleep(15 * time.Minute)
				}
				if most := row.most * (days + 1); rang > most || rang < row.most*days || paid < rang {
					t.Errorf("the phone rang %d times for %d challenges, want %d at most", rang, paid, most)
				}
				delete(refusedBy, limit.Lock) // a push is open; it opens again within five minutes
				if _, closed := refusedBy[row.closed]; closed != (row.closed != "") || len(refusedBy) > 1 || row.closed == "" && len(refusedBy) > 0 {
					t.Errorf("the person is refused by %v; the threat model says %q", refusedBy, row.closed)
				}
				if closed := signIns == 0; closed != (row.closed != "") {
					t.Errorf("the person signs in %d times, and is refused by %v", signIns, refusedBy)
				}
				time.Sleep(8 * time.Hour) // and afterwards?
				w.must(push(elsewhere(1), row.person, "afterwards"))
				t.Logf("%d rings, %d sign-ins, refusals %v", rang, signIns, refusedBy)
			})
		})
	}
}

// Any approval of the number ends its cool-down: also one in a known browser, and one of
// a push after which others have followed.
func TestInvariant7_AnyApprovalEndsTheCoolDown(t *testing.T) {
	for what, approves := range map[string]func(*world){
		"in a known browser": func(w *world) {
			w.start(known)
			w.restart()
			w.approve()
		},
		"in a known browser, while a stranger's push is open": func(w *world) {
			w.start(another(7), solving("stranger"))
			w.start(known)
			w.approve()
			time.Sleep(3 * time.Minute)
		},
		"after a known browser's push": func(w *world) {
			w.start(another(7), solving("stranger"))
			state := w.phone.state()
			w.start(known)
			d := w.callback(func(d *truecaller.Delivery) { d.State = state })
			w.must(w.engine.Token(w.t.Context(), d))
			w.must(w.engine.Profile(w.t.Context(), d, profile(w.t, "asha", digits)))
			time.Sleep(3 * time.Minute)
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := cooling(t)
				for i := range 6 {
					w.start(another(i), solving(fmt.Sprint(i)))
					time.Sleep(5 * time.Minute)
				}
				if _, solvable := w.refusedAt(another(8)); !solvable {
					t.Fatal("the number does not cool down")
				}
				approves(w)
				time.Sleep(2 * time.Minute)
				w.start(another(8))
				time.Sleep(5 * time.Minute)
				w.start(another(8)) // the count begins again
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // a known browser's other ends change nothing
		w := cooling(t)
		for i := range 2 {
			w.start(another(i))
			time.Sleep(5 * time.Minute)
		}
		before, _ := w.refusedAt(another(8))
		w.start(known)
		w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
		w.phone.answer = refuses(truecaller.PushUnavailable)
		w.start(known, func(r *login.PushRequest) { r.Device = "another device" })
		if at, _ := w.refusedAt(another(8)); !at.Equal(before) {
			t.Errorf("the cool-down ends at %v, was %v", at, before)
		}
	})
}

// A known browser is not held by a cool-down, and raises none.
func TestThreat_ACoolDownDoesNotHoldAKnownBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := cooling(t)
		w.start(another(1))
		for i := range 6 {
			time.Sleep(5 * time.Minute)
			w.start(another(i), solving(fmt.Sprint(i)))
		}
		if a := w.start(known); a.Pushes != 0 || !w.engine.UnsolvedAt(a).IsZero() {
			t.Errorf("a known browser's push is counted: %+v", a)
		}
		w = cooling(t)
		for range 4 {
			w.start(known)
			time.Sleep(5 * time.Minute)
		}
		w.start(another(1))
	})
}
