// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"calleridp/keys"
	"calleridp/provider/audit/trail"
	"calleridp/storage/record"
)

var _ trail.Heads = (*Store)(nil)

// AuditHeads implements trail.Heads.
func (s *Store) AuditHeads(ctx context.Context) ([]trail.Head, error) {
	return view(ctx, s, func(b *batch) func() ([]trail.Head, error) {
		var heads []trail.Head
		b.each("SELECT key, value FROM audit_heads WHERE value <> '' ORDER BY key", nil, func(key, value []byte) error {
			var h record.AuditHead
			err := b.s.sealer.Open(&record.AuditHeads, key, value, &h)
			heads = append(heads, trail.Head(h))
			return err
		})
		return func() ([]trail.Head, error) { return heads, nil }
	})
}

// ReadAuditHeads returns the heads of a database, whether servers use it or not. It changes
// nothing.
func ReadAuditHeads(ctx context.Context, master *keys.Master, o Options) ([]trail.Head, error) {
	s, err := transferred(ctx, master, o)
	if err != nil {
		return nil, err
	}
	defer s.pool.Close()
	rows, err := s.pool.Query(ctx, "SELECT key, value FROM audit_heads WHERE value <> '' ORDER BY key")
	if err != nil {
		return nil, explained(err, s.pool.Config().ConnConfig, "DSN")
	}
	defer rows.Close()
	var heads []trail.Head
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		var h record.AuditHead
		if err := s.sealer.Open(&record.AuditHeads, key, value, &h); err != nil {
			return nil, err
		}
		heads = append(heads, trail.Head(h))
	}
	return heads, explained(rows.Err(), s.pool.Config().ConnConfig, "DSN")
}

// AdvanceAuditHead implements trail.Heads.
func (s *Store) AdvanceAuditHead(ctx context.Context, told trail.Head) error {
	key := []byte(told.Server)
	return s.write(ctx, func(t *txn) error {
		var known record.AuditHead
		t.run("INSERT INTO audit_heads (key, value) VALUES ($1, '') ON CONFLICT DO NOTHING", key)
		t.all(1, "SELECT FROM audit_heads WHERE key = $1 FOR UPDATE", key)
		t.one(&record.AuditHeads, &known, "SELECT key, value FROM audit_heads WHERE key = $1", key)
		if err := t.look(); err != nil {
			return err
		}
		h, gone := trail.Head(known).Merge(told)
		if gone {
			t.run("DELETE FROM audit_heads WHERE key = $1", key)
			return nil
		}
		t.put("UPDATE audit_heads SET value = $2 WHERE key = $1", key, t.s.sealer.Seal(&record.AuditHeads, key, never, (*record.AuditHead)(&h)))
		return nil
	})
}
