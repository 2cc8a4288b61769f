// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"time"

	"calleridp/provider/redact"
)

// binds reports whether a lock keeps one of the browsers from taking it. An approval
// leaves its browser free, unless a push of another one may still be open.
func (s State) binds(browsers []redact.Hash, now time.Time) bool {
	return s.Until.After(now) && (!s.Approved || !s.Holder.by(browsers) || s.Free.After(now))
}

// believed returns a lock as far as a right clock can have written it: see Held.
func (s State) believed(longest time.Duration, now time.Time) State {
	s.Until = Held(s.Until, longest, now)
	if s.Free.After(s.Until) {
		s.Free = s.Until
	}
	return s
}

// extended returns a lock that is held until then at least, and binds every browser: by
// its holder, or by h if it is free or held by one of h's own browsers. The holder's
// release does not end it before the other push does.
func (s State) extended(h Holder, browsers []redact.Hash, now, until time.Time) State {
	if !s.Until.After(now) {
		return State{Until: until, Holder: h}
	}
	if s.Holder.by(browsers) {
		s.Holder, s.Free = h, s.Until
	} else {
		s.Free = latest(s.Free, until)
	}
	s.Until = latest(s.Until, until)
	s.Approved = false
	return s
}

// Release is what the end of a push makes of the lock of its number.
type Release struct {
	By Holder
	// Until is how long others must wait yet. Zero: for nothing that this push has done.
	Until time.Time
	// Unsolved is until when a decline closes a lane of its own to a browser that solves no
	// challenge. Before Until, it is closed also to one that does.
	Unsolved time.Time
	// Approved says that the user has approved: the browser of By need not wait.
	Approved bool
}

// After returns what becomes of a lock. The zero State releases it. Only the attempt
// that holds it can end it sooner, and not before the pushes of others end. Any other
// one can keep it for longer.
func (r Release) After(s State, now time.Time) State {
	next := State{Until: r.Until, Holder: r.By, Approved: r.Approved}
	switch held := s.Until.After(now); {
	case held && s.Holder.Attempt != r.By.Attempt:
		s.Until, s.Free = latest(s.Until, r.Until), latest(s.Free, r.Until)
		return s
	case held && s.Free.After(now):
		next.Until, next.Free = latest(r.Until, s.Free), s.Free
		if r.Until.IsZero() {
			next.Holder = Holder{} // who else may end it is not known
		}
	}
	if next.Until.IsZero() {
		return State{}
	}
	return next
}

// AfterInLane is After for the lock of a lane of its own, which is free as soon as the
// user has approved: only others must wait.
func (r Release) AfterInLane(s State, now time.Time) State {
	switch {
	case s.Until.After(now) && s.Holder.Attempt != r.By.Attempt:
		return s
	case r.Approved, r.Until.IsZero():
		return State{}
	}
	return State{Until: latest(r.Until, r.Unsolved), Free: r.Until, Holder: r.By}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
