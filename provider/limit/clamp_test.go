// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// A clock that was a day fast has filled budgets and taken locks. Put right, it
// locks nobody out, and gives nobody more than one event besides.
func TestInvariant7_AClockPutRightLocksNobodyOut(t *testing.T) {
	number, lock := Key{Kind: Number, ID: "1"}, Key{Kind: Lock, ID: "1"}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 12))
		rate := Rate{Burst: 1 + random.IntN(12), Period: time.Duration(1+random.IntN(24*60)) * time.Minute}
		reserve := random.IntN(rate.Burst)
		spend := Spend{
			Lock:       lock,
			LockFor:    5 * time.Minute,
			LockAtMost: time.Hour, // a cool-down
			Number:     []Charge{{Key: number, Rate: rate, Reserve: reserve}},
		}
		interval := rate.Period / time.Duration(rate.Burst)
		fast := rate.Period + 2*time.Hour + time.Duration(random.Int64N(int64(24*time.Hour)))
		stored := States{}
		for now := start.Add(fast); ; { // as much as the fast clock allows
			next, err := Decide(States{number: stored[number]}, spend, Holder{Attempt: "a"}, now)
			if err != nil {
				break
			}
			stored = next
		}
		if left, _ := spend.Number[0].Left(stored[number].Until, start); left != 1 {
			t.Fatalf("seed %d: %d left, want 1", seed, left)
		}
		stored, err := Decide(stored, spend, Holder{Attempt: "a"}, start)
		if err != nil {
			t.Fatalf("seed %d: after the clock was put right: %v", seed, err)
		}
		if most := start.Add(rate.Period); stored[number].Until.After(most) || stored[lock].Until.After(start.Add(spend.LockAtMost)) {
			t.Fatalf("seed %d: the states are still ahead: %v", seed, stored)
		}
		delete(stored, lock)
		var refused *Exceeded
		if _, err := Decide(stored, spend, Holder{Attempt: "a"}, start); !errors.As(err, &refused) || refused.RetryAt.After(start.Add(interval)) {
			t.Fatalf("seed %d: a second event at once: %v, want a refusal for one interval of %s", seed, err, interval)
		}
		if _, err := Decide(stored, spend, Holder{Attempt: "a"}, start.Add(interval)); err != nil {
			t.Fatalf("seed %d: an interval later: %v", seed, err)
		}
		// What others may have from the reserve is whole.
		if left, _ := (Charge{Rate: rate}).Left(stored[number].Until, start); left < reserve {
			t.Fatalf("seed %d: %d of the reserve of %d are left", seed, left, reserve)
		}
	}
}

// A budget that allows nothing stays as it is stored, however far ahead that is: there
// is no state of it that has room.
func TestABudgetThatAllowsNothing(t *testing.T) {
	ahead := start.Add(100 * 24 * time.Hour)
	for _, c := range []Charge{
		{},
		{Rate: Rate{Burst: 0, Period: time.Hour}},
		{Rate: Rate{Burst: -1, Period: time.Hour}},
		{Rate: Rate{Burst: 5, Period: 0}},
		{Rate: Rate{Burst: 5, Period: -time.Hour}},
		{Rate: Rate{Burst: 5, Period: time.Hour}, Reserve: -1},
		{Rate: Rate{Burst: 5, Period: time.Hour}, Reserve: 5},
		{Rate: Rate{Burst: 5, Period: time.Hour}, Reserve: 6},
	} {
		if got := c.Believable(ahead, start); !got.Equal(ahead) {
			t.Errorf("%+v: got %v, want %v", c, got, ahead)
		}
		c.Key = Key{Kind: Number, ID: "1"}
		if _, err := Decide(States{}, Spend{Number: []Charge{c}}, Holder{}, start); err == nil {
			t.Errorf("%+v: got a charge, want a refusal", c)
		}
	}
	if got := (Charge{Rate: Rate{Burst: 5, Period: time.Hour}, Reserve: 4}).Believable(ahead, start); !got.Equal(start) {
		t.Errorf("a reserve of all but one: got %v, want %v", got, start)
	}
}

// A refusal of several budgets says when none of them refuses any more, in whatever order
// they come; and a number that refuses costs the asker each budget of their own.
func TestARefusalNamesTheLastTimeAndCostsEachBudget(t *testing.T) {
	once := func(kind Kind, period time.Duration) Charge {
		return Charge{Key: Key{Kind: kind, ID: "x"}, Rate: Rate{Burst: 1, Period: period}, Own: true}
	}
	short, long := once(Network, time.Minute), once(Client, time.Hour)
	for _, order := range [][]Charge{{short, long}, {long, short}} {
		stored, err := Decide(States{}, Spend{Asker: order}, Holder{}, start)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decide(stored, Spend{Asker: order}, Holder{}, start)
		if refused, ok := errors.AsType[*Exceeded](err); !ok || !refused.RetryAt.Equal(start.Add(time.Hour)) || refused.Kind != order[0].Key.Kind {
			t.Errorf("%v: got %v, want a refusal by %s for an hour", order, err, order[0].Key.Kind)
		}
		lock := Key{Kind: Lock, ID: "1"}
		held := States{lock: {Until: start.Add(time.Minute)}}
		kept, err := Decide(held, Spend{Lock: lock, LockFor: time.Minute, Asker: order}, Holder{}, start)
		if err == nil || len(kept) != 2 || !kept[short.Key].Until.Equal(start.Add(time.Minute)) || !kept[long.Key].Until.Equal(start.Add(time.Hour)) {
			t.Errorf("%v, of a number that is locked: got %v, %v, want both budgets spent", order, kept, err)
		}
	}
}

func TestHeld(t *testing.T) {
	for _, row := range []struct {
		what                string
		left, longest, want time.Duration // zero: not held
	}{
		{"a free one", -time.Minute, time.Hour, -time.Minute},
		{"a held one", time.Hour, time.Hour, time.Hour},
		{"of a clock that was corrected by a second", time.Hour + time.Second, time.Hour, time.Hour},
		{"as much too late as a lock is long", 2 * time.Hour, time.Hour, time.Hour},
		{"of a wrong clock", 2*time.Hour + 1, time.Hour, 0},
		{"of a clock that was a year fast", 365 * 24 * time.Hour, time.Hour, 0},
		{"without a bound", 365 * 24 * time.Hour, 0, 365 * 24 * time.Hour},
	} {
		want := time.Time{}
		if row.want != 0 {
			want = start.Add(row.want)
		}
		if got := Held(start.Add(row.left), row.longest, start); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", row.what, got, want)
		}
	}
}
