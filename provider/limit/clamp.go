// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"time"

	"calleridp/provider/clock"
)

// A clock that was fast, and was put right, leaves locks and budgets in the store
// that end as much too late. Each reader of a state clamps it first to what a right
// clock could have written; a budget does so by itself (Charge.Take). It is not
// enough to read "now plus the period", because a refusal stores nothing: the state
// would stay as far ahead for as long as the clock was wrong.

// Believable returns the state of a budget, or, if a right clock cannot have
// written it, one that has room for this charge alone. Taking the charge then stores
// a state that can be believed again. A reserve stays whole. A state that is ahead by
// no more than an event, or by clock.Tolerance, is believed: a small correction of the
// clock is waited for.
func (c Charge) Believable(tat, now time.Time) time.Time {
	burst, period := c.Rate.Burst, c.Rate.Period
	if burst <= 0 || period <= 0 || c.Reserve < 0 || c.Reserve >= burst {
		return tat // nothing is allowed anyway
	}
	interval := c.Rate.each()
	if tat.After(now.Add(interval*time.Duration(burst) + min(interval, clock.Tolerance))) {
		return now.Add(interval * time.Duration(burst-c.Reserve-1))
	}
	return tat
}

// believable returns the state of a cool-down, or the zero State if a right clock
// cannot have written it.
func (c CoolDown) believable(s State, now time.Time) State {
	switch most := time.Duration(c.most()) * c.Longest; {
	case s.Until.After(now.Add(most + min(c.Longest, clock.Tolerance))):
		return State{}
	case s.Until.After(now.Add(most)):
		s.Until = now.Add(most)
	}
	s.Free = Held(s.Free, c.Longest, now)
	return s
}

// Held returns until when a lock is held that is stored until then, if no lock lasts
// longer than longest; zero stands for no bound. A lock that ends a little later than
// possible is held, as a
// clock that is corrected by seconds must not open it early (invariant 7). One that
// ends after twice that time is none.
func Held(until time.Time, longest time.Duration, now time.Time) time.Time {
	switch left := until.Sub(now); {
	case left <= longest, longest == 0:
		return until
	case left <= 2*longest:
		return now.Add(longest)
	}
	return time.Time{}
}
