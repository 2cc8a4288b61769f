package bolt

import (
	"context"

	"calleridp/keys"
)

var _ keys.Store = (*Store)(nil)

// keySetRecord is the whole set: it changes as a whole.
type keySetRecord struct {
	Version uint64
	Keys    []keys.Record
}

var keySet = []byte("set")

func (s *keySetRecord) fields(c *codec) {
	number(c, &s.Version)
	list(c, &s.Keys, keyFields)
}

func keyFields(c *codec, k *keys.Record) {
	text(c, &k.ID)
	text(c, &k.Algorithm)
	text(c, &k.State)
	c.time(&k.Created)
	c.time(&k.Activated)
	c.time(&k.Retired)
	c.bytes(&k.Public)
	c.bytes(&k.Sealed)
}

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Record, uint64, error) {
	var set keySetRecord
	err := s.read(ctx, func(r reader) error {
		_, err := r.get(&signingKeys, keySet, set.fields)
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
		var set keySetRecord
		if _, err := t.get(&signingKeys, keySet, set.fields); err != nil {
			return err
		}
		if set.Version != version {
			return keys.ErrConflict
		}
		next := keySetRecord{Version: version + 1, Keys: records}
		return t.put(&signingKeys, keySet, never, next.fields)
	})
}
