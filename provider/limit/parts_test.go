// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The parts of a budget add up to it, and so does what is reserved of it.
func TestPartsAddUp(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 3))
		c := Charge{
			Key:  Key{Kind: Client, ID: "shop"},
			Rate: Rate{Burst: 1 + random.IntN(1<<random.IntN(26)), Period: time.Hour},
		}
		c.Reserve = random.IntN(c.Rate.Burst)
		burst, reserve, seen := 0, 0, map[Key]bool{}
		all := c.Parts()
		for _, part := range all {
			burst += part.Rate.Burst
			reserve += part.Reserve
			seen[part.Key] = true
			if part.Rate.Period != c.Rate.Period || part.Rate.Burst <= 0 || part.Reserve > part.Rate.Burst {
				t.Fatalf("%+v has the part %+v", c, part)
			}
		}
		if burst != c.Rate.Burst || reserve != c.Reserve || len(seen) != len(all) || len(all) > partsMost {
			t.Fatalf("%+v has %d parts with %d and %d reserved", c, len(all), burst, reserve)
		}
		if len(all) > 1 && c.Rate.Burst/len(all) < partLeast {
			t.Fatalf("%+v has %d parts: too small ones", c, len(all))
		}
		if all[0].Key != c.Key {
			t.Fatalf("the first part of %+v is %+v", c, all[0])
		}
		for _, key := range c.Key.Parts() {
			delete(seen, key)
		}
		if len(seen) > 0 {
			t.Fatalf("%+v has parts that Key.Parts does not name: %v", c, seen)
		}
	}
}

// Whatever parts the charges take, a burst and what comes back later are never more than
// the budget allows, and not much less (invariant 7).
func TestInvariant7_PartsNeverAllowMore(t *testing.T) {
	for _, burst := range []int{5, 2*partLeast - 1, 2 * partLeast, 10*partLeast + 7, partsMost * partLeast} {
		c := Charge{Key: Key{Kind: Deployment}, Rate: Rate{Burst: burst, Period: time.Hour}}
		states := map[Key]time.Time{}
		allowed, first := 0, 0
		ask := func(now time.Time) {
			part := c.AnyPart()
			d := part.Take(states[part.Key], now)
			if states[part.Key] = d.TAT; d.Allowed {
				allowed++
			} else if first == 0 {
				first = allowed
			}
		}
		tries := burst + burst/2
		for range tries {
			ask(start)
		}
		if allowed > burst {
			t.Fatalf("a budget of %d has allowed %d at once", burst, allowed)
		}
		if least := burst - burst*4/100; first < least {
			t.Errorf("a budget of %d refuses after %d, want %d at least", burst, first, least)
		}
		for i := range tries { // for half of the period, more than comes back
			ask(start.Add(time.Duration(i) * c.Rate.Period / 2 / time.Duration(tries)))
		}
		if most := burst + burst/2; allowed > most {
			t.Errorf("a budget of %d has allowed %d in one and a half of its periods, want %d at most", burst, allowed, most)
		}
	}
}

// What is left of a divided budget is what its parts have left.
func TestLeftOfParts(t *testing.T) {
	c := Charge{Key: Key{Kind: Deployment}, Rate: Rate{Burst: 3 * partLeast, Period: time.Hour}}
	all := c.Parts()
	states := make([]State, len(all))
	want := func(left int, next, full time.Time) {
		t.Helper()
		if l, n, f := LeftOf(all, states, start); l != left || !n.Equal(next) || !f.Equal(full) {
			t.Errorf("got %d left, next at %v, all at %v; want %d, %v, %v", l, n, f, left, next, full)
		}
	}
	want(c.Rate.Burst, start, time.Time{})
	states[1].Until = start.Add(time.Hour) // spent
	want(2*partLeast, start, start.Add(time.Hour))
	states[0].Until, states[2].Until = start.Add(time.Hour-time.Second), start.Add(time.Hour)
	want(2, start, start.Add(time.Hour))
	states[0].Until = start.Add(time.Hour - time.Millisecond)
	want(0, start.Add(time.Hour/partLeast-time.Millisecond), start.Add(time.Hour))
	states[0].Until = start.Add(100 * time.Hour) // of a wrong clock
	want(1, start, start.Add(time.Hour))
}
