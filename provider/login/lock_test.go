package login_test

import (
	"context"
	"errors"
	"fmt"
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
