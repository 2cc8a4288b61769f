// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"calleridp/storage/record"

	"go.etcd.io/bbolt"
)

// A backup is one read transaction. While it is open, no commit can reuse a page that
// it may read, so the file grows by what is written meanwhile, and a commit that needs
// more address space than is mapped waits for it. Both costs are bounded: the
// transaction ends as soon as the file has grown too far, however slow the reader of
// the backup is.

// Schema is the version of the layout that this program reads and writes.
var Schema = released.newest()

// ErrSlowBackup is returned by Backup when the file grew too far meanwhile.
var ErrSlowBackup = errors.New("bolt: the backup was too slow")

const (
	// mapStep is in which steps bbolt enlarges the mapping of a large file, and how
	// much more than the file is mapped at the start.
	mapStep = 1 << 30
	// mapMargin is how far from the end of the mapping a backup is given up: more than
	// a commit adds.
	mapMargin = 32 << 20
	// growthMin is by how much a file may grow during a backup, however small it is.
	growthMin = 64 << 20
	// growthEvery is how often that is looked at.
	growthEvery = 50 * time.Millisecond
)

// Backup writes a consistent copy of the whole store to w while the store is in use.
// The copy is itself a store, sealed under the same master key. size is called before
// the first byte is written, with the size of the copy in bytes; an error of it ends
// the backup.
//
// Writers are not held up. The file may grow by its own size, at least 64 MiB, while w
// takes the copy; then Backup returns ErrSlowBackup. The space is used again afterwards.
func (s *Store) Backup(ctx context.Context, size func(int64) error, w io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	read, write := io.Pipe()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	context.AfterFunc(ctx, func() { // ends the transaction, also while w takes nothing
		write.CloseWithError(context.Cause(ctx))
	})
	copied := make(chan error, 1)
	go func() {
		err := s.snapshot(size, write, stop)
		write.CloseWithError(err) // of the copy, or its end
		copied <- err
	}()
	_, err := io.Copy(w, read)
	read.CloseWithError(err) // a copy that w refuses ends
	if failed := <-copied; err == nil {
		err = failed
	}
	if cause := context.Cause(ctx); cause != nil { // bbolt does not wrap it
		err = cause
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("bolt: backup: %w", closedErr(err))
}

// snapshot copies the file as the last commit left it.
func (s *Store) snapshot(size func(int64) error, w io.Writer, stop context.CancelCauseFunc) error {
	if err := s.inPlace(); err != nil {
		return err
	}
	return guarded(s.log, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			if err := size(tx.Size()); err != nil {
				return err
			}
			done := make(chan struct{})
			defer close(done)
			go s.watchGrowth(tx.Size(), done, stop)
			b := bufio.NewWriterSize(w, 256<<10)
			if _, err := tx.WriteTo(b); err != nil {
				return err
			}
			return b.Flush()
		})
	})
}

// watchGrowth calls stop when the file has grown as far as it may while a copy of size
// bytes is made.
func (s *Store) watchGrowth(size int64, done <-chan struct{}, stop context.CancelCauseFunc) {
	most := size + max(size, growthMin)
	if s.mapped > 0 { // it is at least this; bbolt may have enlarged it
		most = min(most, max(s.mapped, (size/mapStep+1)*mapStep)-mapMargin)
	}
	every := time.NewTicker(growthEvery)
	defer every.Stop()
	for {
		select {
		case <-done:
			return
		case <-every.C:
		}
		if info, err := s.file.Stat(); err == nil && info.Size() > most {
			stop(fmt.Errorf("%w: the store grew from %d to %d bytes meanwhile, and went on without it; make it at a quieter hour, or on a faster disk",
				ErrSlowBackup, size, info.Size()))
			return
		}
	}
}

// Restoration says from what a store was restored.
type Restoration struct{ Taken, At time.Time }

// Restored returns what a restore has noted, until ForgetRestored; nil if there is nothing.
func (s *Store) Restored(ctx context.Context) (*Restoration, error) {
	return view(ctx, s, func(r reader) (*Restoration, error) {
		var text string
		if found, err := r.get(&meta, record.RestoredKey, (*record.Text)(&text)); !found || err != nil {
			return nil, err
		}
		taken, at, _ := strings.Cut(text, " ")
		var is Restoration
		var err1, err2 error
		is.Taken, err1 = time.Parse(time.RFC3339, taken)
		is.At, err2 = time.Parse(time.RFC3339, at)
		return &is, errors.Join(err1, err2)
	})
}

// ForgetRestored deletes the note of a restore, if there is one.
func (s *Store) ForgetRestored(ctx context.Context) error {
	_, err := update(ctx, s, func(t *txn) (struct{}, error) { return struct{}{}, t.del(&meta, record.RestoredKey) })
	return err
}

// mapping returns how much address space to reserve for the file at path: twice its
// size and a gigabyte more. While the file fits, a long read never delays a commit that
// makes it grow.
func mapping(path string) int64 {
	if !mappable {
		return 0
	}
	info, err := os.Stat(path)
	if err != nil {
		return mapStep
	}
	return 2*info.Size() + mapStep
}
