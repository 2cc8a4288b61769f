// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"time"

	"calleridp/provider/redact"
)

// State is a stored lock or budget. A key that is missing, or has the zero State,
// has never been used.
type State struct {
	// Until is when a lock expires, the theoretical arrival time of a budget, or when a
	// cool-down is forgotten.
	Until time.Time
	// Free is when a cool-down ends. Of a number's lock, it is when the pushes of others
	// than its holder end: its holder cannot release it before. Of the lock of a lane that
	// a decline has closed, it is from when on a solved challenge opens it.
	Free time.Time
	// Holder is who took a lock, or raised a cool-down last.
	Holder Holder
	// Approved says that the user has approved what a lock was taken for: it binds
	// other browsers only.
	Approved bool
}

// States are stored locks and budgets.
type States map[Key]State

// Keys returns every key of the spend once. Decide needs the states of these, and
// returns new ones for no other.
func (s Spend) Keys() []Key {
	keys := make([]Key, 0, len(s.Asker)+len(s.Share)+len(s.Number)+3)
	seen := make(map[Key]bool, cap(keys))
	add := func(k Key) {
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	for _, charge := range s.Asker {
		add(charge.Key)
	}
	if s.Lock != (Key{}) {
		add(s.Lock)
	}
	if s.Block != (Key{}) {
		add(s.Block)
	}
	for _, charge := range s.Share {
		add(charge.Key)
	}
	for _, charge := range s.Number {
		add(charge.Key)
	}
	if s.Cooling.Key != (Key{}) && !s.Cooling.Lane {
		add(s.Cooling.Key)
	}
	return keys
}

// Decide reports whether every budget has room and the lock is free for the attempt
// that asks (invariant 7).
// It returns the states to store, which for a spend that is taken are one for each
// of its keys. A budget that the spend charges twice pays twice.
//
// What the asker may spend is decided first. If that refuses, the error tells
// nothing about the number, and no state is returned. Then the share is decided that
// the asker's networks have of the number: if it refuses, the error tells what these
// networks have asked for, and nothing else about the number. If the share or the number
// refuses, the asker's own charges are paid all the same: Decide returns their states
// together with the error, so that no attacker can ask about a number for nothing. Only a
// browser whose own attempt holds the lock asks for nothing: it knows already. While the
// push of a known browser keeps that lock for longer (State.Free), it does not, and pays.
//
// The error of a refused spend is an *Exceeded. It names the first lock or budget
// that refuses, and the time at which none would. A reserve is named only if nothing
// else refuses. A cool-down that refuses hides the number's lock and budget, so that a
// browser sees them only by pushes that ring, or by challenges that it solves.
//
// A store reads the states, calls Decide and writes every state that it returns,
// error or not, all in the transaction that would create the attempt.
func Decide(stored States, s Spend, by Holder, now time.Time) (States, error) {
	lock := stored[s.Lock].believed(s.LockAtMost, now)
	browsers := append([]redact.Hash{by.Browser}, s.Before...)
	declined := s.Cooling.Lane && lock.Until.After(now) && !lock.Free.IsZero()
	held := s.Lock != (Key{}) && lock.binds(browsers, now) && (!declined || lock.Free.After(now))
	own := held && lock.Holder.by(browsers) && !lock.Approved
	// What keeps it is no longer the browser's own push alone.
	others := own && !declined && lock.Free.After(now)

	l := ledger{stored: stored, next: make(States, len(s.Asker)+len(s.Share)+len(s.Number)+3), now: now}
	for _, charge := range s.Asker {
		l.charge(charge)
	}
	if refused := l.refusal(); refused != nil && (!own || others) {
		return nil, refused
	}
	kept := l.own(s.Asker)

	l.refused, l.reserved = nil, nil
	for _, charge := range s.Share {
		l.charge(charge)
	}
	if refused := l.refusal(); refused != nil && !own {
		return kept, refused
	}

	l.refused, l.reserved = nil, nil
	free, cools := s.Cooling.ends(stored, now)
	switch {
	case cools: // and the browser learns nothing else
		l.reserved = &Exceeded{Kind: s.Cooling.Key.Kind, RetryAt: free, Reserved: true}
	case held && declined:
		l.refused = l.refused.with(s.Lock.Kind, lock.Free)
	case held:
		l.refused = l.refused.with(s.Lock.Kind, lock.Until)
	case declined && !s.Cooling.Solved:
		l.reserved = l.reserved.with(s.Lock.Kind, lock.Until)
		l.reserved.Reserved = true
	}
	if !cools {
		for _, charge := range s.Number {
			l.charge(charge)
		}
		l.cool(s.Cooling, by)
	}
	refused := l.refusal()
	switch {
	case own:
		refused.Holder = lock.Holder.Attempt
		if others {
			return kept, refused
		}
		return nil, refused
	case refused != nil:
		return kept, refused
	}
	if s.Lock != (Key{}) {
		l.next[s.Lock] = State{Until: now.Add(s.LockFor), Holder: by}
	}
	if s.Block != (Key{}) {
		block := stored[s.Block].believed(s.LockAtMost, now)
		l.next[s.Block] = block.extended(by, browsers, now, now.Add(s.LockFor))
	}
	return l.next, nil
}

// ledger charges budgets one after the other.
type ledger struct {
	stored, next      States
	now               time.Time
	refused, reserved *Exceeded
}

func (l *ledger) charge(c Charge) {
	state, charged := l.next[c.Key]
	if !charged {
		state = l.stored[c.Key]
	}
	decision := c.Take(state.Until, l.now)
	l.next[c.Key] = State{Until: decision.TAT}
	if decision.Allowed {
		return
	}
	if whole := c.Rate.Take(state.Until, l.now); !whole.Allowed {
		l.refused = l.refused.with(c.Key.Kind, whole.RetryAt)
	} else {
		l.reserved = l.reserved.with(c.Key.Kind, decision.RetryAt)
		l.reserved.Reserved = true
	}
}

// cool raises a cool-down.
func (l *ledger) cool(c Cooling, by Holder) {
	if c.Key == (Key{}) || c.Lane {
		return
	}
	l.next[c.Key] = c.Rule.raised(l.stored[c.Key], by, 1, l.now)
}

// refusal returns what refuses, nil for nothing.
func (l *ledger) refusal() *Exceeded {
	if l.refused != nil {
		return l.refused
	}
	return l.reserved
}

// own returns the states of the charges that a refused spend pays.
func (l *ledger) own(charges []Charge) States {
	var kept States
	for _, c := range charges {
		if c.Own {
			if kept == nil {
				kept = make(States, len(charges))
			}
			kept[c.Key] = l.next[c.Key]
		}
	}
	return kept
}

// with adds a refusal: the first gives the kind, the latest the time.
func (e *Exceeded) with(kind Kind, retryAt time.Time) *Exceeded {
	if e == nil {
		e = &Exceeded{Kind: kind}
	}
	if e.RetryAt.Before(retryAt) {
		e.RetryAt = retryAt
	}
	return e
}
