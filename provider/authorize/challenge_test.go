// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
)

// challenge sets the mode, with challenges that are easy to solve.
func challenge(mode authorize.ChallengeMode) func(*testworld.Config) {
	return func(c *testworld.Config) {
		c.Provider.Challenge, c.Provider.ChallengeBits = mode, authorize.MinChallengeBits
	}
}

// limits sets the limit of a network, and how much of it is reserved for those who
// solve a challenge.
func limits(network limit.Rate, reserve int) func(*testworld.Config) {
	return func(c *testworld.Config) { c.Login.Limits.Network, c.Login.Limits.Reserve = network, reserve }
}

// page is a sign-in page as its form has it.
type page struct {
	Request   string
	Challenge *authorize.ChallengeView
}

func signInPage(t *testing.T, w *testworld.World) page {
	t.Helper()
	v := signInView(t, w.Authorize("app"))
	return page{Request: v.Request, Challenge: v.Challenge}
}

// unsolved returns what a browser without JavaScript sends from the page.
func (p page) unsolved(number string) authorize.Submission {
	s := authorize.Submission{Request: p.Request, Phone: number, Browser: testworld.Browser, Network: testworld.Network}
	if p.Challenge != nil {
		s.Challenge = p.Challenge.Sealed
	}
	return s
}

// solved returns what a browser with JavaScript sends.
func (p page) solved(number string) authorize.Submission {
	s := p.unsolved(number)
	if p.Challenge != nil {
		s.Solution = testworld.Solve(p.Challenge.Seed, p.Challenge.Bits)
	}
	return s
}

// wantProblem submits and fails the test unless the page then shows this problem,
// "" for none. It returns the refusal.
func wantProblem(
	t *testing.T, w *testworld.World, what string, s authorize.Submission, want authorize.ProblemKind,
) *authorize.Refusal {
	t.Helper()
	refusal := submit(t, w, s)
	got := authorize.ProblemKind("")
	if refusal != nil {
		got = refusal.Problem.Kind
	}
	if got != want {
		t.Fatalf("%s: got the problem %q, want %q", what, got, want)
	}
	return refusal
}

// numbers returns a function that returns a new number each time, so that no lock
// is in the way.
func numbers() func() string {
	last := 0
	return func() string {
		last++
		return fmt.Sprintf("%s%02d", testworld.Number[:len(testworld.Number)-2], last)
	}
}

func TestNoChallengeUnlessConfigured(t *testing.T) {
	w := testworld.New(t, limits(limit.Rate{Burst: 2, Period: time.Hour}, 0))
	next := numbers()
	for range 2 {
		if p := signInPage(t, w); p.Challenge != nil {
			t.Fatalf("page: got the challenge %+v, want none", p.Challenge)
		}
		wantProblem(t, w, "submitting", signInPage(t, w).unsolved(next()), "")
	}
}

func TestInvariant7_AlwaysAChallenge(t *testing.T) {
	w := testworld.New(t, challenge(authorize.ChallengeAlways))
	next := numbers()
	one, other := signInPage(t, w), signInPage(t, w)
	if one.Challenge == nil || one.Challenge.Bits != authorize.MinChallengeBits || !one.Challenge.Without.IsZero() ||
		one.Challenge.Seed == other.Challenge.Seed {
		t.Fatalf("two pages: got the challenges %+v and %+v, want two seeds", one.Challenge, other.Challenge)
	}
	solution := one.solved(testworld.Number).Solution
	for testworld.Solves(other.Challenge.Seed, other.Challenge.Bits, solution) { // one in 256 has the same solution
		other = signInPage(t, w)
	}
	rows := map[string]func(*authorize.Submission){
		"no JavaScript":                  func(s *authorize.Submission) { s.Solution = "" },
		"no challenge":                   func(s *authorize.Submission) { s.Challenge = "" },
		"a challenge that is not sealed": func(s *authorize.Submission) { s.Challenge = strings.Repeat("A", len(s.Challenge)) },
		"another's solution":             func(s *authorize.Submission) { s.Challenge = other.Challenge.Sealed },
		"the sealed request":             func(s *authorize.Submission) { s.Challenge = s.Request },
		"another network":                func(s *authorize.Submission) { s.Network = "192.0.2.2/32" },
		"an unreadable network":          func(s *authorize.Submission) { s.Network = "unknown" },
		"a solution that is no number":   func(s *authorize.Submission) { s.Solution = "abc" },
	}
	for what, change := range rows {
		t.Run(what, func(t *testing.T) {
			w := w.In(t)
			s := one.solved(next())
			change(&s)
			logged := strings.Count(w.Log.Text(), "challenge.unsolved")
			var refusal *authorize.Refusal
			w.WantNothingStored("submitting", func() {
				refusal = wantProblem(t, w, "submitting", s, authorize.Unsolved)
			})
			if c := refusal.View.Challenge; c == nil || c.Sealed == s.Challenge || refusal.View.Phone != s.Phone {
				t.Errorf("page: got %+v, want the number and another challenge", refusal.View)
			}
			if n := strings.Count(w.Log.Text(), "challenge.unsolved") - logged; n != 1 {
				t.Errorf("challenge.unsolved in the audit: got %d times, want 1", n)
			}
		})
	}
	wantProblem(t, w, "a mistake in the number", one.solved("+46 70 12"), authorize.PhoneTooShort)
	wantProblem(t, w, "solved, after a mistake in the number", one.solved(next()), "")
	wantProblem(t, w, "the same solution again", one.solved(next()), authorize.Unsolved)
}

