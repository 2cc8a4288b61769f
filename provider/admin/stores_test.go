// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/idempotency"
)

// keyStore keeps API keys as long as nobody deletes them.
type keyStore map[string]apikey.Key

func (s keyStore) CreateAPIKey(_ context.Context, k apikey.Key) error { s[k.ID] = k; return nil }

func (s keyStore) APIKey(_ context.Context, id string) (apikey.Key, error) {
	if k, ok := s[id]; ok {
		return k, nil
	}
	return apikey.Key{}, apikey.ErrNotFound
}

func (s keyStore) APIKeys(context.Context) ([]apikey.Key, error) { return nil, nil }

func (s keyStore) UseAPIKey(_ context.Context, id string, at time.Time) error {
	k := s[id]
	k.LastUsed = at
	s[id] = k
	return nil
}

func (s keyStore) DeleteAPIKey(_ context.Context, id string) error { delete(s, id); return nil }

// request is one that somebody has sent, as the API remembers it, with another body.
func request(who, operation, key string) idempotency.Request {
	raw, err := json.Marshal([]string{who, operation, key})
	if err != nil {
		panic(err)
	}
	return idempotency.Request{Key: sha256.Sum256(raw), Began: time.Now()}
}
