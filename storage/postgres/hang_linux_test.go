// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
)

// A database that hangs is one that cannot be reached: each operation ends, the server
// is not ready, and both go by when it goes on.
func TestDatabaseHangs(t *testing.T) {
	hanging, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hanging.Stop)
	// A slow machine needs several tries for what goes well.
	const short = 200 * time.Millisecond
	o := Options{DSN: redact.Text(hanging.DSN("postgres")), RecoverFor: short, PoolTimeout: short, StatementTimeout: short, stuckAfter: short}
	var s *Store
	a := newAttempt()
	until(t, "the store is open", func() bool {
		s, err = Open(t.Context(), testMaster(t), o)
		return err == nil
	})
	t.Cleanup(func() { s.Close() })
	until(t, "an attempt was created", func() bool { return s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()) == nil })
	if err := hanging.Freeze(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Attempt(t.Context(), a.ID); !errors.Is(err, ErrUnavailable) {
			t.Errorf("reading: %v, want %v", err, ErrUnavailable)
		}
		if err := count(t.Context(), s, a.ID); !errors.Is(err, ErrUnavailable) {
			t.Errorf("changing: %v, want %v", err, ErrUnavailable)
		}
	}
	if s.Healthy() == nil {
		t.Error("the store is healthy while its database hangs")
	}
	if err := hanging.Thaw(); err != nil {
		t.Fatal(err)
	}
	until(t, "the database is there again", func() bool {
		s.tryAgain(t.Context())
		return s.Healthy() == nil
	})
	until(t, "an attempt is changed again", func() bool { return count(t.Context(), s, a.ID) == nil })
}
