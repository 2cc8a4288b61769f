// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/truecaller"
)

// Each thing that a page can do needs the browser that started the attempt.
func TestInvariant2_FlowNeedsTheBrowser(t *testing.T) {
	w := testworld.New(t)
	id := w.Approved(testworld.AuthRequest("app"), testworld.Number)
	for _, thief := range []login.BrowserSecret{"", "another browser"} {
		t.Run(fmt.Sprintf("browser %q", thief), func(t *testing.T) {
			errs := map[string]error{}
			_, errs["View"] = w.Flow.View(t.Context(), id, thief)
			_, errs["Continue"] = w.ContinueElsewhere(id, thief)
			_, errs["Again"] = w.Flow.Again(t.Context(), id, thief, false)
			_, errs["Leave"] = w.Flow.Leave(t.Context(), id, thief)
			errs["Cancel"] = w.Flow.Cancel(t.Context(), id, thief)
			for what, err := range errs {
				if !errors.Is(err, login.ErrNotYours) {
					t.Errorf("%s: got %v, want %v", what, err, login.ErrNotYours)
				}
			}
		})
	}
	if _, err := w.Continue(id); err != nil {
		t.Errorf("continuing in the browser of the attempt: got %v, want no error", err)
	}
}

func TestAgainAndLeave(t *testing.T) {
	w := testworld.New(t)
	id := w.Submit(w.Authorize("app"), testworld.Number)
	if _, err := w.Flow.Leave(t.Context(), id, testworld.Browser); !errors.Is(err, login.ErrState) {
		t.Errorf("leaving a live attempt: got %v, want %v", err, login.ErrState)
	}
	if err := w.Flow.Cancel(t.Context(), id, testworld.Browser); err != nil {
		t.Fatal(err)
	}
	view, err := w.View(id)
	if err != nil || view.State != login.Rejected || view.Number != "+46•••••0605" ||
		time.Until(view.AgainAt) < time.Minute {
		t.Errorf("view of a cancelled attempt: got %+v, %v, want it rejected, the number masked and the lock's expiry",
			view, err)
	}
	again, err := w.Flow.Again(t.Context(), id, testworld.Browser, false)
	if err != nil || again.Request == "" || again.Phone != "+46 70 174 06 05" {
		t.Errorf("again: got %+v, %v, want a sign-in page with the number", again, err)
	}
	left, err := w.Flow.Leave(t.Context(), id, testworld.Browser)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"error": "access_denied", "iss": testworld.Issuer, "state": "the-state"} {
		if got := testworld.Param(left, name); got != want {
			t.Errorf("leaving: got %s %q, want %q", name, got, want)
		}
	}
}

// The page of an ended attempt knows when another number may be tried: at once, unless
// its network has no tries left.
func TestAnotherNumberAfterTheEnd(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, limits(limit.Rate{Burst: 2, Period: time.Hour}, 0))
		next := numbers()
		cancelled := func() authorize.AttemptView {
			t.Helper()
			id := w.Submit(w.Authorize("app"), next())
			if view, err := w.View(id); err != nil || !view.AnotherAt.IsZero() {
				t.Errorf("live: got %v, %v, want no time", view.AnotherAt, err)
			}
			if err := w.Flow.Cancel(t.Context(), id, testworld.Browser); err != nil {
				t.Fatal(err)
			}
			view, err := w.View(id)
			if err != nil {
				t.Fatal(err)
			}
			return view
		}
		first := cancelled()
		if !first.AnotherAt.IsZero() || !first.AgainAt.After(time.Now()) {
			t.Errorf("got %+v, want another number at once, and the same one later", first)
		}
		soon := time.Now().Add(30 * time.Minute)
		if view := cancelled(); !view.AnotherAt.Equal(soon) {
			t.Errorf("the last try of the network: got %v, want %v", view.AnotherAt, soon)
		}
		if view, err := w.View(first.ID); err != nil || !view.AnotherAt.Equal(soon) || !view.AgainAt.Equal(soon) {
			t.Errorf("the first attempt's page: got %v and %v, %v, want %v", view.AnotherAt, view.AgainAt, err, soon)
		}
	})
}