// A challenge is good for one try, also when several submissions use it at once, and
// when the number is locked.
func TestInvariant7_AChallengeBuysOnePush(t *testing.T) {
	w := testworld.New(t, challenge(authorize.ChallengeAlways))
	next := numbers()
	p := signInPage(t, w)
	locked := next()
	wantProblem(t, w, "a number", signInPage(t, w).solved(locked), "")
	stranger := signInPage(t, w).solved(locked)
	stranger.Browser = "another"
	wantProblem(t, w, "the number that is locked now", stranger, authorize.LockedElsewhere)
	stranger.Phone = next()
	wantProblem(t, w, "the same challenge for another number", stranger, authorize.Unsolved)
	submissions := make([]authorize.Submission, 32)
	for i := range submissions {
		submissions[i] = p.solved(next())
	}
	var pushes atomic.Int32
	var wg sync.WaitGroup
	for _, s := range submissions {
		wg.Go(func() {
			_, err := w.Flow.Submit(t.Context(), s)
			refusal, refused := errors.AsType[*authorize.Refusal](err)
			switch {
			case err == nil:
				pushes.Add(1)
			case !refused || refusal.Problem.Kind != authorize.Unsolved:
				t.Errorf("one of many: got %v, want %s", err, authorize.Unsolved)
			}
		})
	}
	wg.Wait()
	if pushes.Load() != 1 {
		t.Errorf("pushes for one challenge: got %d, want 1", pushes.Load())
	}
}

// When half of a network's limit is used, the rest is reserved for those who solve
// a challenge. The page says when a push needs none, and that time is exact.
func TestInvariant7_AChallengeWhenTheBudgetRunsLow(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, limits(limit.Rate{Burst: 10, Period: time.Hour}, 5), challenge(authorize.ChallengeAuto))
		next := numbers()
		early := signInPage(t, w)
		for range 5 {
			if p := signInPage(t, w); p.Challenge != nil {
				t.Fatalf("before the reserve: got the challenge %+v, want none", p.Challenge)
			}
			wantProblem(t, w, "before the reserve", signInPage(t, w).unsolved(next()), "")
		}
		p := signInPage(t, w)
		soon := time.Now().Add(6 * time.Minute)
		if p.Challenge == nil || !p.Challenge.Without.Equal(soon) {
			t.Fatalf("page at the reserve: got %+v, want a challenge until %v", p.Challenge, soon)
		}
		for what, s := range map[string]authorize.Submission{
			"a page from before": early.unsolved(next()),
			"without JavaScript": p.unsolved(next()),
		} {
			refusal := wantProblem(t, w, what, s, authorize.Unsolved)
			if !refusal.Problem.RetryAt.Equal(soon) || refusal.View.Challenge == nil {
				t.Errorf("%s: got %+v, want a challenge and the time %v", what, refusal, soon)
			}
		}
		if want := `"limit":"network","reserved":true`; !strings.Contains(w.Log.Text(), want) {
			t.Errorf("audit: got\n%s\nwant %s", w.Log.Text(), want)
		}
		// Another network is not concerned.
		elsewhere := early.unsolved(next())
		elsewhere.Network = "192.0.2.2/32"
		wantProblem(t, w, "another network", elsewhere, "")
		for range 5 {
			wantProblem(t, w, "solved", signInPage(t, w).solved(next()), "")
		}
		wantProblem(t, w, "solved after the reserve is used", signInPage(t, w).solved(next()), authorize.Limited)
		time.Sleep(36*time.Minute - 1)
		wantProblem(t, w, "a nanosecond before it needs none", signInPage(t, w).unsolved(next()), authorize.Unsolved)
		time.Sleep(time.Nanosecond)
		if p := signInPage(t, w); p.Challenge != nil {
			t.Errorf("page when it needs none: got the challenge %+v, want none", p.Challenge)
		}
		wantProblem(t, w, "when it needs none", signInPage(t, w).unsolved(next()), "")
	})
}

