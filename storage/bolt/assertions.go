// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/provider/client"
	"calleridp/storage/record"
)

var _ client.Assertions = (*Store)(nil)

// UseAssertion implements client.Assertions.
func (s *Store) UseAssertion(ctx context.Context, id client.AssertionID, until time.Time) error {
	return s.write(ctx, func(t *txn) error {
		if t.has(&assertions, id[:]) {
			return client.ErrReplayed
		}
		return t.put(&assertions, id[:], until, &record.Tombstone{})
	})
}
