// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"calleridp/provider/console"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

var _ console.Bindings = (*Store)(nil)

// BindOperator implements console.Bindings. It writes nothing if a user is bound already.
func (s *Store) BindOperator(ctx context.Context, n phone.Number, user string) (string, error) {
	key := s.sealer.OperatorKey(n)
	const look = "SELECT key, value FROM meta WHERE key = $1"
	known, err := view(ctx, s, func(b *batch) func() (string, error) {
		var known string
		b.one(&record.Meta, (*record.Text)(&known), look, key)
		return func() (string, error) { return known, nil }
	})
	if err != nil || known != "" {
		return known, err
	}
	return update(ctx, s, func(t *txn) (string, error) {
		var bound string
		t.run("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
			key, s.sealer.Seal(&record.Meta, key, never, (*record.Text)(&user)))
		t.one(&record.Meta, (*record.Text)(&bound), look, key)
		err := t.look()
		return bound, err
	})
}
