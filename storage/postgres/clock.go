package postgres

import (
	"errors"
	"time"

	"calleridp/provider/limit"
	"calleridp/storage/record"
)

// Locks and budgets are in the database's time: processes whose clocks differ agree on
// when they end. The difference of a process's clock is measured with each
// transaction. A small one is none, because the way to the database takes time, too.
const (
	clockTolerance = time.Second
	clockWorth     = 10 * time.Second // logging
)

// measure notes the database's time, which it had between two moments of this
// process.
func (s *Store) measure(sent, received, database time.Time) {
	ahead := database.Sub(sent.Add(received.Sub(sent) / 2))
	if ahead.Abs() < clockTolerance+received.Sub(sent) {
		ahead = 0
	}
	before := time.Duration(s.ahead.Swap(int64(ahead)))
	if ahead.Abs() > clockWorth && before.Abs() <= clockWorth {
		s.log.Error("the clock of this machine differs from the database's; put it right", "database_is_ahead_by", ahead.String())
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

// refusedHere returns a refusal in the time of this process.
func (s *Store) refusedHere(e *limit.Exceeded) *limit.Exceeded {
	if e == nil {
		return nil
	}
	here := *e
	here.RetryAt = s.fromDatabase(e.RetryAt)
	return &here
}

// errExpired says that a record has expired by the time that its seal covers.
var errExpired = errors.New("postgres: the record has expired")

// open reads a stored value. errExpired if the time that its seal covers is over,
// whatever the columns of its row say.
func (s *Store) open(k *record.Kind, key, value []byte, into record.Record) error {
	if err := s.sealer.Open(k, key, value, into); err != nil {
		return err
	}
	if record.Expired(value, s.toDatabase(s.options.now())) {
		return errExpired
	}
	return nil
}