// The page of a declined attempt says when the number may be tried again, and that
// time is exact. Until the number has cooled down, that takes a solved challenge, which
// the page of the next attempt brings.
func TestAgainAfterADecline(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, challenge(authorize.ChallengeOff), func(c *testworld.Config) { c.Login.CoolDown = 15 * time.Minute })
		id := w.Submit(w.Authorize("app"), testworld.Number)
		time.Sleep(time.Minute)
		d := w.Deliver(truecaller.Delivery{
			ID:       "d",
			App:      "one",
			Received: time.Now(),
			Callback: truecaller.Callback{
				State:  w.Phone.State(testworld.ParseNumber(t, testworld.Number)),
				Status: "user_rejected",
			},
		})
		if err := w.Engine.Progress(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		view, err := w.View(id)
		if err != nil || view.Reason != login.UserRejected || !view.AgainAt.Equal(time.Now().Add(5*time.Minute)) {
			t.Fatalf("view: got %+v, %v, want %v until 5 minutes from now", view, err, login.UserRejected)
		}
		free := time.Now().Add(15 * time.Minute)
		submit := func(solves *authorize.ChallengeView) error {
			s := w.Submission(w.Authorize("app"), testworld.Number)
			s.Browser, s.Network = "another", "192.0.2.9/32"
			if solves != nil {
				s.Challenge, s.Solution = solves.Sealed, testworld.Solve(solves.Seed, solves.Bits)
			}
			_, err := w.Flow.Submit(t.Context(), s)
			return err
		}
		time.Sleep(time.Until(view.AgainAt) - 1)
		refusal, ok := errors.AsType[*authorize.Refusal](submit(nil))
		if !ok || refusal.Problem.Kind != authorize.Unsolved || !refusal.Problem.RetryAt.Equal(free) {
			t.Fatalf("without a challenge: got %+v, want one until %v, whatever the lock is", refusal, free)
		}
		refusal, ok = errors.AsType[*authorize.Refusal](submit(refusal.View.Challenge))
		if !ok || refusal.Problem.Kind != authorize.LockedElsewhere || !refusal.Problem.RetryAt.Equal(view.AgainAt) {
			t.Errorf("a nanosecond before: got %+v, want %s until %v", refusal, authorize.LockedElsewhere, view.AgainAt)
		}
		time.Sleep(time.Nanosecond)
		refusal, ok = errors.AsType[*authorize.Refusal](submit(nil))
		if !ok || refusal.Problem.Kind != authorize.Unsolved || !refusal.Problem.RetryAt.Equal(free) || refusal.View.Challenge == nil ||
			!refusal.View.Challenge.Without.Equal(free) {
			t.Fatalf("at that time: got %+v, want a challenge until %v", refusal, free)
		}
		another, err := w.Flow.Again(t.Context(), id, testworld.Browser, true)
		if err != nil || another.Challenge != nil || another.Phone != "" {
			t.Errorf("another number: got %+v, %v, want no challenge and no number", another, err)
		}
		again, err := w.Flow.Again(t.Context(), id, testworld.Browser, false)
		if err != nil || again.Challenge == nil || !again.Challenge.Without.Equal(free) {
			t.Fatalf("the same number: got %+v, %v, want a challenge until %v", again, err, free)
		}
		p := page{Request: again.Request, Challenge: again.Challenge}
		wantProblem(t, w, "solved", p.solved(testworld.Number), "")
	})
}

// An attempt that has succeeded offers neither another try nor a refusal: the client
// would hear access_denied beside its code.
func TestNeitherAgainNorLeaveAfterSuccess(t *testing.T) {
	w := testworld.New(t)
	id := w.Approved(testworld.AuthRequest("app"), testworld.Number)
	refused := func(what string) {
		t.Helper()
		if view, err := w.Flow.Again(t.Context(), id, testworld.Browser, false); !errors.Is(err, login.ErrState) {
			t.Errorf("again after %s: got %+v, %v, want %v", what, view, err, login.ErrState)
		}
		if left, err := w.Flow.Leave(t.Context(), id, testworld.Browser); !errors.Is(err, login.ErrState) {
			t.Errorf("leaving after %s: got %+v, %v, want %v", what, left, err, login.ErrState)
		}
	}
	refused("the approval")
	done, _ := w.Finish(id)
	refused("the response")
	w.Exchange("app", testworld.Param(done.Response, "code")).WantStatus(t, "redeeming the code", 200)
	refused("the code was used")
}
