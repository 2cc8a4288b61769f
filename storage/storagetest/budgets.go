// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// Budgets are spent whole or not at all, durably, and by the one who asks also where the
// number refuses.
func testBudgets(t *testing.T, w *world) {
	key := limit.Key{Kind: limit.Network, ID: "192.0.2.7/32"}
	rate := limit.Rate{Burst: 3, Period: 30 * time.Second}
	charge := limit.Charge{Key: key, Rate: rate}
	spend := func(at time.Time, charges ...limit.Charge) error {
		return w.CreateAttempt(w.ctx, w.attempt(), limit.Spend{Asker: charges}, at)
	}
	for range 3 {
		w.must(spend(w.now, charge))
	}
	retry := w.exceeded(spend(w.now, charge), limit.Network)
	w.reopen()
	w.exceeded(spend(retry.Add(-time.Millisecond), charge), limit.Network)
	w.must(spend(retry, charge))
	w.exceeded(spend(retry, charge), limit.Network)

	// The same ID of another kind is another budget.
	w.must(spend(w.now, limit.Charge{Key: limit.Key{Kind: limit.Client, ID: key.ID}, Rate: rate}))
	w.must(spend(w.now, limit.Charge{Key: limit.Key{Kind: limit.Deployment}, Rate: rate}))

	// All or nothing: what is refused for one reason costs nothing elsewhere.
	one := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "one"}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}
	a := w.attempt()
	s := lockOf(a)
	s.Asker = []limit.Charge{one, charge}
	w.exceeded(w.CreateAttempt(w.ctx, a, s, w.now), limit.Network)
	_, err := w.Attempt(w.ctx, a.ID)
	w.is(err, login.ErrNotFound)
	if w.locked(a, w.now) {
		t.Error("a refused spend took the lock")
	}
	w.must(spend(w.now, one))
	w.exceeded(spend(w.now, one), limit.Client)

	// A lock that is held costs no budget of the number, and RetryAt is when both
	// would allow.
	locked := w.create()
	two := limit.Charge{Key: limit.Key{Kind: limit.Number, ID: "two"}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}
	s = lockOf(locked)
	s.Number = []limit.Charge{two}
	w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), s, w.now), limit.Lock)
	w.must(spend(w.now, two))
	if retry := w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), s, w.now), limit.Lock); !retry.Equal(w.now.Add(time.Hour)) {
		t.Errorf("retry at %v, when the budget still refuses", retry)
	}

	// The number refuses, and the asker has paid for the try: what is its own, durably,
	// and no more. If the asker's budget refuses, that is all that it learns.
	own := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "own"}, Rate: limit.Rate{Burst: 2, Period: time.Hour}, Own: true}
	shared := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "shared"}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}
	s = lockOf(locked)
	s.Asker = []limit.Charge{own, shared}
	for range 2 {
		w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), s, w.now), limit.Lock)
		w.reopen()
	}
	w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), s, w.now), limit.Network)
	w.exceeded(spend(w.now, own), limit.Network)
	w.must(spend(w.now, shared))

	// The same budget twice in one spend is charged twice.
	pair := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "pair"}, Rate: limit.Rate{Burst: 2, Period: time.Hour}}
	w.exceeded(spend(w.now, pair, pair, pair), limit.Client)
	w.must(spend(w.now, pair, pair))
	w.exceeded(spend(w.now, pair), limit.Client)

	w.exceeded(spend(w.now, limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "zero"}}), limit.Client) // invariant 7: fail closed

	// A reserve is left alone by those whom it is not for, and is named only when
	// nothing else refuses.
	whole := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "reserve"}, Rate: limit.Rate{Burst: 4, Period: time.Hour}}
	rest := whole
	rest.Reserve = 2
	reserved := func(err error, want bool, retryAt time.Time) {
		t.Helper()
		var e *limit.Exceeded
		if !errors.As(err, &e) || e.Kind != limit.Network || e.Reserved != want || !e.RetryAt.Equal(retryAt) {
			t.Errorf("%+v (%v), want reserved %v until %v", e, err, want, retryAt)
		}
	}
	w.must(spend(w.now, rest, rest))
	reserved(spend(w.now, rest), true, w.now.Add(15*time.Minute))
	w.exceeded(spend(w.now, rest, one), limit.Client)
	w.must(spend(w.now, whole))
	reserved(spend(w.now, rest), true, w.now.Add(30*time.Minute))
	w.must(spend(w.now, whole))
	reserved(spend(w.now, rest), false, w.now.Add(15*time.Minute))
}

// A push that is approved, or rings no phone, gets back what it paid of the number's
// budget and of its networks' share, durably and once; of no other budget. One that is
// declined or not answered does not.
func testGivenBack(t *testing.T, w *world) {
	day := 24 * time.Hour
	network := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: "192.0.2.8/32"}, Rate: limit.Rate{Burst: 100, Period: day}, Own: true}
	share := limit.Charge{Key: limit.Key{Kind: limit.NumberNetwork, ID: "46701740605 192.0.2.8/32"}, Rate: limit.Rate{Burst: 4, Period: day}}
	number := limit.Charge{Key: limit.Key{Kind: limit.Number, ID: "46701740605"}, Rate: limit.Rate{Burst: 10, Period: day}}
	spend := limit.Spend{Asker: []limit.Charge{network}, Share: []limit.Charge{share}, Number: []limit.Charge{number}}
	push := func() login.Attempt {
		a := w.attempt()
		w.must(w.CreateAttempt(w.ctx, a, spend, w.now))
		return a
	}
	all := 0
	end := func(a login.Attempt, how limit.PushEnd) {
		t.Helper()
		_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) {
			return login.Effects{Push: limit.Ended{How: how, At: w.now}}, nil
		})
		w.must(err)
	}
	want := func(what string, used int) {
		t.Helper()
		w.reopen()
		states, err := w.LimitStates(w.ctx, network.Key, share.Key, number.Key)
		w.must(err)
		for i, used := range []int{all, used, used} {
			c := []limit.Charge{network, share, number}[i]
			if left, _ := c.Left(states[i].Until, w.now); left != c.Rate.Burst-used {
				t.Errorf("%s: %s has %d left of %d, want %d used", what, c.Key.Kind, left, c.Rate.Burst, used)
			}
		}
	}
	all++
	a := push()
	want("pushed", 1)
	end(a, limit.Unanswered)
	end(a, limit.Declined)
	want("declined", 1)
	all++
	b := push()
	want("two pushes", 2)
	end(b, limit.Answered)
	want("one of them approved", 1)
	end(b, limit.Answered)
	end(b, limit.Unsent)
	want("it comes back once", 1)
	all++
	c := push()
	end(c, limit.Unsent)
	want("not sent", 1)
	w.must(w.ClearLimits(w.ctx, number.Key, share.Key))
	end(a, limit.Unsent)
	want("cleared", 0)

	// Where the number's lock refuses, nothing of the share is taken; where the share
	// refuses, the try has been paid for.
	locked := w.create()
	spend.Lock = lockOf(locked).Lock
	w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), spend, w.now), limit.Lock)
	all++
	want("locked", 0)
	share.Rate.Burst, spend.Share[0].Rate.Burst = 1, 1
	spend.Lock = limit.Key{}
	all++
	push()
	w.exceeded(w.CreateAttempt(w.ctx, w.attempt(), spend, w.now), limit.NumberNetwork)
	all++
	want("the share is spent", 1)
}
