// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"time"

	"calleridp/storage/record"
)

// Everything that is stored is in the database's time: codes, tokens, sessions, attempts,
// locks and budgets end for all processes at once, although their clocks differ. Sealing
// a record translates its times, and opening it translates them back
// (record.Sealer.In), so the rest of the program compares them with its own clock. What
// has expired is decided by the time in the seal, not by a column.
//
// The difference of this process's clock is measured with a query that waits for
// nothing, every clockEvery. A small one is none, because the way to the database takes
// time, too.
const (
	clockTolerance = time.Second
	clockWorth     = 10 * time.Second // logging
	clockEvery     = 5 * time.Second
)

// keepTime measures the difference until the store is closed.
func (s *Store) keepTime() {
	s.every(clockEvery, func() { s.askTime(context.Background()) }) // after an error, it tries again
}

// every calls do every so often until the store is closed.
func (s *Store) every(often time.Duration, do func()) {
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-ticker.C:
			do()
		}
	}
}

// askTime measures the difference once.
func (s *Store) askTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clockEvery)
	defer cancel()
	conn, err := s.claims.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var database time.Time
	sent := s.options.now()
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&database); err != nil {
		return err
	}
	s.measure(sent, s.options.now(), database)
	return nil
}

// measure notes the database's time, which it had between two moments of this process.
// What is known of the difference stays, if that agrees with it.
func (s *Store) measure(sent, received, database time.Time) {
	least, most := database.Sub(received), database.Sub(sent)
	before := time.Duration(s.ahead.Load())
	if least-clockTolerance <= before && before <= most+clockTolerance {
		return
	}
	ahead := least + (most-least)/2
	if ahead.Abs() < clockTolerance {
		ahead = 0
	}
	s.ahead.Store(int64(ahead))
	if ahead.Abs() > clockWorth && before.Abs() <= clockWorth {
		s.log.Error("the clock of this machine differs from the database's; correct it", "database_is_ahead_by", ahead.String())
	}
}

// toDatabase returns a time of this process in the database's time.
func (s *Store) toDatabase(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(time.Duration(s.ahead.Load()))
}

// fromDatabase is the reverse of toDatabase.
func (s *Store) fromDatabase(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-time.Duration(s.ahead.Load()))
}

// errExpired says that a record has expired by the time that its seal covers.
var errExpired = errors.New("postgres: the record has expired")

// open reads a stored value. errExpired if the time that its seal covers is over,
// whatever the columns of its row say.
func (s *Store) open(k *record.Kind, key, value []byte, into record.Record) error {
	if err := s.sealer.Open(k, key, value, into); err != nil {
		return err
	}
	if s.expired(value) {
		return errExpired
	}
	return nil
}

// expired reports whether the time that the seal of a value covers is over.
func (s *Store) expired(value []byte) bool {
	return record.Expired(value, s.toDatabase(s.options.now()))
}
