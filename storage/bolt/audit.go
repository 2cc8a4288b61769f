// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit/trail"
	"calleridp/storage/record"
)

var _ trail.Heads = (*Store)(nil)

// AuditHeads implements trail.Heads.
func (s *Store) AuditHeads(ctx context.Context) ([]trail.Head, error) {
	return view(ctx, s, func(r reader) ([]trail.Head, error) {
		var heads []trail.Head
		cursor := r.tx.Bucket(auditHeads.id).Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			var h record.AuditHead
			if err := r.open(&auditHeads, key, value, &h); err != nil {
				return nil, err
			}
			heads = append(heads, trail.Head(h))
		}
		return heads, nil
	})
}

// ReadAuditHeads returns the heads of a store that no server uses. Its errors are those of
// OpenSource.
func ReadAuditHeads(ctx context.Context, path string, master *keys.Master, o Options) (heads []trail.Head, err error) {
	src, err := OpenSource(path, master, o)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	for stored, err := range src.Records(ctx, &record.AuditHeads, time.Time{}) {
		if err != nil {
			return nil, err
		}
		var h record.AuditHead
		if err := src.s.sealer.Open(&record.AuditHeads, stored.Key, stored.Value, &h); err != nil {
			return nil, err
		}
		heads = append(heads, trail.Head(h))
	}
	return heads, nil
}

// AdvanceAuditHead implements trail.Heads.
func (s *Store) AdvanceAuditHead(ctx context.Context, told trail.Head) error {
	key := []byte(told.Server)
	return s.write(ctx, func(t *txn) error {
		var known record.AuditHead
		if _, err := t.get(&auditHeads, key, &known); err != nil {
			return err
		}
		h, gone := trail.Head(known).Merge(told)
		if gone {
			return t.del(&auditHeads, key)
		}
		return t.put(&auditHeads, key, never, (*record.AuditHead)(&h))
	})
}
