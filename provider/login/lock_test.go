// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// opensIn returns how long it takes until a stranger who solves challenges has the
// number's next push.
func (w *world) opensIn() time.Duration {
	w.t.Helper()
	at := time.Now()
	for {
		_, err := w.begin(another(9), solving(time.Now().String()))
		if err == nil {
			return time.Since(at)
		}
		if !errors.As(err, new(*limit.Exceeded)) {
			w.t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}

// A known browser's push is approved while a stranger holds the number's lock, which it
// has only made longer. The prompt that looks like it follows no sooner for that.
func TestThreat_PromptConfusionOfAKnownBrowser(t *testing.T) {
	for _, before := range []time.Duration{0, 10 * time.Second, 4 * time.Minute} {
		for _, after := range []time.Duration{time.Second, time.Minute, 4 * time.Minute, 295 * time.Second} {
			t.Run(fmt.Sprint(before, " before, approved after ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := cooling(t)
					w.start(another(1))
					time.Sleep(before)
					w.start(known)
					w.restart()
					time.Sleep(after)
					w.approve()
					w.restart()
					if opens := w.opensIn(); opens < 2*time.Minute {
						t.Errorf("a stranger's push follows %s after the approval", opens)
					}
				})
			})
		}
	}
}

// While a known browser's push is open, no end of another one opens the number: neither
// to strangers nor to the browser that was approved.
func TestThreat_NoOtherPushEndsTheLockOfAKnownBrowser(t *testing.T) {
	ends := map[string]func(*world, truecaller.Delivery){
		"approved": func(w *world, d truecaller.Delivery) {
			w.must(w.engine.Token(w.t.Context(), d))
			w.must(w.engine.Profile(w.t.Context(), d, profile(w.t, "asha", digits)))
		},
		"no profile": func(w *world, d truecaller.Delivery) {
			w.must(w.engine.Failed(w.t.Context(), d, truecaller.ErrUnauthorized))
		},
		"declined": func(w *world, d truecaller.Delivery) {
			d.Status, d.AccessToken = "user_rejected", ""
			w.must(w.engine.Progress(w.t.Context(), d))
		},
	}
	quiet := map[string]time.Duration{"as by default": 2 * time.Minute, "no quiet time": 0}
	for what, end := range ends {
		for how, afterApproval := range quiet {
			t.Run(what+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := cooling(t, func(c *login.Config) { c.AfterApproval = afterApproval })
					w.start(another(1))
					state := w.phone.state()
					time.Sleep(10 * time.Second)
					w.start(known)
					rang := w.phone.pushes()
					end(w, w.callback(func(d *truecaller.Delivery) { d.State = state }))
					for i := range 299 {
						for n := range 3 {
							if _, err := w.begin(another(n), solving(fmt.Sprint(i, " ", n))); err == nil || w.phone.pushes() != rang {
								t.Fatalf("browser %d, %ds after: %v, %d pushes more", n, i, err, w.phone.pushes()-rang)
							}
						}
						time.Sleep(time.Second)
					}
				})
			})
		}
	}
	t.Run("not sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := cooling(t)
			release := make(chan bool)
			w.phone.answer = func(ctx context.Context, s string) (string, error) {
				<-release
				return refuses(truecaller.PushUnavailable)(ctx, s)
			}
			go w.begin(another(1))
			synctest.Wait()
			w.phone.answer = accepts
			w.start(known)
			close(release)
			synctest.Wait()
			if opens := w.opensIn(); opens < 5*time.Minute {
				t.Errorf("a stranger's push follows after %s", opens)
			}
		})
	})
}

// A decline in a known browser, by mistake say, closes the number for the time of the
// lock, and its lane no longer than a stranger's door: whoever solves a challenge may ask
// then, and who does not after the cool-down.
func TestThreat_ADeclineInAKnownBrowserIsNoDeadEnd(t *testing.T) {
	for what, stranger := range map[string]bool{"the lock is free": false, "a stranger has the lock": true} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := cooling(t)
				if stranger {
					w.start(another(1))
					time.Sleep(time.Minute)
				}
				a := w.start(known)
				time.Sleep(time.Minute)
				w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
				w.restart()
				declined := time.Now()
				a = w.record(a.ID)
				if again, unsolved := w.engine.AgainAt(a), w.engine.UnsolvedAt(a); again.Sub(declined) != 5*time.Minute || unsolved.Sub(declined) != 15*time.Minute {
					t.Errorf("the page says %s, and %s without a challenge", again.Sub(declined), unsolved.Sub(declined))
				}
				refused := func(what string, want time.Duration, solvable bool, change ...func(*login.PushRequest)) {
					t.Helper()
					if at, can := w.refusedAt(change...); at.Sub(declined) != want || can != solvable {
						t.Errorf("%s: refused until %s after the decline, solvable %v", what, at.Sub(declined), can)
					}
				}
				time.Sleep(5*time.Minute - 1)
				refused("a stranger", 5*time.Minute, false, another(2), solving("a"))
				refused("the known browser", 5*time.Minute, false, known, solving("b"))
				time.Sleep(time.Nanosecond)
				refused("the known browser without a challenge", 15*time.Minute, true, known)
				w.start(known, solving("c"))
				time.Sleep(5 * time.Minute)
				w.start(another(2), solving("d"))
				time.Sleep(4 * time.Minute)
				w.start(known)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // without JavaScript
		w := cooling(t)
		w.start(known)
		w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
		time.Sleep(15 * time.Minute)
		w.start(known)
	})
}

