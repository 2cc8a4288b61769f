// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"

	"github.com/jackc/pgx/v5"
)

// An operator who clears limits and a sign-in that uses them wait for each other's end, not
// for each other: neither has to run again, also where a row is made meanwhile.
func TestClearLimitsInOrder(t *testing.T) {
	dsn := database(t)
	o := Options{DSN: redact.Text(dsn)}
	clearing, signing, ctx := open(t, o), open(t, o), t.Context()
	keys := []limit.Key{{Kind: limit.Number, ID: "1"}, {Kind: limit.CoolingOff, ID: "1"}}
	hidden := clearing.inOrder(keys)
	absent, present := hidden[0][:], hidden[1][:]
	connect := func() *pgx.Conn {
		t.Helper()
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	holder, maker := connect(), connect()
	const place = "INSERT INTO limits (key, value, expires, due) VALUES ($1, '', now(), now() + interval '1 hour') ON CONFLICT DO NOTHING"
	exec := func(conn *pgx.Conn, sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(holder, place, present)
	exec(holder, "BEGIN")
	exec(holder, "SELECT FROM limits WHERE key = $1 FOR UPDATE", present)

	ended := make(chan error, 3)
	waits := func(what string, want int) {
		t.Helper()
		until(t, what, func() bool {
			var n int
			err := holder.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
			return err == nil && n+len(ended) == want
		})
	}
	go func() { ended <- clearing.ClearLimits(ctx, keys...) }()
	waits("clearing waits", 1)
	go func() {
		_, err := maker.Exec(ctx, place, absent)
		ended <- err
	}()
	waits("a row is made, or waits", 2)
	go func() {
		rate := limit.Rate{Burst: 5, Period: time.Hour}
		var charges []limit.Charge
		for _, key := range keys {
			charges = append(charges, limit.Charge{Key: key, Rate: rate})
		}
		ended <- signing.CreateAttempt(ctx, newAttempt(), limit.Spend{Number: charges}, time.Now())
	}()
	waits("the sign-in waits", 3)
	exec(holder, "COMMIT")
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for _, s := range []*Store{clearing, signing} {
		if n := s.Stats().Retries; n > 0 {
			t.Errorf("%d retries, want none", n)
		}
	}
}
