// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"

	"calleridp/keys"
	"calleridp/storage/record"
)

var _ keys.Store = (*Store)(nil)

// keySet is the key of the only record in the bucket: the whole set.
var keySet = []byte("set")

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Record, uint64, error) {
	var set record.KeySet
	err := s.read(ctx, func(r reader) error {
		_, err := r.get(&signingKeys, keySet, &set)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return set.Keys, set.Version, nil
}

// ReplaceSigningKeys implements keys.Store.
func (s *Store) ReplaceSigningKeys(ctx context.Context, records []keys.Record, version uint64) error {
	return s.write(ctx, func(t *txn) error {
		var set record.KeySet
		if _, err := t.get(&signingKeys, keySet, &set); err != nil {
			return err
		}
		if set.Version != version {
			return keys.ErrConflict
		}
		next := record.KeySet{Version: version + 1, Keys: records}
		return t.put(&signingKeys, keySet, never, &next)
	})
}
