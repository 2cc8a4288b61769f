package provider_test

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// rationed is a world with small budgets.
func rationed(t *testing.T, change func(*login.Config), more ...func(*provider.Config)) *world {
	t.Helper()
	return newWorldWith(t, change, more...)
}

// triesOn is what a page says of the tries that are left, -1 for nothing.
func triesOn(t *testing.T, a answer) int {
	t.Helper()
	page, view := a.page()
	if page != "signin" || a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	tries, ok := view["Tries"].(map[string]any)
	if !ok {
		return -1
	}
	return int(tries["Left"].(float64))
}

// A page says when few tries are left for the network, in numbers; and looking
// costs nothing: neither a try, nor a byte (invariant 1).
func TestInvariant1_SayingWhatIsLeftWritesNothing(t *testing.T) {
	w := rationed(t, func(c *login.Config) { c.Limits.Network = limit.Rate{Burst: 5, Period: time.Hour} })
	for i, want := range []int{-1, -1, 3, 2, 1, 0} {
		before := w.store.Stats()
		for range 20 {
			if got := triesOn(t, w.get("/authorize?"+asked("app").Encode())); got != want {
				t.Fatalf("after %d: %d left on the page, want %d", i, got, want)
			}
		}
		if after := w.store.Stats(); after != before {
			t.Fatalf("showing pages wrote: %+v, then %+v", before, after)
		}
		if i < 5 {
			w.submit(w.get("/authorize?"+asked("app").Encode()), number[:len(number)-1]+string(rune('0'+i)))
		}
	}
	// Somebody else's network has its own.
	_, view := w.get("/authorize?" + asked("app").Encode()).page()
	other := authorize.Submission{Request: view["Request"].(string), Phone: number, Browser: browser, Network: "192.0.2.2/32"}
	if _, err := w.provider.Submit(t.Context(), other); err != nil {
		t.Errorf("another network: %v", err)
	}
}

// Whatever a person is told - on the page of an attempt, on the page after it,
// in a refusal - is the same for a number with and without an account, in words
// and in times.
func TestInvariant7_LimitsDoNotTellWhoHasAnAccount(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := rationed(t, func(c *login.Config) {
			c.Limits.Number = limit.Rate{Burst: 3, Period: 24 * time.Hour}
			c.CoolDown = 15 * time.Minute
		})
		const silent, nobody = "+46701740609", "+46701740617"
		// told is everything that one submission, and looking at it, tells.
		type told struct {
			View    authorize.AttemptView
			Problem authorize.Problem
			Tries   any
		}
		submit := func(number string) (got told) {
			w.phone.mu.Lock()
			if w.phone.fails = nil; number == nobody {
				w.phone.fails = &truecaller.PushError{Kind: truecaller.PushNoAccount}
			}
			w.phone.mu.Unlock()
			_, view := w.get("/authorize?" + asked("app").Encode()).page()
			id, err := w.provider.Submit(t.Context(), authorize.Submission{Request: view["Request"].(string), Phone: number, Browser: browser, Network: "192.0.2.1/32"})
			if refusal := (*authorize.Refusal)(nil); errors.As(err, &refusal) {
				got.Problem, got.Tries = refusal.Problem, refusal.View.Tries
				return got
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.View, err = w.provider.View(t.Context(), id, browser); err != nil {
				t.Fatal(err)
			}
			got.View.ID, got.View.Number = "", ""
			return got
		}
		kinds := map[authorize.ProblemKind]bool{}
		for range 40 {
			a, b := submit(silent), submit(nobody)
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("with an account:\n%+v\nwithout:\n%+v", a, b)
			}
			kinds[a.Problem.Kind] = true
			if a.View.Tries != nil {
				kinds[authorize.ProblemKind("left")] = true
			}
			time.Sleep(time.Minute)
		}
		for _, kind := range []authorize.ProblemKind{"", "left", authorize.Locked, authorize.Limited} {
			if !kinds[kind] {
				t.Errorf("nobody was told %q", kind)
			}
		}
	})
}

// The pages of a declined attempt say when the number may be asked again, and
// keep their word.
func TestAgainAfterADecline(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := rationed(t, func(c *login.Config) { c.CoolDown = 15 * time.Minute })
		id := w.submit(w.get("/authorize?"+asked("app").Encode()), number)
		time.Sleep(time.Minute)
		d := truecaller.Delivery{ID: "d", App: "one", Received: time.Now(), Callback: truecaller.Callback{State: w.phone.state[profile(t, number).Numbers[0]], Status: "user_rejected"}}
		if err := w.engine.Progress(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		view, err := w.provider.View(t.Context(), id, browser)
		if err != nil || view.Reason != login.UserRejected || !view.AgainAt.Equal(time.Now().Add(15*time.Minute)) {
			t.Fatalf("%+v, %v", view, err)
		}
		submit := func() error {
			_, page := w.get("/authorize?" + asked("app").Encode()).page()
			_, err := w.provider.Submit(t.Context(), authorize.Submission{Request: page["Request"].(string), Phone: number, Browser: "another", Network: "192.0.2.9/32"})
			return err
		}
		time.Sleep(time.Until(view.AgainAt) - 1)
		refusal := (*authorize.Refusal)(nil)
		if err := submit(); !errors.As(err, &refusal) || refusal.Problem.Kind != authorize.Locked || !refusal.Problem.RetryAt.Equal(view.AgainAt) {
			t.Errorf("before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := submit(); err != nil {
			t.Errorf("when it said: %v", err)
		}
	})
}
