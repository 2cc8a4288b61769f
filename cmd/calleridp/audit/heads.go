// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"

	"calleridp/cmd/calleridp/operator"
	"calleridp/provider/admin"
	"calleridp/provider/audit/trail"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
)

// heads returns what the store knows of the chains, never nil if it knows nothing. A file
// that a running server has open is asked for by its admin socket.
func (o opened) heads(ctx context.Context) ([]trail.Head, error) {
	s := o.settings
	var heads []trail.Head
	var err error
	if s.Postgres != nil {
		heads, err = postgres.ReadAuditHeads(ctx, s.Master, *s.Postgres)
		err = s.StorageError(err)
	} else {
		heads, err = bolt.ReadAuditHeads(ctx, s.StoreFile(), s.Master, bolt.Options{})
		if errors.Is(err, bolt.ErrInUse) {
			var response admin.AuditHeads
			err = operator.Get(ctx, s.AdminSocket, "/v1/audit/heads", &response)
			heads = response.Heads
		}
	}
	if err != nil {
		return nil, fmt.Errorf("what the store knows of the audit cannot be read, so lines that were cut off at the end would not be missed: %w; to verify the rest all the same, add --without-store", err)
	}
	return append([]trail.Head{}, heads...), nil
}
