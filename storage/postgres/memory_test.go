// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/storage/record"
)

// A page that waits is answered from memory only while the store hears of changes, and
// never with an attempt of whose change it has heard.
func TestHeardAttempt(t *testing.T) {
	o := Options{DSN: redact.Text(database(t))}
	s, other := open(t, o), open(t, o)
	ctx := t.Context()
	a := newAttempt()
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	heard := func(wantTrips int, want login.State) {
		t.Helper()
		trips := 0
		got, err := s.HeardAttempt(Traced(ctx, func() { trips++ }), a.ID)
		if err != nil || got.State != want || trips != wantTrips {
			t.Errorf("the attempt is %s, %v, in %d round trips; want %s in %d", got.State, err, trips, want, wantTrips)
		}
	}
	move := func(s *Store, to login.State) {
		t.Helper()
		if _, err := s.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
			a.State = to
			return login.Update{Attempt: a}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	heard(1, login.Pushing) // nobody listens
	heard(1, login.Pushing)

	changes := make(chan login.ID, 16)
	listening, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		s.Listen(listening, Heard{Attempt: func(id login.ID, _ [32]byte) { changes <- id }, Keys: func() {}})
	})
	for deadline := time.Now().Add(time.Minute); !s.Listening(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the store never listens")
		}
	}
	heard(1, login.Pushing) // what was read before counts for nothing
	heard(0, login.Pushing)
	move(s, login.Waiting)
	heard(0, login.Waiting) // its own change
	move(other, login.Approved)
	<-changes
	heard(1, login.Approved)
	until(t, "the change is remembered, which may be heard of twice", func() bool {
		trips := 0
		got, err := s.HeardAttempt(Traced(ctx, func() { trips++ }), a.ID)
		return err == nil && got.State == login.Approved && trips == 0
	})

	// The first page of an attempt that this process has just created is one that waits.
	opened := func(s *Store, id login.ID, wantTrips int, want login.State) {
		t.Helper()
		trips := 0
		got, err := s.OpenAttempt(Traced(ctx, func() { trips++ }), id)
		if err != nil || got.State != want || trips != wantTrips {
			t.Errorf("the attempt is opened as %s, %v, in %d round trips; want %s in %d", got.State, err, trips, want, wantTrips)
		}
	}
	opened(s, a.ID, 1, login.Approved)
	created := func() login.Attempt {
		t.Helper()
		a := newAttempt()
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	b := created()
	opened(other, b.ID, 1, login.Pushing)
	opened(s, b.ID, 0, login.Pushing)
	opened(s, b.ID, 1, login.Pushing)
	a = created()
	move(other, login.Rejected)
	for <-changes != a.ID { // one before may be heard of twice
	}
	opened(s, a.ID, 1, login.Rejected)

	stop()
	ended.Wait()
	s.listening.Store(false)
	heard(1, login.Rejected)
}

// A transaction that guesses a row twice decides by what the database checks, whatever the
// memory has by then.
func TestAGuessOfOneMoment(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	p := at(&record.Limits, []byte("a"))
	s.memory.put(p, []byte("first"), moment{})
	guess := &txn{batch: batch{s: s}, guesses: true}
	for _, later := range []string{"second", "third"} {
		if value, exists := guess.guess(&record.Limits, []byte("a")); !exists || string(value) != "first" {
			t.Errorf("guessed %q, %v, want the row that is checked", value, exists)
		}
		s.memory.put(p, []byte(later), moment{})
	}
	if len(guess.guards) != 1 || string(guess.guards[0].value) != "first" {
		t.Errorf("%d guards, want one of the first row", len(guess.guards))
	}
}

// What is read while a change is heard of is perhaps from before it.
func TestMemoryOfAMoment(t *testing.T) {
	m := newMemory()
	p := at(&record.Attempts, []byte("a"))
	m.listens()
	before := m.now(p)
	m.forget(p)
	m.put(p, []byte("read meanwhile"), before)
	if row, known := m.get(p); !known || m.current(row) {
		t.Error("a row that was read while its change was heard of counts as current")
	}
	m.put(p, []byte("read afterwards"), m.now(p))
	row, _ := m.get(p)
	if !m.current(row) {
		t.Error("a row that was read afterwards does not count as current")
	}
	before = m.now(p)
	m.put(p, []byte("written meanwhile"), m.now(p))
	m.put(p, []byte("read before that"), before)
	if row, _ := m.get(p); m.current(row) {
		t.Error("a row that was read while the process itself changed it counts as current")
	}
	before = m.now(p)
	m.put(p, []byte("read twice"), before)
	m.put(p, []byte("read twice"), before)
	if row, _ := m.get(p); !m.current(row) {
		t.Error("a row that two have read does not count as current")
	}
	m.listens()
	if m.current(row) {
		t.Error("a row counts as current that was read before the store listened again")
	}
	large := make([]byte, 1<<10)
	for i := range 4 * memoryMost / len(large) {
		m.put(place{"limits", fmt.Sprint(i)}, large, moment{})
		if i%7 == 0 {
			m.put(place{"limits", fmt.Sprint(i)}, large[:7], moment{}) // another one
			m.forget(place{"limits", fmt.Sprint(i - 7)})
		}
	}
	size, half := 0, 0
	for _, rows := range []map[place]seen{m.old, m.new} {
		half = 0
		for p, row := range rows {
			half += sizeOf(p, row)
		}
		size += half
	}
	if size > 2*memoryMost || size < memoryMost || half != m.newSize {
		t.Errorf("the memory has %d bytes, want at most %d; it has counted %d of %d", size, 2*memoryMost, m.newSize, half)
	}
	if _, known := m.get(p); known {
		t.Error("a row is remembered for ever")
	}
}
