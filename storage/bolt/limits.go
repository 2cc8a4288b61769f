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
// it is over is for the caller, who has a clock of his own.
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
	states := make([]time.Time, len(keys))
	err := s.read(ctx, func(r reader) error {
		for i, key := range keys {
			kept, err := r.limit(s.sealer.LimitKey(key))
			if err != nil {
				return err
			}
			states[i] = kept.until
		}
		return nil
	})
	return states, err
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

// spend decides whether the lock is free and every budget has room, and returns
// what is to be kept then. When several refuse, the error names the first, and
// the time when none of them would (invariant 7). A reserve is named when
// nothing else refuses.
func (r reader) spend(spend limit.Spend, holder login.ID, now time.Time) (taken []limitState, err error) {
	var refused, reserved *limit.Exceeded
	refuse := func(kind limit.Kind, retryAt time.Time) {
		if refused == nil {
			refused = &limit.Exceeded{Kind: kind}
		}
		if refused.RetryAt.Before(retryAt) {
			refused.RetryAt = retryAt
		}
	}
	if spend.Lock != (limit.Key{}) {
		lock, err := r.limit(r.s.sealer.LimitKey(spend.Lock))
		if err != nil {
			return nil, err
		}
		if lock.until.After(now) {
			refuse(spend.Lock.Kind, lock.until)
		}
		lock.Holder, lock.until = holder, now.Add(spend.LockFor)
		taken = append(taken, lock)
	}
	for _, charge := range spend.Charges {
		key := r.s.sealer.LimitKey(charge.Key)
		var budget *limitState
		for i := range taken { // charged twice in one spend
			if taken[i].key == key {
				budget = &taken[i]
			}
		}
		if budget == nil {
			stored, err := r.limit(key)
			if err != nil {
				return nil, err
			}
			taken = append(taken, stored)
			budget = &taken[len(taken)-1]
		}
		decision := charge.Take(budget.until, now)
		if !decision.Allowed {
			switch whole := charge.Rate.Take(budget.until, now); {
			case !whole.Allowed:
				refuse(charge.Key.Kind, whole.RetryAt)
			case reserved == nil:
				reserved = &limit.Exceeded{Kind: charge.Key.Kind, RetryAt: decision.RetryAt, Reserved: true}
			case reserved.RetryAt.Before(decision.RetryAt):
				reserved.RetryAt = decision.RetryAt
			}
			continue
		}
		budget.until = decision.TAT
	}
	if refused == nil {
		refused = reserved
	}
	if refused != nil {
		return nil, refused
	}
	return taken, nil
}

func (t *txn) take(taken []limitState) error {
	for i := range taken {
		l := &taken[i]
		if err := t.put(&limits, l.key[:], l.until, &l.Limit); err != nil {
			return err
		}
	}
	return nil
}

// release ends the lock that holder took, or lets it end at until instead. A
// lock that somebody else has taken since stays as it is.
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
