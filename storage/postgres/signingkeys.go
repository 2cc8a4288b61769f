// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"calleridp/keys"
	"calleridp/storage/record"
)

var _ keys.Store = (*Store)(nil)

// keySet is the key of the only record of its table: the whole set.
var keySet = []byte("set")

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Record, uint64, error) {
	set, err := view(ctx, s, func(b *batch) func() (record.KeySet, error) {
		var set record.KeySet
		b.one(&record.SigningKeys, &set, "SELECT key, value FROM signing_keys WHERE key = $1", keySet)
		return func() (record.KeySet, error) { return set, nil }
	})
	return set.Keys, set.Version, err
}

// ReplaceSigningKeys implements keys.Store.
func (s *Store) ReplaceSigningKeys(ctx context.Context, records []keys.Record, version uint64) error {
	return s.write(ctx, func(t *txn) error {
		var set record.KeySet
		t.run("INSERT INTO signing_keys (key, value) VALUES ($1, '') ON CONFLICT DO NOTHING", keySet)
		t.all(1, "SELECT FROM signing_keys WHERE key = $1 FOR UPDATE", keySet)
		t.one(&record.SigningKeys, &set, "SELECT key, value FROM signing_keys WHERE key = $1", keySet)
		if err := t.look(); err != nil {
			return err
		}
		if set.Version != version {
			return keys.ErrConflict
		}
		next := record.KeySet{Version: version + 1, Keys: records}
		t.put("UPDATE signing_keys SET value = $2 WHERE key = $1", keySet, t.s.sealer.Seal(&record.SigningKeys, keySet, never, &next))
		t.changed = append(t.changed, t.s.node+" "+keysChange)
		return nil
	})
}
