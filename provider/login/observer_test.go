// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// funnel is an Observer that remembers.
type funnel struct {
	mu sync.Mutex
	n  map[string]int
}

func (f *funnel) add(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n[what]++
}

func (f *funnel) Attempt(_ context.Context, event string, a login.Attempt) {
	f.add(event + " " + string(a.Method) + " " + a.App + " " + string(a.Reason))
}

func (f *funnel) Answered(_ context.Context, a login.Attempt, received time.Time) {
	f.add(fmt.Sprint("answered ", a.State, " ", !received.Before(a.Created)))
}

func (f *funnel) Limited(kind limit.Kind) { f.add("limited by " + string(kind)) }

// What becomes of attempts is counted once each.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &funnel{n: map[string]int{}}
		w := newWorld(t, func(c *login.Config) { c.Observer = f })
		a := w.start()
		w.begin(another(1)) // locked
		w.approve()
		w.must(w.engine.Profile(t.Context(), w.callback(), profile(t, "asha", digits))) // again
		if _, err := w.finish(a.ID); err != nil {
			t.Fatal(err)
		}
		w.start(func(s *login.PushRequest) { s.App = "second" })
		d := w.callback(status("use_another_number"), func(d *truecaller.Delivery) { d.App = "second" })
		w.must(w.engine.Progress(t.Context(), d))
		w.must(w.engine.Progress(t.Context(), d))

		w.phone.answer = refuses(truecaller.PushNoAccount) // reaches nobody
		w.start(dialled(t, "46701740611"))
		w.phone.answer = refuses(truecaller.PushUnknown) // may have reached somebody
		w.start(dialled(t, "46701740612"))
		w.phone.answer = refuses(truecaller.PushAppKeyRejected)
		w.start(dialled(t, "46701740613"))
		time.Sleep(time.Hour)
		synctest.Wait()

		want := map[string]int{
			"attempt.started push main ": 4, "attempt.pushed push main ": 2, "attempt.returned push main ": 1, "attempt.approved push main ": 1, "attempt.done push main ": 1,
			"attempt.limited push main ": 1, "limited by lock": 1,
			"attempt.started push second ": 1, "attempt.pushed push second ": 1, "attempt.rejected push second use_another_number": 1,
			"answered approved true": 1, "attempt.failed push main misconfigured": 1, "attempt.expired push main ": 2,
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, what := range slices.Sorted(maps.Keys(f.n)) {
			if f.n[what] != want[what] {
				t.Errorf("%s: %d times, want %d", what, f.n[what], want[what])
			}
		}
		if len(f.n) != len(want) {
			t.Errorf("counted %v, want %v", f.n, want)
		}
	})
}
