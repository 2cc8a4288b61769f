// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/storage/record"
)

var _ grant.DeviceStore = (*Store)(nil)

// CreateDeviceRequest implements grant.DeviceStore. Of two with one user code at once, one
// finds the other's row when it runs again.
func (s *Store) CreateDeviceRequest(ctx context.Context, d grant.DeviceRequest, spend limit.Spend, now time.Time) error {
	key := d.User[:]
	value := s.sealer.Seal(&record.DeviceRequests, key, d.Kept(), (*record.DeviceRequest)(&d))
	return s.write(ctx, func(t *txn) error {
		var taken, old bool
		t.rows("SELECT key, value FROM device_requests WHERE key = $1 FOR UPDATE", []any{key}, func(key, value []byte) {
			old = errors.Is(s.open(&record.DeviceRequests, key, value, &record.DeviceRequest{}), errExpired)
			taken = !old // also if it cannot be read
		})
		states := t.lockLimits(s.inOrder(spend.Keys()))
		if err := t.look(); err != nil {
			return err
		}
		if taken {
			return grant.ErrExists
		}
		if err := t.spendOrRefuse(states, spend, now); err != nil {
			return err
		}
		if old {
			t.put("DELETE FROM device_requests WHERE key = $1", key)
		}
		t.put("INSERT INTO device_requests (key, value, expires, due) VALUES ($1, $2, $3, $3)", key, value, expiryOf(value))
		return nil
	})
}

// DeviceRequest implements grant.DeviceStore.
func (s *Store) DeviceRequest(ctx context.Context, user grant.UserCodeHash) (grant.DeviceRequest, error) {
	return view(ctx, s, func(b *batch) func() (grant.DeviceRequest, error) {
		var d grant.DeviceRequest
		found := b.one(&record.DeviceRequests, (*record.DeviceRequest)(&d), "SELECT key, value FROM device_requests WHERE key = $1", user[:])
		return func() (grant.DeviceRequest, error) {
			if !*found {
				return grant.DeviceRequest{}, grant.ErrNotFound
			}
			return d, nil
		}
	})
}
