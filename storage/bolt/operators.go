// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"

	"calleridp/provider/console"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ console.Bindings = (*Store)(nil)

// BindOperator implements console.Bindings. It writes nothing if a user is bound already.
func (s *Store) BindOperator(ctx context.Context, n phone.Number, user string) (bound string, err error) {
	key := s.sealer.OperatorKey(n)
	known, err := view(ctx, s, func(r reader) (known string, err error) {
		_, err = r.get(&meta, key, (*record.Text)(&known))
		return known, err
	})
	if err != nil || known != "" {
		return known, err
	}
	err = s.write(ctx, func(t *txn) error {
		bound = user
		found, err := t.get(&meta, key, (*record.Text)(&bound))
		if err != nil || found {
			return err
		}
		return t.put(&meta, key, never, (*record.Text)(&user))
	})
	return bound, err
}