// A challenge is good for as long as its page, and stays used for as long.
func TestChallengeExpires(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, challenge(authorize.ChallengeAlways))
		next := numbers()
		p, fresh := signInPage(t, w), signInPage(t, w)
		wantProblem(t, w, "solved", p.solved(next()), "")
		time.Sleep(time.Hour - time.Second)
		wantProblem(t, w, "a used challenge a second before its expiry", p.solved(next()), authorize.Unsolved)
		wantProblem(t, w, "an unused challenge a second before its expiry", fresh.solved(next()), "")
		p = signInPage(t, w)
		time.Sleep(time.Hour)
		s := p.solved(next())
		s.Request = signInPage(t, w).Request
		wantProblem(t, w, "an expired challenge with a fresh request", s, authorize.Unsolved)
	})
}

// Pages with a challenge store as little as those without.
func TestInvariant1_AChallengeStoresNothing(t *testing.T) {
	w := testworld.New(t, challenge(authorize.ChallengeAlways))
	seeds := map[string]bool{}
	w.WantNothingStored("200 pages", func() {
		for range 200 {
			seeds[signInPage(t, w).Challenge.Seed] = true
		}
	})
	if len(seeds) != 200 {
		t.Errorf("200 pages: got %d seeds, want 200", len(seeds))
	}
}

// One-tap has a budget of its own. When that is used up, its page says when to try
// again; no challenge helps.
func TestOneTapWhereItsBudgetIsUsedUp(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(
			t,
			func(c *testworld.Config) { c.Login.Limits.SilentNetwork = limit.Rate{Burst: 1, Period: time.Hour} },
			challenge(authorize.ChallengeAuto),
			testworld.WithoutPush("tap"),
		)
		tap := func() error {
			_, err := w.Flow.StartOneTap(t.Context(), oneTapForm(t, w.Authorize("tap")))
			return err
		}
		if err := tap(); err != nil {
			t.Fatal(err)
		}
		err := tap()
		refusal, ok := errors.AsType[*authorize.Refusal](err)
		again := time.Now().Add(time.Hour)
		if !ok || refusal.Problem.Kind != authorize.Limited || !refusal.Problem.RetryAt.Equal(again) {
			t.Fatalf("used up: got %+v, %v, want %s until %v", refusal, err, authorize.Limited, again)
		}
		if refusal.View.Tries == nil || refusal.View.Tries.Left != 0 {
			t.Errorf("tries on the page: got %+v, want 0 left", refusal.View.Tries)
		}
	})
}

// One-tap sends no push and so needs no challenge. A page without a push has none
// either.
func TestOneTapNeedsNoChallenge(t *testing.T) {
	w := testworld.New(t, challenge(authorize.ChallengeAlways))
	if _, err := w.Flow.StartOneTap(t.Context(), oneTapForm(t, w.Authorize("tap"))); err != nil {
		t.Errorf("one-tap without a solution: got %v, want no error", err)
	}
	w = testworld.New(t, challenge(authorize.ChallengeAlways), testworld.WithoutPush("one"))
	if p := signInPage(t, w); p.Challenge != nil {
		t.Errorf("page without a push: got the challenge %+v, want none", p.Challenge)
	}
}

// When half of a number's budget is used, its next push costs a challenge. The page
// knows that only once the number is submitted, and comes back with one.
func TestInvariant7_ANumberAsksForAChallenge(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t, limits(limit.Rate{Burst: 100, Period: time.Hour}, 50), challenge(authorize.ChallengeAuto),
			func(c *testworld.Config) { c.Login.Limits.Number = limit.Rate{Burst: 2, Period: 24 * time.Hour} })
		wantProblem(t, w, "the first", signInPage(t, w).unsolved(testworld.Number), "")
		time.Sleep(6 * time.Minute)
		p := signInPage(t, w)
		if p.Challenge != nil {
			t.Fatalf("before the number is known: got the challenge %+v, want none", p.Challenge)
		}
		refusal := wantProblem(t, w, "the second", p.unsolved(testworld.Number), authorize.Unsolved)
		if refusal.View.Challenge == nil {
			t.Fatal("the page that is shown again: got no challenge")
		}
		again := page{Request: refusal.View.Request, Challenge: refusal.View.Challenge}
		wantProblem(t, w, "the second, solved", again.solved(testworld.Number), "")
	})
}
