// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"

	"calleridp/provider/idempotency"
	"calleridp/provider/redact"
	"calleridp/storage/record"
)

var _ idempotency.Store = (*Store)(nil)

// BeginRequest implements idempotency.Store.
func (s *Store) BeginRequest(ctx context.Context, r idempotency.Request) (stored idempotency.Request, began bool, err error) {
	err = s.write(ctx, func(t *txn) error {
		stored, began = idempotency.Request{}, false
		found, err := t.get(&requests, r.Key[:], (*record.Request)(&stored))
		if found || err != nil {
			return err
		}
		stored, began = r, true
		return t.putRequest(r)
	})
	return stored, began && err == nil, err
}

// EndRequest implements idempotency.Store.
func (s *Store) EndRequest(ctx context.Context, r idempotency.Request) error {
	return s.write(ctx, func(t *txn) error { return t.putRequest(r) })
}

// ForgetRequest implements idempotency.Store.
func (s *Store) ForgetRequest(ctx context.Context, key redact.Hash) error {
	return s.write(ctx, func(t *txn) error { return t.del(&requests, key[:]) })
}

func (t *txn) putRequest(r idempotency.Request) error {
	return t.put(&requests, r.Key[:], r.Expires(), (*record.Request)(&r))
}
