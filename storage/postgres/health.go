// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"
)

// Healthy returns nil while the database can be reached and written to. After an
// operation that found otherwise, Healthy returns that error until one succeeds, or
// writes; Run tries by itself.
func (s *Store) Healthy() error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	if full := s.unwritable.Load(); full != nil {
		return *full
	}
	return nil
}

// note notes an error that says how the database is, and not only one operation.
func (s *Store) note(kind errorKind, err error) {
	switch kind {
	case lost, denied:
		s.reached(err)
	case readOnly, full:
		if s.unwritable.Swap(&err) == nil {
			s.log.Error("the database takes no changes; until it does, the server is not ready", "error", err)
		}
	}
}

// wrote notes that the database could be written to.
func (s *Store) wrote() {
	if s.unwritable.Load() != nil && s.unwritable.Swap(nil) != nil {
		s.log.Info("the database takes changes again")
	}
}

// reached notes whether the database could be reached, and logs when that changes.
func (s *Store) reached(err error) {
	switch {
	case err == nil:
		if s.failed.Load() != nil && s.failed.Swap(nil) != nil {
			s.log.Info("the database can be reached again")
		}
	case s.failed.Swap(&err) == nil:
		s.log.Error("the database cannot be reached; until it can, the server is not ready", "error", err)
	}
}

// tryAgain asks the database for something if it could not be reached, or writes what
// every transaction writes if it took no changes. A server that is not ready gets no
// requests, and would never find out that it is there again.
func (s *Store) tryAgain(ctx context.Context) {
	switch {
	case s.failed.Load() != nil:
		s.read(ctx, func(b *batch) { b.run("SELECT 1") }) // reached notes what comes of it
	case s.unwritable.Load() != nil:
		s.write(ctx, func(t *txn) error { // likewise wrote
			t.put("DELETE FROM outcomes WHERE at < now() - $1::interval", outcomeKept)
			return nil
		})
	}
}

// Stats holds counters for operators and for the load test.
type Stats struct {
	Commits uint64 `json:"commits"`     // since Open, of transactions that wrote
	Retries uint64 `json:"retries"`     // transactions that ran again because of another one
	Lookups uint64 `json:"lookups"`     // commits whose outcome was looked up
	Trips   uint64 `json:"round_trips"` // to the database

	Notes       int           `json:"notes"`       // noted changes that are not stored yet
	Connections int           `json:"connections"` // open ones, without the one that listens
	Waits       uint64        `json:"waits"`       // for a connection, because none was free
	Waited      time.Duration `json:"waited"`      // in all of them
	ClockAhead  time.Duration `json:"clock_ahead"` // the database's, of this process's
	Reached     bool          `json:"reached"`     // Healthy returns nil
	Listening   bool          `json:"listening"`   // to other processes

	ListenFailures uint64 `json:"listen_failures"` // tries to listen that failed, and connections that broke
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	pool := s.pool.Stat()
	return Stats{
		Commits:     s.commits.Load(),
		Retries:     s.retries.Load(),
		Lookups:     s.lookups.Load(),
		Trips:       s.trips.Load(),
		Notes:       s.notes.pending(),
		Connections: int(pool.TotalConns()),
		Waits:       uint64(pool.EmptyAcquireCount() + pool.CanceledAcquireCount()),
		Waited:      pool.EmptyAcquireWaitTime(),
		ClockAhead:  time.Duration(s.ahead.Load()),
		Reached:     s.Healthy() == nil,
		Listening:   s.Listening(),

		ListenFailures: s.listenFailures.Load(),
	}
}
