package bolt

import (
	"context"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/storage/record"
)

// limitState is a lock or a budget with its key and its expiry.
type limitState struct {
	key   [32]byte
	until time.Time
	record.Limit
}

// limit reads a lock or a budget; its until is zero when there is none. Whether
// it has expired is for the caller, who has the time.
func (r reader) limit(key [32]byte) (limitState, error) {
	l := limitState{key: key}
	value := r.tx.Bucket(limits.id).Get(key[:])
	if value == nil {
		return l, nil
	}
	err := r.open(&limits, key[:], value, &l.Limit)
	l.until = time.Unix(0, record.Expiry(value))
	return l, err
}

// LimitStates implements login.Store.
func (s *Store) LimitStates(ctx context.Context, keys ...limit.Key) ([]time.Time, error) {
	return view(ctx, s, func(r reader) ([]time.Time, error) {
		states := make([]time.Time, len(keys))
		for i, key := range keys {
			stored, err := r.limit(s.sealer.LimitKey(key))
			if err != nil {
				return nil, err
			}
			states[i] = stored.until
		}
		return states, nil
	})
}

// ClearLimits implements admin.Budgets.
func (s *Store) ClearLimits(ctx context.Context, keys ...limit.Key) error {
	return s.write(ctx, func(t *txn) error {
		for _, key := range keys {
			hidden := s.sealer.LimitKey(key)
			if err := t.del(&limits, hidden[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// spend takes the lock for holder and charges the budgets, or returns the
// *limit.Exceeded that refuses it and writes nothing (invariant 7).
func (t *txn) spend(spend limit.Spend, holder login.ID, now time.Time) error {
	keys := spend.Keys()
	stored, states := make([]limitState, len(keys)), make(limit.States, len(keys))
	for i, key := range keys {
		var err error
		if stored[i], err = t.limit(t.s.sealer.LimitKey(key)); err != nil {
			return err
		}
		states[key] = stored[i].until
	}
	decided, err := limit.Decide(states, spend, now)
	if err != nil {
		return err
	}
	for i, key := range keys {
		l := &stored[i]
		if key == spend.Lock {
			l.Holder = holder
		}
		if err := t.put(&limits, l.key[:], decided[key], &l.Limit); err != nil {
			return err
		}
	}
	return nil
}

// release ends the lock that holder took, or lets it expire at until instead. A
// lock that another attempt has taken since stays as it is.
func (t *txn) release(key []byte, holder login.ID, until time.Time) error {
	lock, err := t.limit([32]byte(key))
	if err != nil {
		return err
	}
	free := !lock.until.After(t.now)
	switch {
	case !free && lock.Holder != holder:
		return nil
	case until.IsZero():
		return t.del(&limits, key)
	}
	lock.Holder = holder
	return t.put(&limits, key, until, &lock.Limit)
}
