package postgres

import (
	"context"
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
		used := t.some("SELECT FROM assertions WHERE key = $1 AND expires > now()", id[:])
		if err := t.look(); err != nil {
			return err
		}
		if *used {
			return client.ErrReplayed
		}
		t.put("DELETE FROM assertions WHERE key = $1 AND expires <= now()", id[:])
		t.put("INSERT INTO assertions (key, value, expires, due) VALUES ($1, $2, $3, $3)", id[:], value, expiryOf(value))
		return nil
	})
}
