// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"

	"calleridp/provider/idempotency"
	"calleridp/provider/redact"
	"calleridp/storage/record"
)

var _ idempotency.Store = (*Store)(nil)

// BeginRequest implements idempotency.Store. Of two at once, one finds the other's row when it runs
// again.
func (s *Store) BeginRequest(ctx context.Context, r idempotency.Request) (stored idempotency.Request, began bool, err error) {
	key, value := r.Key[:], s.sealRequest(r)
	err = s.write(ctx, func(t *txn) error {
		stored, began = idempotency.Request{}, false
		var taken, old bool
		var unreadable error
		t.rows("SELECT key, value FROM requests WHERE key = $1 FOR UPDATE", []any{key}, func(key, value []byte) {
			err := s.open(&record.Requests, key, value, (*record.Request)(&stored))
			old = errors.Is(err, errExpired)
			taken = !old
			if taken {
				unreadable = err
			}
		})
		if err := t.look(); err != nil {
			return err
		}
		if taken {
			return unreadable
		}
		if old {
			t.put("DELETE FROM requests WHERE key = $1", key)
		}
		stored, began = r, true
		t.put("INSERT INTO requests (key, value, expires, due) VALUES ($1, $2, $3, $3)", key, value, expiryOf(value))
		return nil
	})
	return stored, began && err == nil, err
}

// EndRequest implements idempotency.Store.
func (s *Store) EndRequest(ctx context.Context, r idempotency.Request) error {
	value := s.sealRequest(r)
	return s.write(ctx, func(t *txn) error {
		t.put(`INSERT INTO requests (key, value, expires, due) VALUES ($1, $2, $3, $3)
			ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires = EXCLUDED.expires, due = least(requests.due, EXCLUDED.due)`,
			r.Key[:], value, expiryOf(value))
		return nil
	})
}

// ForgetRequest implements idempotency.Store.
func (s *Store) ForgetRequest(ctx context.Context, key redact.Hash) error {
	return s.write(ctx, func(t *txn) error {
		t.put("DELETE FROM requests WHERE key = $1", key[:])
		return nil
	})
}

func (s *Store) sealRequest(r idempotency.Request) []byte {
	return s.sealer.Seal(&record.Requests, r.Key[:], r.Expires(), (*record.Request)(&r))
}
