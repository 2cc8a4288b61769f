// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// A budget that all sign-ins share is one record, which PostgreSQL keeps locked until the
// sign-in is durable: the next one waits. So a large budget is divided into parts, each
// with a record and an equal share of the burst, and every charge takes one of them by
// chance. The parts add up to the budget, so never more than it is allowed. A little less
// may be: the part that a charge meets may be spent while others are not. With partLeast
// in each part, the first refusal comes when some 97 % of the budget are spent at least.
// A budget that is not large is one part, and exact.
const (
	partLeast = 10_000 // events of a burst
	partsMost = 64
)

// parts returns into how many parts a budget is divided.
func (r Rate) parts() int { return min(max(r.Burst/partLeast, 1), partsMost) }

// Parts returns the parts of a charge's budget, each with its share of the reserve.
func (c Charge) Parts() []Charge {
	all := make([]Charge, c.Rate.parts())
	for i := range all {
		all[i] = c.part(i)
	}
	return all
}

// AnyPart returns the charge against a random part of its budget.
func (c Charge) AnyPart() Charge { return c.part(rand.IntN(c.Rate.parts())) }

func (c Charge) part(i int) Charge {
	of := func(whole int) int {
		n := c.Rate.parts()
		return (i+1)*whole/n - i*whole/n
	}
	c.Key, c.Rate.Burst, c.Reserve = c.Key.part(i), of(c.Rate.Burst), of(c.Reserve)
	return c
}

// Parts returns the keys of every part that a budget may ever have had: how many it has
// changes with its rate.
func (k Key) Parts() []Key {
	all := make([]Key, partsMost)
	for i := range all {
		all[i] = k.part(i)
	}
	return all
}

// part returns the key of a part. The first part has that of the whole; no ID has a zero
// byte in it.
func (k Key) part(i int) Key {
	if i > 0 {
		k.ID += "\x00" + strconv.Itoa(i)
	}
	return k
}

// LeftOf says what charges against one part each have left together, when the next of
// them has room, and when all are whole again; see Charge.Left. states are those of
// their keys.
func LeftOf(parts []Charge, states []State, now time.Time) (left int, next, full time.Time) {
	for i, c := range parts {
		tat := c.Believable(states[i].Until, now)
		n, at := c.Left(tat, now)
		left += n
		if i == 0 || at.Before(next) {
			next = at
		}
		if tat.After(full) {
			full = tat
		}
	}
	return left, next, full
}
