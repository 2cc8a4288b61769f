package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// One goroutine commits. What is queued while a commit is on its way to the disk
// forms the next batch, so that concurrent writers share an fsync and a lone one
// waits for nobody.

const (
	batchMax = 256
	// noteDelay is how long a noted change may wait for a durable one to ride
	// along with.
	noteDelay = 100 * time.Millisecond
)

// op is one complete operation.
type op struct {
	run  func(*txn) error
	done chan error // nil for a note, which nobody waits for
}

// txn is a write transaction while one op runs in it.
type txn struct {
	reader
	writes int
}

var errClosed = errors.New("bolt: the store is closed")

// write queues run and waits until it is durable, or has failed and left
// nothing behind. When ctx ends first, the operation may still happen.
func (s *Store) write(ctx context.Context, run func(*txn) error) error {
	o := &op{run: run, done: make(chan error, 1)}
	if err := s.enqueue(ctx, o); err != nil {
		return err
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note queues run and does not wait: it is applied in order with the others and
// durable with the next of them.
func (s *Store) note(ctx context.Context, run func(*txn) error) error {
	return s.enqueue(ctx, &op{run: run})
}

func (s *Store) enqueue(ctx context.Context, o *op) error {
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	select {
	case s.queue <- o:
		return nil
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) commit() {
	defer close(s.closed)
	for {
		select {
		case o := <-s.queue:
			s.apply(s.gather(o))
		case <-s.closing:
			for {
				select {
				case o := <-s.queue:
					s.apply(s.gather(o))
				default:
					return
				}
			}
		}
	}
}

// gather takes what is queued already. A batch of nothing but notes waits a
// little for company.
func (s *Store) gather(first *op) []*op {
	batch := []*op{first}
	urgent := first.done != nil
	var patience <-chan time.Time
	for len(batch) < batchMax {
		select {
		case o := <-s.queue:
			batch = append(batch, o)
			urgent = urgent || o.done != nil
			continue
		default:
		}
		if urgent {
			return batch
		}
		if patience == nil {
			patience = time.After(noteDelay)
		}
		select {
		case o := <-s.queue:
			batch = append(batch, o)
			urgent = urgent || o.done != nil
		case <-patience:
			return batch
		case <-s.closing:
			urgent = true
		}
	}
	return batch
}

// apply commits a batch. An op that fails before it has written is left out;
// one that fails later takes the whole transaction with it, and the others are
// applied again without it.
func (s *Store) apply(batch []*op) {
	errs := make(map[*op]error, len(batch))
	for len(batch) > 0 {
		var failed *op
		tx, err := s.db.Begin(true)
		if err != nil {
			finish(batch, errs, err)
			return
		}
		writes := 0
		for _, o := range batch {
			if errs[o] != nil {
				continue
			}
			t := &txn{reader: reader{s: s, tx: tx, now: time.Now()}}
			err := protect(t, o.run)
			writes += t.writes
			if err != nil {
				errs[o] = err
				if t.writes > 0 {
					failed = o
					break
				}
			}
		}
		if failed != nil || writes == 0 {
			tx.Rollback()
			if failed != nil {
				continue
			}
			finish(batch, errs, nil)
			return
		}
		err = tx.Commit()
		if err == nil {
			s.commits.Add(1)
		} else {
			err = fmt.Errorf("bolt: commit: %w", err)
		}
		finish(batch, errs, err)
		return
	}
}

// protect turns a panic of one op into its error: the others must not suffer.
func protect(t *txn, run func(*txn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.writes++ // what it did is unknown
			err = fmt.Errorf("bolt: panic in an operation: %v", p)
		}
	}()
	return run(t)
}

func finish(batch []*op, errs map[*op]error, all error) {
	for _, o := range batch {
		if o.done == nil {
			continue
		}
		err := errs[o]
		if err == nil {
			err = all
		}
		o.done <- err
	}
}

// read runs a read-only transaction.
func (s *Store) read(view func(reader) error) error {
	return s.db.View(func(tx *bolt.Tx) error {
		return view(reader{s: s, tx: tx, now: time.Now()})
	})
}
