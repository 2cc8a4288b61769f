// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/client"
	"calleridp/storage/record"
)

var _ client.Assertions = (*Store)(nil)

// UseAssertion implements client.Assertions. Of two at once, one finds the other's row when
// it runs again.
func (s *Store) UseAssertion(ctx context.Context, id client.AssertionID, until time.Time) error {
	value := s.sealer.Seal(&record.Assertions, id[:], until, &record.Tombstone{})
	return s.write(ctx, func(t *txn) error {
		var used, old bool
		t.rows("SELECT key, value FROM assertions WHERE key = $1 FOR UPDATE", []any{id[:]}, func(key, value []byte) {
			old = errors.Is(s.open(&record.Assertions, key, value, &record.Tombstone{}), errExpired)
			used = !old // also if it cannot be read
		})
		if err := t.look(); err != nil {
			return err
		}
		if used {
			return client.ErrReplayed
		}
		if old {
			t.put("DELETE FROM assertions WHERE key = $1", id[:])
		}
		t.put("INSERT INTO assertions (key, value, expires, due) VALUES ($1, $2, $3, $3)", id[:], value, expiryOf(value))
		return nil
	})
}
