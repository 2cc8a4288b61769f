// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// triesOn returns how many tries a sign-in page says are left, -1 for no statement.
func triesOn(t *testing.T, a testworld.Response) int {
	t.Helper()
	tries, ok := a.WantPage(t, "sign-in page", "signin")["Tries"].(map[string]any)
	if !ok {
		return -1
	}
	return int(tries["Left"].(float64))
}

// A page says when few tries are left for the network, in numbers. Looking costs
// neither a try nor a byte (invariant 1).
func TestInvariant1_ShowingTriesLeftWritesNothing(t *testing.T) {
	w := testworld.New(t, limits(limit.Rate{Burst: 5, Period: time.Hour}, 0))
	for i, want := range []int{-1, -1, 3, 2, 1, 0} {
		w.WantNothingStored("20 pages", func() {
			for range 20 {
				if got := triesOn(t, w.Authorize("app")); got != want {
					t.Fatalf("page after %d pushes: got %d tries left, want %d", i, got, want)
				}
			}
		})
		if i < 5 {
			w.Submit(w.Authorize("app"), fmt.Sprintf("+4670174060%d", i))
		}
	}
	// Another network has its own.
	other := w.Submission(w.Authorize("app"), testworld.Number)
	other.Network = "192.0.2.2/32"
	if refusal := submit(t, w, other); refusal != nil {
		t.Errorf("another network: got %+v, want no refusal", refusal)
	}
}

// What a user sees on the page of an attempt, on the page after it and in a
// refusal is the same for a number with and without an account, in words and in
// times.
func TestInvariant7_LimitsDoNotTellWhoHasAnAccount(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, func(c *testworld.Config) {
			c.Login.Limits.Number = limit.Rate{Burst: 3, Period: 24 * time.Hour}
			c.Login.CoolDown = 15 * time.Minute
		})
		const withAccount, withoutAccount = "+46701740609", "+46701740617"
		// seen is everything that one submission, and looking at it, shows.
		type seen struct {
			View    authorize.AttemptView
			Problem authorize.Problem
			Tries   any
		}
		kinds := map[authorize.ProblemKind]bool{}
		try := func(number string, browser login.BrowserSecret) (got seen) {
			w.Phone.Fail(nil)
			if number == withoutAccount {
				w.Phone.Fail(&truecaller.PushError{Kind: truecaller.PushNoAccount})
			}
			s := w.Submission(w.Authorize("app"), number)
			s.Browser = browser
			id, err := w.Flow.Submit(t.Context(), s)
			if refusal, ok := errors.AsType[*authorize.Refusal](err); ok && refusal.Problem.Kind == authorize.Unsolved {
				kinds[authorize.Unsolved] = true
				s.Challenge = refusal.View.Challenge.Sealed
				s.Solution = testworld.Solve(refusal.View.Challenge.Seed, refusal.View.Challenge.Bits)
				id, err = w.Flow.Submit(t.Context(), s)
			}
			if refusal, ok := errors.AsType[*authorize.Refusal](err); ok {
				got.Problem, got.Tries = refusal.Problem, refusal.View.Tries
				return got
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.View, err = w.Flow.View(t.Context(), id, browser); err != nil {
				t.Fatal(err)
			}
			got.View.ID, got.View.Number = "", ""
			return got
		}
		for i := range 40 {
			browser := login.BrowserSecret(fmt.Sprint("browser ", i))
			a, b := try(withAccount, browser), try(withoutAccount, browser)
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("without an account: got\n%+v\nwant, as with one,\n%+v", b, a)
			}
			kinds[a.Problem.Kind] = true
			if a.View.Tries != nil {
				kinds["left"] = true
			}
			time.Sleep(time.Minute)
		}
		for _, kind := range []authorize.ProblemKind{"", "left", authorize.LockedElsewhere, authorize.Unsolved, authorize.Limited} {
			if !kinds[kind] {
				t.Errorf("problems in 40 minutes: got %v, want %q among them", kinds, kind)
			}
		}
	})
}
