// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
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
	// notesKept is how many notes wait at most. More are lost, as by a crash.
	notesKept = 1 << 16
	// notePause is the longest wait after notes could not be stored.
	notePause = 5 * time.Second
	// noteTries is how often the notes of an attempt are tried that the database refuses,
	// after a second and then twice as long each time. Then they are dropped.
	noteTries = 5
	// settledKept is how long it is remembered that notes were stored: longer than a
	// reader takes who has read the attempt before.
	settledKept = time.Minute
)

// notes are what was noted of attempts and is not stored yet. Readers in this process
// see them at once, those in others when they are stored. A note is queued until a
// transaction takes it with it; then a reader of the attempt waits for the outcome.
type notes struct {
	mu    sync.Mutex
	of    map[login.ID]*noted
	size  int           // of all queues
	count uint64        // of transactions that have settled notes
	wake  chan struct{} // there are notes
}

type noted struct {
	queue   []login.Note
	taken   int           // of the queue, by a transaction that is under way
	done    chan struct{} // closed when it has ended
	settled uint64        // notes.count after the last transaction
	at      time.Time     // when that was
	refused int           // how often the database has refused them
	after   time.Time     // when they are tried again
}

// add reports whether there was room for a note.
func (n *notes) add(id login.ID, note login.Note) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.size >= notesKept {
		return false
	}
	n.size++
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
	return true
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
		of.refused, of.after = 0, time.Time{}
		n.size -= taken
	}
	n.count++
	of.settled, of.at, of.taken = n.count, time.Now(), 0
	close(of.done)
}

// waiting returns the attempts that have notes which no transaction has taken, those
// apart that the database has refused. It forgets those that have had none for a while.
func (n *notes) waiting(now time.Time) (ids, refused []login.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, of := range n.of {
		switch {
		case of.taken > 0 || now.Before(of.after):
		case len(of.queue) > 0 && of.refused > 0:
			refused = append(refused, id)
		case len(of.queue) > 0:
			ids = append(ids, id)
		case now.Sub(of.at) > settledKept:
			delete(n.of, id)
		}
	}
	slices.Sort(ids)
	slices.Sort(refused)
	return ids, refused
}

// refuse notes that the database refuses the notes of an attempt, which are tried again
// later, or dropped. It reports whether they were.
func (n *notes) refuse(id login.ID, now time.Time) (dropped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	of := n.of[id]
	if of == nil || of.taken > 0 {
		return false
	}
	of.after = now.Add(time.Second << of.refused)
	if of.refused++; of.refused < noteTries {
		return false
	}
	n.size -= len(of.queue)
	of.queue, of.refused, of.after = nil, 0, time.Time{}
	return true
}

// due returns how long to wait for the next try, false if there is nothing to try.
func (n *notes) due(now time.Time) (wait time.Duration, some bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, of := range n.of {
		if len(of.queue) == 0 {
			continue
		}
		if at := of.after.Sub(now); !some || at < wait {
			wait, some = at, true
		}
	}
	return max(wait, 0), some
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
	if s.notes.add(id, n) {
		return
	}
	if !s.notesLost.Swap(true) {
		s.log.Error("noted changes are lost, because too many wait to be stored", "wait", notesKept)
	}
}

// whenDue returns what is sent when a note has waited long enough, nil if none waits.
func (n *notes) whenDue() <-chan time.Time {
	if wait, some := n.due(time.Now()); some {
		return time.After(wait)
	}
	return nil
}

// keepNotes stores notes until the store is closed. It waits longer after each failure.
func (s *Store) keepNotes() {
	defer close(s.notesKept)
	pause := noteDelay
	for {
		select {
		case <-s.closing:
			return
		case <-s.notes.wake:
		case <-s.notes.whenDue():
		}
		select {
		case <-s.closing:
			return
		case <-time.After(pause):
		}
		switch err := s.storeNotes(context.Background()); {
		case err == nil:
			pause = noteDelay
			s.notesLost.Store(false)
		default: // until the database is there again
			if pause == noteDelay {
				s.log.Error("noted changes wait, because they could not be stored", "error", err)
			}
			pause = min(2*pause, notePause)
		}
	}
}

// storeLastNotes stores what waits, when the store is closed.
func (s *Store) storeLastNotes(ctx context.Context) error {
	for {
		err := s.storeNotes(ctx)
		if wait, some := s.notes.due(time.Now()); err != nil || !some || wait > 0 {
			return err
		}
		select { // for the transaction that has locked a row
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(noteDelay / 10):
		}
	}
}

// storeNotes stores the notes that wait. If the database refuses some together, it
// stores them one by one, so that those of one attempt stop no other's. The error is
// that of a database that cannot be asked.
func (s *Store) storeNotes(ctx context.Context) error {
	waiting, alone := s.notes.waiting(time.Now())
	for ids := range slices.Chunk(waiting, notesMost) {
		err := s.storeSome(ctx, ids)
		switch {
		case err == nil:
		case !isRefusal(err):
			return err
		default:
			alone = append(alone, ids...)
		}
	}
	dropped := 0
	var why error
	for _, id := range alone {
		err := s.storeSome(ctx, []login.ID{id})
		switch {
		case err == nil:
		case !isRefusal(err):
			return err
		case s.notes.refuse(id, time.Now()):
			dropped, why = dropped+1, err
		}
	}
	if dropped > 0 {
		s.log.Error("noted changes were dropped, because the database refuses them", "attempts", dropped, "error", why)
	}
	return nil
}

// isRefusal reports whether an error is about what was to be stored, and not about a
// database that cannot be reached or is busy.
func isRefusal(err error) bool {
	_, away := errors.AsType[unavailableError](err)
	return !away && kindOf(err) == final && !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// storeSome stores the notes of attempts in one transaction. Those whose row is locked
// wait for the next one.
func (s *Store) storeSome(ctx context.Context, ids []login.ID) error {
	taken := map[login.ID][]login.Note{}
	for _, id := range ids {
		if queue, _ := s.notes.takeNow(id); len(queue) > 0 {
			taken[id] = queue
		}
	}
	if len(taken) == 0 {
		return nil
	}
	var locked map[login.ID]bool
	err := s.write(ctx, func(t *txn) (err error) {
		locked, err = t.note(taken)
		return err
	})
	for id, queue := range taken {
		s.notes.settle(id, len(queue), err == nil && !locked[id])
	}
	return err
}

// note stores notes of attempts. Those of an attempt that is no longer there, or that
// cannot be read, are dropped. It returns the attempts whose rows others have locked.
func (t *txn) note(taken map[login.ID][]login.Note) (locked map[login.ID]bool, err error) {
	var keys [][]byte
	for _, id := range slices.Sorted(maps.Keys(taken)) {
		keys = append(keys, []byte(id))
	}
	busy := map[login.ID]bool{} // not the result: the queries may still run when it is returned (look)
	var all []record.Attempt
	t.rows("SELECT key, ''::bytea FROM attempts WHERE key = ANY($1)", []any{keys}, func(key, _ []byte) { busy[login.ID(key)] = true })
	t.rows("SELECT key, value FROM attempts WHERE key = ANY($1) ORDER BY key FOR UPDATE SKIP LOCKED", []any{keys}, func(key, value []byte) {
		delete(busy, login.ID(key))
		var a record.Attempt
		switch err := t.s.open(&record.Attempts, key, value, &a); {
		case err == nil:
			all = append(all, a)
		case !errors.Is(err, errExpired):
			t.s.damage.Tell(t.s.log, &record.Attempts, key, "what was noted of it is dropped", err)
		}
	})
	if err := t.look(); err != nil {
		return nil, err
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
	return busy, nil
}
