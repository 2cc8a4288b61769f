// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// sweepMax is how many rows of a table one transaction handles, so that no sign-in
// waits long for it.
const sweepMax = 500

// sweepLock is the advisory lock of the process that sweeps.
const sweepLock = migrationLock + 1

// swept are the tables whose rows expire.
var swept = []string{"limits", "attempts", "forms", "deliveries", "sessions", "codes", "grants", "access_tokens", "assertions", "initial_tokens", "receivers", "notices", "device_requests", "funnel", "api_keys", "requests"}

// Run deletes expired records every Options.SweepEvery, in small batches, until ctx is
// done. One process at a time sweeps: the one that gets the lock of a transaction, so
// that another one goes on as soon as it has ended.
func (s *Store) Run(ctx context.Context) {
	ticker := time.NewTicker(s.options.SweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.tryAgain(ctx)
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil && !s.closed.Load() { // the next tick tries again
			s.log.Error("the sweep of expired records failed", "error", err)
		}
	}
}

// sweep handles what is due, as long as it has the lock. A table that cannot be swept
// keeps no other from it.
func (s *Store) sweep(ctx context.Context) error {
	var errs []error
	for _, table := range swept {
		for more := true; more; {
			n, err := s.sweepSome(ctx, table)
			if err != nil {
				errs = append(errs, fmt.Errorf("postgres: table %s: %w", table, err))
			}
			if _, away := errors.AsType[unavailableError](err); away || ctx.Err() != nil {
				return errors.Join(errs...)
			}
			more = err == nil && n == sweepMax
		}
	}
	for more := true; more; {
		n, err := s.sweepOutcomes(ctx)
		errs = append(errs, err)
		more = err == nil && n == sweepMax
	}
	return errors.Join(errs...)
}

// sweepOutcomes deletes up to sweepMax outcomes that no server looks up any more, and
// returns how many.
func (s *Store) sweepOutcomes(ctx context.Context) (n int, err error) {
	var deleted int
	err = s.read(ctx, func(b *batch) {
		deleted = 0
		b.queue.Queue(`DELETE FROM outcomes WHERE ctid = ANY (ARRAY (
				SELECT ctid FROM outcomes WHERE at < now() - $1::interval AND (SELECT pg_try_advisory_xact_lock($2))
				ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED))`,
			outcomeKept, sweepLock, sweepMax).Exec(func(tag pgconn.CommandTag) error {
			deleted = int(tag.RowsAffected())
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	if deleted > 0 {
		s.commits.Add(1)
	}
	return deleted, nil
}

// expiryOfRow is an expression for what the seal of a row's value covers of its expiry.
// Where no record is, it is empty: then the column counts.
const expiryOfRow = "substring(value FROM 1 FOR 9)"

// sweepSome handles up to sweepMax rows of a table that are due, and returns how many:
// it deletes those that have expired, and moves the others to the time when they will.
// What is in the value decides; a column that says otherwise is put right.
func (s *Store) sweepSome(ctx context.Context, table string) (n int, err error) {
	header := expiryOfRow
	if table == "forms" {
		header = "''::bytea"
	}
	err = s.write(ctx, func(t *txn) error {
		n = 0
		due := 0
		mine := t.some("SELECT WHERE pg_try_advisory_xact_lock($1)", sweepLock)
		var bare, sealed [][]byte
		var expiries []time.Time
		t.rows("SELECT key, "+header+" FROM "+table+" WHERE due <= now() ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED",
			[]any{sweepMax}, func(key, header []byte) {
				due++
				if len(header) == 0 {
					bare = append(bare, key)
					return
				}
				sealed, expiries = append(sealed, key), append(expiries, expiryOf(header))
			})
		if err := t.look(); err != nil || !*mine || due == 0 {
			return err
		}
		n = due
		if len(sealed) > 0 {
			t.put("DELETE FROM "+table+` USING unnest($1::bytea[], $2::timestamptz[]) AS old (key, expires)
				WHERE `+table+".key = old.key AND old.expires <= now()", sealed, expiries)
			t.put("UPDATE "+table+` SET expires = new.expires, due = new.expires
				FROM unnest($1::bytea[], $2::timestamptz[]) AS new (key, expires) WHERE `+table+".key = new.key", sealed, expiries)
		}
		if len(bare) > 0 {
			t.put("DELETE FROM "+table+" WHERE key = ANY($1) AND expires <= now()", bare)
			t.put("UPDATE "+table+" SET due = expires WHERE key = ANY($1)", bare)
		}
		return nil
	})
	return n, err
}
