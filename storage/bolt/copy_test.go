package bolt

import (
	"context"
	"fmt"
	"io"

	"go.etcd.io/bbolt"
)

// Backup writes a consistent copy of the whole store to w while the store is in
// use. The copy is itself a store, sealed under the same master key. w should be
// fast, because the store's file cannot reuse space during a backup.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	err := guarded(s.log, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(writerUntil{ctx, w})
			return err
		})
	})
	switch {
	case ctx.Err() != nil && err != nil: // bbolt does not wrap the cause
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("bolt: backup: %w", closedErr(err))
	}
	return nil
}

// writerUntil writes until ctx is done.
type writerUntil struct {
	ctx context.Context
	w   io.Writer
}

func (w writerUntil) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}
