// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/truecaller"
)

// Whether a record has expired is in its seal. Who changes a column neither deletes it
// nor makes it stay.
func TestThreat_SweepBelievesTheSeal(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	fresh, old := newAttempt(), newAttempt()
	old.Expires = time.Now().Add(-24 * time.Hour)
	lock := func(id string, lasts time.Duration) limit.Spend {
		return limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: id}, LockFor: lasts}
	}
	if err := s.CreateAttempt(ctx, fresh, lock("held", time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateAttempt(ctx, old, lock("gone", -time.Hour), time.Now()); err != nil {
		t.Fatal(err)
	}
	put(t, s, "fresh")
	if _, err := s.PutDelivery(ctx, truecaller.Delivery{ID: "old", Received: time.Now().Add(-24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"now() - interval '1 day'", "now() + interval '1 day'"} {
		for _, table := range []string{"attempts", "limits", "deliveries"} {
			exec(t, dsn, "UPDATE "+table+" SET expires = "+column+", due = now() - interval '1 minute'")
		}
		if err := s.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		after := rows(t, s)
		for _, table := range []string{"attempts", "limits", "deliveries"} {
			if after[table] != 1 {
				t.Errorf("%s: %d rows where the columns say %s, want 1", table, after[table], column)
			}
		}
	}
	if _, err := s.Attempt(ctx, fresh.ID); err != nil {
		t.Error(err)
	}
	var wrong int
	err := s.pool.QueryRow(ctx, "SELECT count(*) FROM attempts WHERE expires > now() + interval '12 hours' OR due <> expires").Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d columns were not put right, %v", wrong, err)
	}
}

// A table that cannot be swept keeps no other from it.
func TestSweepGoesOn(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	if _, err := s.PutDelivery(t.Context(), truecaller.Delivery{ID: "old", Received: time.Now().Add(-24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, "ALTER TABLE limits RENAME TO moved")
	t.Cleanup(func() { exec(t, dsn, "ALTER TABLE moved RENAME TO limits") })
	err := s.sweep(t.Context())
	if err == nil || !strings.Contains(err.Error(), "table limits") {
		t.Errorf("sweeping a table that is not there: %v", err)
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM deliveries").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d deliveries are left, %v", left, err)
	}
}
