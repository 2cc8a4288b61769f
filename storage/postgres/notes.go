package postgres

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"calleridp/provider/login"
	"calleridp/storage/record"
)

const (
	// noteDelay is how long a note may wait for a change of its attempt to go with.
	noteDelay = 100 * time.Millisecond
	// notesMost is how many attempts one transaction of notes changes.
	notesMost = 256
	// settledKept is how long it is remembered that notes were stored: longer than a
	// reader takes who has read the attempt before.
	settledKept = time.Minute
)

// notes are what was noted of attempts and is not stored yet. Readers in this process
// see them at once, those in others when they are stored. A note is queued until a
// transaction takes it with it; then whoever reads the attempt waits for the outcome.
type notes struct {
	mu    sync.Mutex
	of    map[login.ID]*noted
	count uint64        // of transactions that have settled notes
	wake  chan struct{} // there are notes
}

type noted struct {
	queue   []login.Note
	taken   int           // of the queue, by a transaction that is under way
	done    chan struct{} // closed when it has ended
	settled uint64        // notes.count after the last transaction
	at      time.Time     // when that was
}

func (n *notes) add(id login.ID, note login.Note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[login.ID]*noted{}
	}
	if n.of[id] == nil {
		n.of[id] = &noted{}
	}
	n.of[id].queue = append(n.of[id].queue, note)
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// settled returns a moment, for since.
func (n *notes) settled() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.count
}

// since returns the notes that an attempt lacks which was read after a moment. current
// is false if it has to be read again, when busy is closed.
func (n *notes) since(id login.ID, moment uint64) (queue []login.Note, busy chan struct{}, current bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of := n.of[id]
	switch {
	case of == nil:
		return nil, nil, true
	case of.taken > 0:
		return nil, of.done, false
	case of.settled > moment:
		return nil, nil, false
	}
	return slices.Clone(of.queue), nil, true
}

// take takes the notes of an attempt for a transaction, which then settles them. It
// waits for another one that has taken some.
func (n *notes) take(ctx context.Context, id login.ID) ([]login.Note, error) {
	for {
		queue, busy := n.takeNow(id)
		if busy == nil {
			return queue, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (n *notes) takeNow(id login.ID) (queue []login.Note, busy chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of := n.of[id]
	switch {
	case of == nil || len(of.queue) == 0:
		return nil, nil
	case of.taken > 0:
		return nil, of.done
	}
	of.taken, of.done = len(of.queue), make(chan struct{})
	return slices.Clone(of.queue), nil
}

// settle ends the transaction that has taken so many notes of an attempt. If they are
// not stored, they wait for the next one.
func (n *notes) settle(id login.ID, taken int, stored bool) {
	if taken == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	of := n.of[id]
	if stored {
		of.queue = slices.Clone(of.queue[taken:])
	}
	n.count++
	of.settled, of.at, of.taken = n.count, time.Now(), 0
	close(of.done)
}

// waiting returns the attempts that have notes which no transaction has taken, and
// forgets those that have had none for a while.
func (n *notes) waiting() (ids []login.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, of := range n.of {
		switch {
		case of.taken > 0:
		case len(of.queue) > 0:
			ids = append(ids, id)
		case time.Since(of.at) > settledKept:
			delete(n.of, id)
		}
	}
	return ids
}

// pending returns how many notes are not stored yet.
func (n *notes) pending() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, of := range n.of {
		count += len(of.queue)
	}
	return count
}

// NoteAttempt implements login.Store. It happens also when ctx has ended.
func (s *Store) NoteAttempt(_ context.Context, id login.ID, n login.Note) {
	if s.closed.Load() {
		s.log.Error("a noted change was lost", "attempt", id, "error", ErrClosed)
		return
	}
	s.notes.add(id, n)
}

// keepNotes stores notes until the store is closed.
func (s *Store) keepNotes() {
	defer close(s.notesKept)
	for {
		select {
		case <-s.closing:
			return
		case <-s.notes.wake:
		}
		select {
		case <-s.closing:
			return
		case <-time.After(noteDelay):
		}
		for s.storeNotes(context.Background()) != nil { // until the database is there again
			select {
			case <-s.closing:
				return
			case <-time.After(noteDelay):
			}
		}
	}
}

// storeNotes stores the notes that wait.
func (s *Store) storeNotes(ctx context.Context) error {
	waiting := s.notes.waiting()
	slices.Sort(waiting)
	for ids := range slices.Chunk(waiting, notesMost) {
		taken := map[login.ID][]login.Note{}
		for _, id := range ids {
			if queue, _ := s.notes.takeNow(id); len(queue) > 0 {
				taken[id] = queue
			}
		}
		err := s.write(ctx, func(t *txn) error { return t.note(taken) })
		for id, queue := range taken {
			s.notes.settle(id, len(queue), err == nil)
		}
		if err != nil {
			s.log.Error("noted changes wait, because they could not be stored", "error", err)
			return err
		}
	}
	return nil
}

// note stores notes of attempts. Those of an attempt that is no longer there are
// dropped.
func (t *txn) note(taken map[login.ID][]login.Note) error {
	var keys [][]byte
	for _, id := range slices.Sorted(maps.Keys(taken)) {
		keys = append(keys, []byte(id))
	}
	var all []record.Attempt
	t.each("SELECT key, value FROM attempts WHERE key = ANY($1) AND expires > now() ORDER BY key FOR UPDATE", []any{keys},
		func(key, value []byte) error {
			var a record.Attempt
			err := t.s.sealer.Open(&record.Attempts, key, value, &a)
			all = append(all, a)
			return err
		})
	if err := t.look(); err != nil {
		return err
	}
	for _, stored := range all {
		changed := stored
		for _, n := range taken[stored.ID] {
			_ = changed.Apply(n) // a note that does not apply is dropped
		}
		if !bytes.Equal(record.Encode(&record.Attempts, &changed), record.Encode(&record.Attempts, &stored)) {
			t.storeAttempt(changed)
		}
	}
	return nil
}
