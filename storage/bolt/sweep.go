package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"
)

const (
	sweepEvery = 10 * time.Second
	sweepBatch = 500
)

// Run deletes what has expired, in small batches, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for {
			n, err := s.sweep(ctx)
			if err != nil || n < sweepBatch {
				break // a failed sweep is tried again with the next tick
			}
		}
	}
}

// sweep deletes one batch and says how many entries it looked at.
func (s *Store) sweep(ctx context.Context) (int, error) {
	if due, err := s.anythingDue(); err != nil || !due {
		return 0, err
	}
	n := 0
	err := s.write(ctx, func(tx *txn) error {
		n = 0
		index := tx.bucket(bExpiry)
		var done [][]byte
		cursor := index.Cursor()
		for k, _ := cursor.First(); k != nil && n < sweepBatch && dueAt(k) <= tx.now.UnixMilli(); k, _ = cursor.Next() {
			done = append(done, bytes.Clone(k))
			n++
		}
		for _, k := range done {
			bucket, key, _ := bytes.Cut(k[8:], []byte{0})
			// The record may have been renewed since, or be gone.
			if value := tx.bucket(bucket).Get(key); value != nil && expiry(value) == dueAt(k) {
				if err := tx.drop(bucket, key); err != nil {
					return err
				}
			}
			tx.writes++
			if err := index.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

func (s *Store) anythingDue() (due bool, err error) {
	err = s.read(func(r reader) error {
		k, _ := r.bucket(bExpiry).Cursor().First()
		due = k != nil && dueAt(k) <= r.now.UnixMilli()
		return nil
	})
	return due, err
}

func dueAt(k []byte) int64 { return int64(binary.BigEndian.Uint64(k)) }
