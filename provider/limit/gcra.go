// SPDX-License-Identifier: Apache-2.0

package limit

import "time"

// Decision is what comes of one charge against one budget.
type Decision struct {
	Allowed   bool
	TAT       time.Time // the state to keep when the charge is taken
	RetryAt   time.Time // when refused: the earliest time it would be allowed
	Remaining int       // how many more would be allowed at once after this one
}

// Take decides one event by the generic cell rate algorithm. tat is the stored
// state (theoretical arrival time), zero for a budget never used. A Rate that
// makes no sense, the zero Rate among them, allows nothing (invariant 7: fail
// closed). To have no budget, make no Charge.
func (r Rate) Take(tat, now time.Time) Decision { return Charge{Rate: r}.Take(tat, now) }

// Take decides the charge as Rate.Take does, and leaves the reserve alone:
// Remaining and RetryAt are without it. Where the reserve is the whole burst,
// nothing is allowed.
func (c Charge) Take(tat, now time.Time) Decision {
	burst, period := c.Rate.Burst, c.Rate.Period
	if burst <= 0 || period <= 0 || c.Reserve < 0 || c.Reserve >= burst {
		return Decision{RetryAt: now.Add(time.Hour), TAT: tat}
	}
	interval := c.Rate.each()
	tolerance := interval * time.Duration(burst-c.Reserve)
	tat = c.Believable(tat, now)
	if tat.Before(now) {
		tat = now
	}
	next := tat.Add(interval)
	if earliest := next.Add(-tolerance); earliest.After(now) {
		return Decision{RetryAt: earliest, TAT: tat}
	}
	return Decision{Allowed: true, TAT: next, Remaining: int((tolerance - next.Sub(now)) / interval)}
}
