// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"

	"github.com/jackc/pgx/v5"
)

// noting makes attempts and notes something of each.
func noting(t *testing.T, s *Store, n int) (ids []login.ID) {
	t.Helper()
	for range n {
		a := newAttempt()
		if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	return ids
}

func note(t *testing.T, s *Store, ids ...login.ID) {
	t.Helper()
	for _, id := range ids {
		s.NoteAttempt(t.Context(), id, login.Note{Kind: login.NoteAccepted, At: time.Now(), RequestID: "noted"})
	}
}

// stored waits until another process sees what was noted.
func stored(t *testing.T, other *Store, ids ...login.ID) {
	t.Helper()
	for _, id := range ids {
		until(t, "another process sees what was noted", func() bool {
			a, err := other.Attempt(t.Context(), id)
			return err == nil && a.RequestID == "noted"
		})
	}
}

func noneWaits(t *testing.T, s *Store) {
	t.Helper()
	until(t, "no note waits", func() bool {
		_, some := s.notes.due(time.Now())
		return !some
	})
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if s.notes.size != 0 {
		t.Errorf("%d notes are counted and not there", s.notes.size)
	}
}

// An attempt that cannot be read, or is locked, keeps no other's notes waiting.
func TestThreat_DamagedAttemptStopsNoNotes(t *testing.T) {
	var log logged
	dsn := database(t)
	s, other := open(t, Options{DSN: redact.Text(dsn), Log: log.log()}), open(t, Options{DSN: redact.Text(dsn)})
	ids := noting(t, s, 5)
	exec(t, dsn, "UPDATE attempts SET value = '\\x01' WHERE key = $1", []byte(ids[0]))
	exec(t, dsn, "UPDATE attempts SET value = (SELECT value FROM attempts WHERE key = $2) WHERE key = $1", []byte(ids[1]), []byte(ids[2]))
	for range 3 {
		note(t, s, ids...)
		stored(t, other, ids[2:]...)
		noneWaits(t, s)
	}
	if n := log.count("a record cannot be read"); n != 2 {
		t.Errorf("%d lines about two records", n)
	}

	ids = noting(t, s, 3)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM attempts WHERE key = $1 FOR UPDATE", []byte(ids[0])); err != nil {
		t.Fatal(err)
	}
	note(t, s, ids...)
	stored(t, other, ids[1:]...)
	tx.Rollback(t.Context())
	stored(t, other, ids...)
	noneWaits(t, s)
}

// What the database refuses of one attempt stops no other's notes, is tried again a few
// times, and is dropped then.
func TestRefusedNotes(t *testing.T) {
	var log logged
	dsn := database(t)
	s, other := open(t, Options{DSN: redact.Text(dsn), Log: log.log()}), open(t, Options{DSN: redact.Text(dsn)})
	ids := noting(t, s, 4)
	exec(t, dsn, "ALTER TABLE attempts ADD CONSTRAINT refused CHECK (key <> '"+string(ids[0])+"') NOT VALID")
	t.Cleanup(func() { exec(t, dsn, "ALTER TABLE attempts DROP CONSTRAINT refused") })
	note(t, s, ids...)
	stored(t, other, ids[1:]...)
	tries := 0
	until(t, "the refused notes are dropped", func() bool {
		s.notes.mu.Lock()
		defer s.notes.mu.Unlock()
		of := s.notes.of[ids[0]]
		if of.taken == 0 && of.refused > tries { // and do not wait a minute
			tries = of.refused
			if of.after.Before(time.Now()) {
				t.Error("they are tried again at once")
			}
			of.after = time.Time{}
			select {
			case s.notes.wake <- struct{}{}:
			default:
			}
		}
		return len(of.queue) == 0
	})
	if tries != noteTries-1 {
		t.Errorf("%d tries before the last, want %d", tries, noteTries-1)
	}
	noneWaits(t, s)
	if log.count("were dropped") != 1 || log.count("level=ERROR") != 1 {
		t.Errorf("the log is\n%s", log.b.String())
	}
	note(t, s, ids[1:]...) // and nothing else has happened
	noneWaits(t, s)
}

// Notes that cannot be stored take so much memory and no more.
func TestNotesAreBounded(t *testing.T) {
	n := notes{wake: make(chan struct{}, 1)}
	for i := range notesKept {
		if !n.add(login.ID(fmt.Sprint(i%1000)), login.Note{}) {
			t.Fatalf("there was no room for %d notes", i)
		}
	}
	if n.add("one more", login.Note{}) {
		t.Error("there is room for any number of notes")
	}
	queue, _ := n.takeNow("7")
	n.settle("7", len(queue), true)
	if !n.add("one more", login.Note{}) {
		t.Error("there is no room for a note after others were stored")
	}
}
