// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/provider/login"

	"go.etcd.io/bbolt"
)

// One goroutine commits. What is queued while a commit is on its way to the disk
// forms the next batch: concurrent writers share an fsync, and a lone one does not
// wait.

const (
	batchMax = 256
	// noteDelay is how long what was only noted may wait for a durable operation
	// to ride along with.
	noteDelay = 100 * time.Millisecond
)

// op is one complete operation.
type op struct {
	run    func(*txn) error // may run more than once
	urgent bool             // a caller waits until it is durable
	done   chan struct{}    // closed when err is final
	err    error
	wrote  bool
	taken  atomic.Bool // by the committer, or back by the caller that queued it

	// For notes, see pending.go.
	key  string
	note login.Note   // what happened to the attempt of key
	in   atomic.Int64 // the transaction that it is part of, 0 while in none
}

// queue is what waits for the committer, in order.
type queue struct {
	mu      sync.Mutex
	ops     []*op
	urgent  int
	closed  bool
	wake    chan struct{}
	pending pending
}

func (q *queue) add(o *op) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.ops = append(q.ops, o)
	if o.urgent {
		q.urgent++
	}
	q.pending.add(o)
	q.rouse()
	return nil
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.rouse()
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next takes the next batch, in order. It waits for an urgent operation, or
// noteDelay after the first of what is not. Before it takes the batch it lets
// goroutines run that are about to queue something: those that the last commit
// has woken, often. If there are none, that takes no time; at eight sign-ins at
// once it saves four commits in ten. The second result is false when the queue is
// closed and empty.
func (q *queue) next() ([]*op, bool) {
	const maxSpins = 4
	var delay <-chan time.Time
	due := false
	for spins, seen := 0, 0; ; {
		q.mu.Lock()
		queued, ready := len(q.ops), q.urgent > 0 || q.closed || due
		if queued > 0 && ready {
			if spins < maxSpins && queued > seen {
				spins, seen = spins+1, queued
				q.mu.Unlock()
				runtime.Gosched()
				continue
			}
			batch := q.take()
			q.mu.Unlock()
			return batch, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil, false
		}
		if queued > 0 && delay == nil {
			timer := time.NewTimer(noteDelay)
			defer timer.Stop()
			delay = timer.C
		}
		select {
		case <-q.wake:
		case <-delay:
			due = true
		}
	}
}

// take takes up to batchMax operations from the front. Those that their callers
// took back are left out.
func (q *queue) take() []*op {
	n := min(len(q.ops), batchMax)
	batch := make([]*op, 0, n)
	for _, o := range q.ops[:n] {
		if o.urgent {
			q.urgent--
		}
		if o.taken.CompareAndSwap(false, true) {
			batch = append(batch, o)
		}
	}
	rest := copy(q.ops, q.ops[n:])
	clear(q.ops[rest:])
	q.ops = q.ops[:rest]
	return batch
}

// write queues an operation and waits until it is durable, or has failed and
// left nothing behind.
func (s *Store) write(ctx context.Context, run func(*txn) error) error {
	return s.await(ctx, &op{run: run, urgent: true, done: make(chan struct{})})
}

// update is write for an operation that returns a value: it returns that of the
// run that was committed, and the zero T on an error.
func update[T any](ctx context.Context, s *Store, run func(*txn) (T, error)) (T, error) {
	var committed, none T
	err := s.write(ctx, func(t *txn) (err error) {
		committed, err = run(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return committed, nil
}

// await queues an operation and waits until its outcome is known. See the package
// comment for what happens when ctx ends first.
func (s *Store) await(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	begun := time.Now()
	if err := s.queue.add(o); err != nil {
		return err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-o.done
	}
	if o.wrote && s.options.Committed != nil {
		s.options.Committed(ctx, o.err != nil, time.Since(begun))
	}
	return o.err
}

func (s *Store) commitLoop() {
	closed := false
	defer func() {
		if closed {
			close(s.stopped)
		} else { // an operation has ended this goroutine (runtime.Goexit)
			go s.commitLoop()
		}
	}()
	for {
		batch, ok := s.queue.next()
		if closed = !ok; closed {
			return
		}
		s.apply(batch)
	}
}

// apply commits a batch, and tells the callers that wait. An operation that fails
// before it has written is as if it had not been there. One that fails later
// takes the transaction with it, and the others are applied again without it.
func (s *Store) apply(batch []*op) {
	live := batch
	defer func() { // no caller waits without end, whatever happens in here
		if len(live) > 0 {
			s.finish(live, errors.New("bolt: an operation has ended the committer"))
		}
	}()
	for len(live) > 0 {
		failed, err := s.try(live)
		if failed < 0 {
			done := live
			live = nil
			s.finish(done, err)
			return
		}
		o := live[failed]
		live = slices.Delete(slices.Clone(live), failed, failed+1)
		s.finish([]*op{o}, nil)
	}
}

// try runs a batch in one transaction. failed is the index of an operation that
// spoilt it, -1 if there was none; then err is that of the commit.
func (s *Store) try(batch []*op) (failed int, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // see guarded
	if err := s.inPlace(); err != nil {
		s.committed(err)
		return -1, err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return -1, closedErr(err)
	}
	defer tx.Rollback() // does nothing after a commit
	t := &txn{reader: reader{s: s, tx: tx, now: time.Now()}}
	for i, o := range batch {
		before := t.writes
		o.err = s.protect(t, o.run)
		o.wrote = t.writes > before
		if o.err != nil && o.wrote {
			return i, nil
		}
		o.in.Store(int64(tx.ID()))
	}
	if t.writes == 0 {
		return -1, nil
	}
	if err = s.commit(tx); err != nil {
		err = fmt.Errorf("bolt: commit: %w", err)
	}
	s.committed(err)
	return -1, err
}

// protect turns a panic of one operation into its error: the others must not
// suffer.
func (s *Store) protect(t *txn, run func(*txn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic in a storage operation", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("bolt: panic in an operation: %v", p)
		}
	}()
	return run(t)
}

// commit makes a transaction durable. A panic in there means that the file is
// damaged or gone; the transaction has not happened.
func (s *Store) commit(tx *bbolt.Tx) error { return guarded(s.log, tx.Commit) }

// finish tells the callers that wait. err is that of the commit; an operation with
// an error of its own keeps that, unless it may be about what was not committed.
func (s *Store) finish(batch []*op, err error) {
	s.queue.mu.Lock()
	for _, o := range batch {
		s.queue.pending.remove(o)
	}
	s.queue.mu.Unlock()
	for _, o := range batch {
		if err != nil {
			o.err = err
			o.in.Store(0)
		} else if o.wrote && o.err == nil {
			s.operations.Add(1)
		}
		if o.done != nil {
			close(o.done)
		} else if err != nil {
			s.log.Error("a noted change was lost", "error", err)
		}
	}
}

// read runs a transaction that only reads.
func (s *Store) read(ctx context.Context, view func(reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.whole(); err != nil {
		return err
	}
	return guarded(s.log, func() error {
		tx, err := s.db.Begin(false)
		if err != nil {
			return closedErr(err)
		}
		defer tx.Rollback()
		return view(reader{s: s, tx: tx, now: time.Now()})
	})
}
