// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"calleridp/provider/apikey"
	"calleridp/storage/record"
)

var _ apikey.Store = (*Store)(nil)

// CreateAPIKey implements apikey.Store.
func (s *Store) CreateAPIKey(ctx context.Context, k apikey.Key) error {
	value := s.sealAPIKey(k)
	return s.write(ctx, func(t *txn) error {
		t.put("INSERT INTO api_keys (key, value, expires, due) VALUES ($1, $2, $3, $3)", []byte(k.ID), value, expiryOf(value))
		return nil
	})
}

// APIKey implements apikey.Store.
func (s *Store) APIKey(ctx context.Context, id string) (apikey.Key, error) {
	return view(ctx, s, func(b *batch) func() (apikey.Key, error) {
		var k apikey.Key
		found := b.apiKey(&k, id, "")
		return func() (apikey.Key, error) {
			if !*found {
				return apikey.Key{}, apikey.ErrNotFound
			}
			return k, nil
		}
	})
}

// APIKeys implements apikey.Store.
func (s *Store) APIKeys(ctx context.Context) ([]apikey.Key, error) {
	return view(ctx, s, func(b *batch) func() ([]apikey.Key, error) {
		var all []apikey.Key
		b.each("SELECT key, value FROM api_keys", nil, func(key, value []byte) error {
			var k apikey.Key
			err := b.s.sealer.Open(&record.APIKeys, key, value, (*record.APIKey)(&k))
			all = append(all, k)
			return err
		})
		return func() ([]apikey.Key, error) { return all, nil }
	})
}

// UseAPIKey implements apikey.Store.
func (s *Store) UseAPIKey(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func(t *txn) error {
		var k apikey.Key
		found := t.apiKey(&k, id, " FOR UPDATE")
		if err := t.look(); err != nil {
			return err
		}
		if !*found {
			return apikey.ErrNotFound
		}
		k.LastUsed = at
		t.put("UPDATE api_keys SET value = $2 WHERE key = $1", []byte(id), t.s.sealAPIKey(k))
		return nil
	})
}

// DeleteAPIKey implements apikey.Store.
func (s *Store) DeleteAPIKey(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		var k apikey.Key
		found := t.apiKey(&k, id, " FOR UPDATE")
		if err := t.look(); err != nil {
			return err
		}
		if !*found {
			return apikey.ErrNotFound
		}
		t.put("DELETE FROM api_keys WHERE key = $1", []byte(id))
		return nil
	})
}

// apiKey queues a query for a key that has not expired.
func (b *batch) apiKey(k *apikey.Key, id, lock string) (found *bool) {
	return b.one(&record.APIKeys, (*record.APIKey)(k), "SELECT key, value FROM api_keys WHERE key = $1"+lock, []byte(id))
}

func (s *Store) sealAPIKey(k apikey.Key) []byte {
	return s.sealer.Seal(&record.APIKeys, []byte(k.ID), k.Expires, (*record.APIKey)(&k))
}
