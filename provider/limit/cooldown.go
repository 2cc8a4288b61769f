// SPDX-License-Identifier: Apache-2.0

package limit

import "time"

// CoolDown is the rule by which a number refuses browsers that it does not know,
// after pushes that its user has not approved: after the first no longer than the
// lock, after the second for First, then twice as long each time, for Longest at
// most. A push is forgotten after each Longest that passes without another one. The
// zero CoolDown refuses nothing.
//
// Its state counts pushes as a budget counts events: Until is the time at which the
// last one is forgotten. Free is when the cool-down ends.
type CoolDown struct {
	First, Longest time.Duration
}

// Cooling is a number's cool-down as one push meets it. The zero Cooling is none.
type Cooling struct {
	Key  Key
	Rule CoolDown
	// Solved says that the browser has solved a challenge: the cool-down does not
	// refuse it, and rises all the same.
	Solved bool
	// Lane says that the push is in a lane of its own: the cool-down neither refuses it
	// nor is raised by it. Its approval ends it all the same.
	Lane bool
}

// ends returns when the cool-down ends, if it refuses the push.
func (c Cooling) ends(stored States, now time.Time) (free time.Time, refuses bool) {
	if c.Key == (Key{}) || c.Lane || c.Solved {
		return time.Time{}, false
	}
	free = c.Rule.believable(stored[c.Key], now).Free
	return free, free.After(now)
}

// Count returns how many pushes a state remembers.
func (c CoolDown) Count(s State, now time.Time) int {
	left := c.believable(s, now).Until.Sub(now)
	if left <= 0 || c.Longest <= 0 {
		return 0
	}
	return int((left + c.Longest - 1) / c.Longest)
}

// After returns how long the cool-down lasts after so many pushes.
func (c CoolDown) After(pushes int) time.Duration {
	if pushes < 2 {
		return 0
	}
	lasts := c.First
	for range pushes - 2 {
		if lasts >= c.Longest {
			break
		}
		lasts *= 2
	}
	return min(lasts, c.Longest)
}

// Next returns how many pushes are remembered after some more.
func (c CoolDown) Next(s State, more int, now time.Time) int {
	return c.Count(c.raised(s, Holder{}, more, now), now)
}

// most returns from how many pushes on the cool-down lasts Longest. No more are
// remembered.
func (c CoolDown) most() int {
	most := 2
	for c.First > 0 && c.After(most) < c.Longest {
		most++
	}
	return most
}

// raised returns the state after some more pushes, the last of them by h.
func (c CoolDown) raised(s State, h Holder, pushes int, now time.Time) State {
	until := c.believable(s, now).Until
	if until.Before(now) {
		until = now
	}
	until = until.Add(time.Duration(pushes) * c.Longest)
	if last := now.Add(time.Duration(c.most()) * c.Longest); until.After(last) {
		until = last
	}
	next := State{Until: until, Holder: h}
	next.Free = now.Add(c.After(c.Count(next, now)))
	return next
}

// PushEnd is what became of a push, as far as it changes a number's cool-down.
type PushEnd string

// The ends of a push. One without a response changes nothing: it was counted when it
// was sent.
const (
	Unanswered PushEnd = ""
	Unsent     PushEnd = "unsent"   // it rang no phone: it is not counted
	Declined   PushEnd = "declined" // it counts twice
	Answered   PushEnd = "answered" // its user approved: all is forgotten
)

// Ended is the end of a push.
type Ended struct {
	How  PushEnd
	Rule CoolDown
	At   time.Time
}

// GivesBack reports whether the push has cost nothing in the end: its user approved it,
// or it rang no phone. What it paid is given back then (Spend.Returned).
func (e Ended) GivesBack() bool { return e.How == Answered || e.How == Unsent }

// GiveBack returns a budget's state without one event of those that it remembers. A zero
// Until forgets it.
func (e Ended) GiveBack(s State, each time.Duration) State {
	s.Until = s.Until.Add(-each)
	if !s.Until.After(e.At) {
		return State{}
	}
	return s
}

// After returns what becomes of the number's cool-down when the push of h ends. Any
// approval ends it. Otherwise one that another attempt has raised last stays as it is. A
// zero Until forgets it.
func (e Ended) After(s State, h Holder) State {
	switch {
	case e.How == Answered:
		return State{}
	case s.Holder.Attempt != h.Attempt:
		return s
	}
	switch e.How {
	case Declined:
		return e.Rule.raised(s, h, 1, e.At)
	case Unsent:
		until := s.Until.Add(-e.Rule.Longest)
		if !until.After(e.At) {
			return State{}
		}
		return State{Until: until, Free: e.At, Holder: h}
	}
	return s
}
