// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/storage/record"
)

var _ grant.DeviceStore = (*Store)(nil)

// CreateDeviceRequest implements grant.DeviceStore.
func (s *Store) CreateDeviceRequest(ctx context.Context, d grant.DeviceRequest, spend limit.Spend, now time.Time) error {
	return s.write(ctx, func(t *txn) error {
		if t.has(&deviceRequests, d.User[:]) {
			return grant.ErrExists
		}
		if err := t.spendOrRefuse(spend, now); err != nil {
			return err
		}
		return t.put(&deviceRequests, d.User[:], d.Kept(), (*record.DeviceRequest)(&d))
	})
}

// DeviceRequest implements grant.DeviceStore.
func (s *Store) DeviceRequest(ctx context.Context, user grant.UserCodeHash) (grant.DeviceRequest, error) {
	return view(ctx, s, func(r reader) (d grant.DeviceRequest, err error) {
		err = r.find(&deviceRequests, user[:], (*record.DeviceRequest)(&d), grant.ErrNotFound)
		return d, err
	})
}