// A decline never opens a number sooner than no response does, whatever the cool-down is.
func TestInvariant7_ADeclineNeverShortensTheLock(t *testing.T) {
	for _, coolDown := range []time.Duration{time.Second, 10 * time.Second, 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := cooling(t, func(c *login.Config) { c.CoolDown = coolDown })
			for i := range 4 {
				browser := another(1)
				if i == 2 {
					browser = known
				}
				w.start(browser, solving(fmt.Sprint("first ", i)))
				w.must(w.engine.Progress(t.Context(), w.callback(status("user_rejected"))))
				if opens := w.opensIn(); opens < 5*time.Minute {
					t.Errorf("a cool-down of %s: the number is open %s after a decline", coolDown, opens)
				}
				time.Sleep(5 * time.Minute)
			}
		})
	}
}

// Whoever has solved nothing rings no phone while a number cools down, and learns
// nothing there either: not whether its user signs in, how that ends, or whether the
// number's budget is spent. Who has solved a challenge sees the lock.
func TestThreat_SilentPollsOfANumberThatCools(t *testing.T) {
	type poll struct {
		at       time.Time
		kind     limit.Kind
		solvable bool
	}
	polls := func(t *testing.T, number int, happens map[int]func(*world)) (seen []poll) {
		synctest.Test(t, func(t *testing.T) {
			w := cooling(t, func(c *login.Config) {
				c.Limits.Number = limit.Rate{Burst: number, Period: 24 * time.Hour}
				c.Limits.NumberNetwork = limit.Rate{Burst: 3, Period: 24 * time.Hour}
			})
			cancelled := another(1)
			w.start(another(1))
			time.Sleep(5 * time.Minute)
			a := w.start(another(1))
			var secret login.PushRequest
			cancelled(&secret)
			w.must(w.engine.Cancel(t.Context(), a.ID, secret.Browser))
			for minute := range 14 {
				if do := happens[minute]; do != nil {
					do(w)
				}
				rang := w.phone.pushes()
				for n := range 3 {
					var refused *limit.Exceeded
					if _, err := w.begin(another(n)); !errors.As(err, &refused) || w.phone.pushes() != rang {
						t.Fatalf("minute %d: %v, %d pushes more", minute, err, w.phone.pushes()-rang)
					}
					seen = append(seen, poll{refused.RetryAt, refused.Kind, refused.Reserved})
				}
				time.Sleep(time.Minute)
			}
		})
		return seen
	}
	starts := func(w *world) { w.start(known) }
	declines := func(w *world) { w.must(w.engine.Progress(w.t.Context(), w.callback(status("user_rejected")))) }
	quiet := polls(t, plenty, nil)
	for what, got := range map[string][]poll{
		"the number's budget is spent":    polls(t, 2, nil),
		"its user signs in":               polls(t, plenty, map[int]func(*world){3: starts}),
		"its user declines, and tries on": polls(t, plenty, map[int]func(*world){1: starts, 2: declines, 9: func(w *world) { w.start(known, solving("k")) }}),
		"its user signs in late, and fails": polls(t, plenty, map[int]func(*world){8: func(w *world) {
			w.phone.answer = refuses(truecaller.PushUnavailable)
			w.start(known)
			w.phone.answer = accepts
		}}),
	} {
		if !slices.Equal(got, quiet) {
			t.Errorf("%s: polls see %v\n if nothing happens %v", what, got, quiet)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := cooling(t)
		for range 2 {
			w.start(another(1))
			time.Sleep(5 * time.Minute)
		}
		w.start(known)
		_, err := w.begin(another(2), solving("a"))
		if refused := w.refused(err, limit.Lock); !refused.RetryAt.Equal(time.Now().Add(5 * time.Minute)) {
			t.Errorf("who has solved a challenge is told %+v", refused)
		}
	})
}
