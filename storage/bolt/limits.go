// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/limit"
	"calleridp/storage/record"
)

// limit reads a lock, a budget or a cool-down; its until is zero when there is none. Whether
// it has expired is for the caller, who has the time.
func (r reader) limit(key [32]byte) (limit.State, error) {
	value := r.tx.Bucket(limits.id).Get(key[:])
	if value == nil {
		return limit.State{}, nil
	}
	var stored record.Limit
	err := r.open(&limits, key[:], value, &stored)
	return stored.State(time.Unix(0, record.Expiry(value))), err
}

func (t *txn) putLimit(key [32]byte, state limit.State) error {
	stored := record.LimitOf(state)
	return t.put(&limits, key[:], state.Until, &stored)
}

// LimitStates implements login.Store.
func (s *Store) LimitStates(ctx context.Context, keys ...limit.Key) ([]limit.State, error) {
	return view(ctx, s, func(r reader) ([]limit.State, error) {
		states := make([]limit.State, len(keys))
		for i, key := range keys {
			var err error
			if states[i], err = r.limit(s.sealer.LimitKey(key)); err != nil {
				return nil, err
			}
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

// spend takes the lock and charges the budgets, or returns what refuses it
// (invariant 7). A refused spend has paid for the try.
func (t *txn) spend(spend limit.Spend, by limit.Holder, now time.Time) (limit.States, *limit.Exceeded, error) {
	states := limit.States{}
	for _, key := range spend.Keys() {
		stored, err := t.limit(t.s.sealer.LimitKey(key))
		if err != nil {
			return nil, nil, err
		}
		states[key] = stored
	}
	decided, err := limit.Decide(states, spend, by, now)
	refused, isRefused := errors.AsType[*limit.Exceeded](err)
	if err != nil && !isRefused {
		return nil, nil, err
	}
	for key, state := range decided {
		if err := t.putLimit(t.s.sealer.LimitKey(key), state); err != nil {
			return nil, nil, err
		}
	}
	return states, refused, nil
}

// changeLimit stores what becomes of a lock or a cool-down; a zero Until deletes it.
func (t *txn) changeLimit(key [32]byte, change func(limit.State) limit.State) error {
	stored, err := t.limit(key)
	if err != nil {
		return err
	}
	switch after := change(stored); {
	case after == stored:
		return nil
	case after.Until.IsZero():
		return t.del(&limits, key[:])
	default:
		return t.putLimit(key, after)
	}
}

// Spend implements client.Registrations.
func (s *Store) Spend(ctx context.Context, spend limit.Spend, now time.Time) error {
	return s.write(ctx, func(t *txn) error { return t.spendOrRefuse(spend, now) })
}

// spendOrRefuse is spend, with an error for what refuses it.
func (t *txn) spendOrRefuse(spend limit.Spend, now time.Time) error {
	_, refused, err := t.spend(spend, limit.Holder{}, now)
	if err == nil && refused != nil {
		return refused
	}
	return err
}
