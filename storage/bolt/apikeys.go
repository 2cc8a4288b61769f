// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/provider/apikey"
	"calleridp/storage/record"
)

var _ apikey.Store = (*Store)(nil)

// CreateAPIKey implements apikey.Store.
func (s *Store) CreateAPIKey(ctx context.Context, k apikey.Key) error {
	return s.write(ctx, func(t *txn) error { return t.putAPIKey(k) })
}

// APIKey implements apikey.Store.
func (s *Store) APIKey(ctx context.Context, id string) (apikey.Key, error) {
	return view(ctx, s, func(r reader) (apikey.Key, error) { return r.apiKey(id) })
}

// APIKeys implements apikey.Store.
func (s *Store) APIKeys(ctx context.Context) ([]apikey.Key, error) {
	return view(ctx, s, func(r reader) (all []apikey.Key, err error) {
		err = r.tx.Bucket(apiKeys.id).ForEach(func(key, value []byte) error {
			if !r.alive(value) {
				return nil
			}
			var k apikey.Key
			if err := r.open(&apiKeys, key, value, (*record.APIKey)(&k)); err != nil {
				return err
			}
			all = append(all, k)
			return nil
		})
		return all, err
	})
}

// UseAPIKey implements apikey.Store.
func (s *Store) UseAPIKey(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func(t *txn) error {
		k, err := t.apiKey(id)
		if err != nil {
			return err
		}
		k.LastUsed = at
		return t.putAPIKey(k)
	})
}

// DeleteAPIKey implements apikey.Store.
func (s *Store) DeleteAPIKey(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		if !t.has(&apiKeys, []byte(id)) {
			return apikey.ErrNotFound
		}
		return t.del(&apiKeys, []byte(id))
	})
}

func (r reader) apiKey(id string) (k apikey.Key, err error) {
	err = r.find(&apiKeys, []byte(id), (*record.APIKey)(&k), apikey.ErrNotFound)
	return k, err
}

func (t *txn) putAPIKey(k apikey.Key) error {
	return t.put(&apiKeys, []byte(k.ID), k.Expires, (*record.APIKey)(&k))
}
