package limit

import "time"

// States are stored locks and budgets: when a lock expires, and the theoretical
// arrival time of a budget. A key that is missing, or has the zero time, has
// never been used.
type States map[Key]time.Time

// Keys returns every key of the spend once, the lock first. Decide needs the
// states of these, and returns new ones for no other.
func (s Spend) Keys() []Key {
	keys := make([]Key, 0, 1+len(s.Charges))
	seen := make(map[Key]bool, 1+len(s.Charges))
	add := func(k Key) {
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	if s.Lock != (Key{}) {
		add(s.Lock)
	}
	for _, charge := range s.Charges {
		add(charge.Key)
	}
	return keys
}

// Decide reports whether the lock is free and every budget has room
// (invariant 7). It returns the states to store, one for each of the spend's
// keys. A budget that the spend charges twice pays twice.
//
// The error of a refused spend is an *Exceeded. It names the first lock or budget
// that refuses, and the time at which none would. A reserve is named only if
// nothing else refuses.
//
// A store reads the states, calls Decide and writes the result, all in the
// transaction that creates the attempt.
func Decide(stored States, s Spend, now time.Time) (States, error) {
	next := make(States, 1+len(s.Charges))
	var refused, reserved *Exceeded
	if s.Lock != (Key{}) {
		if until := Held(stored[s.Lock], s.LockAtMost, now); until.After(now) {
			refused = refused.with(s.Lock.Kind, until)
		}
		next[s.Lock] = now.Add(s.LockFor)
	}
	for _, charge := range s.Charges {
		state, charged := next[charge.Key]
		if !charged {
			state = stored[charge.Key]
		}
		decision := charge.Take(state, now)
		next[charge.Key] = decision.TAT
		if decision.Allowed {
			continue
		}
		if whole := charge.Rate.Take(state, now); !whole.Allowed {
			refused = refused.with(charge.Key.Kind, whole.RetryAt)
		} else {
			reserved = reserved.with(charge.Key.Kind, decision.RetryAt)
			reserved.Reserved = true
		}
	}
	if refused == nil {
		refused = reserved
	}
	if refused != nil {
		return nil, refused
	}
	return next, nil
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
