package provider_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider"
	"calleridp/provider/authorize"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

const here = "192.0.2.1/32" // the network of httptest's requests

// asks makes browsers solve challenges, easy ones.
func asks(mode authorize.ChallengeMode) func(*provider.Config) {
	return func(c *provider.Config) { c.Challenge, c.ChallengeBits = mode, authorize.MinChallengeBits }
}

// page is a sign-in page as its form has it.
type page struct {
	Request   string
	Challenge *authorize.ChallengeView
}

func (w *world) signInPage() page {
	w.t.Helper()
	name, view := w.get("/authorize?" + asked("app").Encode()).page()
	if name != "signin" {
		w.t.Fatalf("the page is %s", name)
	}
	raw, err := json.Marshal(view)
	if err != nil {
		w.t.Fatal(err)
	}
	var p page
	if err := json.Unmarshal(raw, &p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// submission is what a browser without JavaScript sends from the page.
func (p page) submission(number string) authorize.Submission {
	s := authorize.Submission{Request: p.Request, Phone: number, Browser: browser, Network: here}
	if p.Challenge != nil {
		s.Challenge = p.Challenge.Sealed
	}
	return s
}

// solved is what one with it sends.
func (p page) solved(number string) authorize.Submission {
	s := p.submission(number)
	if p.Challenge != nil {
		s.Solution = solve(p.Challenge.Seed, p.Challenge.Bits)
	}
	return s
}

// refusedBy submits, and returns the problem that the page then shows; "" when a
// phone is asked.
func (w *world) refusedBy(s authorize.Submission) (kind authorize.ProblemKind, refusal *authorize.Refusal) {
	w.t.Helper()
	_, err := w.provider.Submit(w.t.Context(), s)
	if errors.As(err, &refusal) {
		return refusal.Problem.Kind, refusal
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return "", nil
}

// numbers are fresh ones, so that no lock is in the way.
func numbers() func() string {
	last := 0
	return func() string {
		last++
		return number[:len(number)-2] + string(rune('0'+last/10)) + string(rune('0'+last%10))
	}
}

func TestNoChallengeUnlessAskedFor(t *testing.T) {
	w := rationed(t, func(c *login.Config) { c.Limits.Network = limit.Rate{Burst: 2, Period: time.Hour} })
	next := numbers()
	for range 2 {
		if p := w.signInPage(); p.Challenge != nil {
			t.Fatalf("%+v", p.Challenge)
		}
		if kind, _ := w.refusedBy(w.signInPage().submission(next())); kind != "" {
			t.Errorf("refused: %s", kind)
		}
	}
}

func TestInvariant7_AlwaysAChallenge(t *testing.T) {
	w := newWorld(t, asks(authorize.ChallengeAlways))
	next := numbers()
	one, other := w.signInPage(), w.signInPage()
	if one.Challenge == nil || one.Challenge.Bits != authorize.MinChallengeBits || !one.Challenge.Without.IsZero() || one.Challenge.Seed == other.Challenge.Seed {
		t.Fatalf("%+v and %+v", one.Challenge, other.Challenge)
	}
	for solves(other.Challenge.Seed, other.Challenge.Bits, one.solved(number).Solution) { // one in 256 has the same solution
		other = w.signInPage()
	}
	for what, change := range map[string]func(*authorize.Submission){
		"no JavaScript":         func(s *authorize.Submission) { s.Solution = "" },
		"no challenge":          func(s *authorize.Submission) { s.Challenge = "" },
		"none of ours":          func(s *authorize.Submission) { s.Challenge = strings.Repeat("A", len(s.Challenge)) },
		"another's solution":    func(s *authorize.Submission) { s.Challenge = other.Challenge.Sealed },
		"the sealed request":    func(s *authorize.Submission) { s.Challenge = s.Request },
		"another network":       func(s *authorize.Submission) { s.Network = "192.0.2.2/32" },
		"an unreadable network": func(s *authorize.Submission) { s.Network = "unknown" },
		"no number":             func(s *authorize.Submission) { s.Solution = "abc" },
	} {
		s := one.solved(next())
		change(&s)
		before := w.store.Stats()
		kind, refusal := w.refusedBy(s)
		if kind != authorize.Unsolved {
			t.Errorf("%s: %q", what, kind)
			continue
		}
		if refusal.View.Challenge == nil || refusal.View.Challenge.Sealed == s.Challenge || refusal.View.Phone != s.Phone {
			t.Errorf("%s: the page does not give another chance: %+v", what, refusal.View)
		}
		if after := w.store.Stats(); after != before {
			t.Errorf("%s: something was written: %+v, then %+v", what, before, after)
		}
	}
	if n := strings.Count(w.log.text(), "challenge.unsolved"); n != 8 {
		t.Errorf("%d refusals in the audit", n)
	}
	if kind, _ := w.refusedBy(one.solved("+46 70 12")); kind != authorize.PhoneTooShort {
		t.Errorf("a mistake in the number: %q", kind)
	}
	if kind, _ := w.refusedBy(one.solved(next())); kind != "" {
		t.Errorf("solved, and after a mistake in the number: %q", kind)
	}
	if kind, _ := w.refusedBy(one.solved(next())); kind != authorize.Unsolved {
		t.Errorf("the same again: %q", kind)
	}
}

// A challenge buys one push, whoever submits it at the same time; and a push
// that is refused for another reason does not use it up.
func TestInvariant7_AChallengeBuysOnePush(t *testing.T) {
	w := newWorld(t, asks(authorize.ChallengeAlways))
	next := numbers()
	p := w.signInPage()
	locked := next()
	if kind, _ := w.refusedBy(w.signInPage().solved(locked)); kind != "" {
		t.Fatal(kind)
	}
	if kind, _ := w.refusedBy(p.solved(locked)); kind != authorize.Locked {
		t.Fatalf("a locked number: %q", kind)
	}
	submissions := make([]authorize.Submission, 32)
	for i := range submissions {
		submissions[i] = p.solved(next())
	}
	var bought atomic.Int32
	var wg sync.WaitGroup
	for _, s := range submissions {
		wg.Go(func() {
			_, err := w.provider.Submit(t.Context(), s)
			refusal := (*authorize.Refusal)(nil)
			switch {
			case err == nil:
				bought.Add(1)
			case !errors.As(err, &refusal) || refusal.Problem.Kind != authorize.Unsolved:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if bought.Load() != 1 {
		t.Errorf("one challenge bought %d pushes", bought.Load())
	}
}

// When half of a network's budget is spent, the rest is for those who solve a
// challenge. Who cannot is told when it goes without one, and then it does.
func TestInvariant7_AChallengeWhenTheBudgetRunsLow(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := rationed(t, func(c *login.Config) {
			c.Limits.Network, c.Limits.Reserve = limit.Rate{Burst: 10, Period: time.Hour}, 5
		}, asks(authorize.ChallengeAuto))
		next := numbers()
		early := w.signInPage()
		for range 5 {
			if p := w.signInPage(); p.Challenge != nil {
				t.Fatalf("too early: %+v", p.Challenge)
			}
			if kind, _ := w.refusedBy(w.signInPage().submission(next())); kind != "" {
				t.Fatal(kind)
			}
		}
		p := w.signInPage()
		soon := time.Now().Add(6 * time.Minute)
		if p.Challenge == nil || !p.Challenge.Without.Equal(soon) {
			t.Fatalf("%+v, at %v", p.Challenge, time.Now())
		}
		for what, s := range map[string]authorize.Submission{"a page from before": early.submission(next()), "without JavaScript": p.submission(next())} {
			kind, refusal := w.refusedBy(s)
			if kind != authorize.Unsolved || !refusal.Problem.RetryAt.Equal(soon) || refusal.View.Challenge == nil {
				t.Errorf("%s: %q, %+v", what, kind, refusal)
			}
		}
		if !strings.Contains(w.log.text(), `"limit":"network","reserved":true`) {
			t.Errorf("the refusals are not in the audit as such:\n%s", w.log.text())
		}
		// Another network is not concerned.
		elsewhere := early.submission(next())
		elsewhere.Network = "192.0.2.2/32"
		if kind, _ := w.refusedBy(elsewhere); kind != "" {
			t.Errorf("another network: %s", kind)
		}
		for range 5 {
			if kind, _ := w.refusedBy(w.signInPage().solved(next())); kind != "" {
				t.Fatalf("solved: %s", kind)
			}
		}
		if kind, _ := w.refusedBy(w.signInPage().solved(next())); kind != authorize.Limited {
			t.Errorf("the reserve is spent: %q", kind)
		}
		time.Sleep(36*time.Minute - 1)
		if kind, _ := w.refusedBy(w.signInPage().submission(next())); kind != authorize.Unsolved {
			t.Errorf("too early without: %q", kind)
		}
		time.Sleep(time.Nanosecond)
		if p := w.signInPage(); p.Challenge != nil {
			t.Error("still a challenge")
		}
		if kind, _ := w.refusedBy(w.signInPage().submission(next())); kind != "" {
			t.Errorf("when it was said: %q", kind)
		}
	})
}

// A challenge is good for as long as its page, and used up for as long.
func TestChallengeExpires(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, asks(authorize.ChallengeAlways))
		next := numbers()
		p, fresh := w.signInPage(), w.signInPage()
		if kind, _ := w.refusedBy(p.solved(next())); kind != "" {
			t.Fatal(kind)
		}
		time.Sleep(time.Hour - time.Second)
		if kind, _ := w.refusedBy(p.solved(next())); kind != authorize.Unsolved {
			t.Errorf("used before: %q", kind)
		}
		if kind, _ := w.refusedBy(fresh.solved(next())); kind != "" {
			t.Errorf("a second before its end: %q", kind)
		}
		p = w.signInPage()
		time.Sleep(time.Hour)
		s := p.solved(next())
		s.Request = w.signInPage().Request
		if kind, _ := w.refusedBy(s); kind != authorize.Unsolved {
			t.Errorf("too old, with a fresh request: %q", kind)
		}
	})
}

// Pages with a challenge store as little as those without.
func TestInvariant1_AChallengeStoresNothing(t *testing.T) {
	w := newWorld(t, asks(authorize.ChallengeAlways))
	before := w.store.Stats()
	seeds := map[string]bool{}
	for range 200 {
		seeds[w.signInPage().Challenge.Seed] = true
	}
	if after := w.store.Stats(); after != before || len(seeds) != 200 {
		t.Errorf("%d challenges: %+v, then %+v", len(seeds), before, after)
	}
}

// A one-tap link has no challenge that could be solved: where only the reserve is
// left, its page says when to come back.
func TestOneTapWhereOnlyTheReserveIsLeft(t *testing.T) {
	ring()
	synctest.Test(t, func(t *testing.T) {
		w := rationed(t, func(c *login.Config) {
			c.Limits.Network, c.Limits.Reserve = limit.Rate{Burst: 2, Period: time.Hour}, 1
		}, asks(authorize.ChallengeAuto), func(c *provider.Config) {
			tap := c.Apps.ByID["tap"]
			tap.WithoutPush = true
			c.Apps.ByID["tap"] = tap
		})
		tap := func() error {
			_, err := w.provider.StartOneTap(t.Context(), oneTapForm(t, w.get("/authorize?"+asked("tap").Encode())))
			return err
		}
		if err := tap(); err != nil {
			t.Fatal(err)
		}
		refusal := (*authorize.Refusal)(nil)
		if err := tap(); !errors.As(err, &refusal) || refusal.Problem.Kind != authorize.Limited || !refusal.Problem.RetryAt.Equal(time.Now().Add(30*time.Minute)) {
			t.Fatalf("%+v, %v", refusal, err)
		}
		if refusal.View.Tries == nil || refusal.View.Tries.Left != 0 {
			t.Errorf("the page says that there is another try: %+v", refusal.View.Tries)
		}
	})
}

// A one-tap link asks no phone, so that it needs no challenge; nor has a page
// one that nobody can submit.
func TestOneTapNeedsNoChallenge(t *testing.T) {
	w := newWorld(t, asks(authorize.ChallengeAlways))
	_, view := w.get("/authorize?" + asked("tap").Encode()).page()
	raw, err := json.Marshal(view["OneTap"])
	if err != nil {
		t.Fatal(err)
	}
	var tap struct{ Nonce string }
	if err := json.Unmarshal(raw, &tap); err != nil {
		t.Fatal(err)
	}
	if _, err := w.provider.StartOneTap(t.Context(), authorize.OneTapSubmission{Request: view["Request"].(string), Nonce: tap.Nonce, Browser: browser, Network: here}); err != nil {
		t.Error(err)
	}
	w = newWorld(t, asks(authorize.ChallengeAlways), func(c *provider.Config) {
		one := c.Apps.ByID["one"]
		one.WithoutPush = true
		c.Apps.ByID["one"] = one
	})
	if p := w.signInPage(); p.Challenge != nil {
		t.Errorf("%+v", p.Challenge)
	}
}
