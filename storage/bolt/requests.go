package bolt

import (
	"context"

	"calleridp/provider/once"
	"calleridp/provider/redact"
	"calleridp/storage/record"
)

var _ once.Store = (*Store)(nil)

// BeginRequest implements once.Store.
func (s *Store) BeginRequest(ctx context.Context, r once.Request) (stored once.Request, began bool, err error) {
	err = s.write(ctx, func(t *txn) error {
		stored, began = once.Request{}, false
		found, err := t.get(&requests, r.Key[:], (*record.Request)(&stored))
		if found || err != nil {
			return err
		}
		stored, began = r, true
		return t.putRequest(r)
	})
	return stored, began && err == nil, err
}

// EndRequest implements once.Store.
func (s *Store) EndRequest(ctx context.Context, r once.Request) error {
	return s.write(ctx, func(t *txn) error { return t.putRequest(r) })
}

// ForgetRequest implements once.Store.
func (s *Store) ForgetRequest(ctx context.Context, key redact.Hash) error {
	return s.write(ctx, func(t *txn) error { return t.del(&requests, key[:]) })
}

func (t *txn) putRequest(r once.Request) error {
	return t.put(&requests, r.Key[:], r.Expires(), (*record.Request)(&r))
}
