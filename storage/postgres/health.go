package postgres

import (
	"context"
	"time"
)

// Healthy returns nil while the database can be reached. After an operation that could
// not reach it, Healthy returns that error until one succeeds; Run tries by itself.
func (s *Store) Healthy() error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return nil
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

// tryAgain asks the database for something if it could not be reached. A server that
// is not ready gets no requests, and would never find out that it is there again.
func (s *Store) tryAgain(ctx context.Context) {
	if s.failed.Load() != nil {
		s.read(ctx, func(b *batch) { b.run("SELECT 1") }) // reached notes what comes of it
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
	ClockAhead  time.Duration `json:"clock_ahead"` // the database's, of this process's
	Reached     bool          `json:"reached"`     // Healthy returns nil
	Listening   bool          `json:"listening"`   // to other processes
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	return Stats{
		Commits:     s.commits.Load(),
		Retries:     s.retries.Load(),
		Lookups:     s.lookups.Load(),
		Trips:       s.trips.Load(),
		Notes:       s.notes.pending(),
		Connections: int(s.pool.Stat().TotalConns()),
		ClockAhead:  time.Duration(s.ahead.Load()),
		Reached:     s.Healthy() == nil,
		Listening:   s.Listening(),
	}
}
