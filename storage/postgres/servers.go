// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A process that uses the database says so every serverSays, in the table servers. It
// counts as gone when it leaves, or serverKept after it was heard last. So a copy of the
// whole store knows that no other process changes it, also behind a pooler, which keeps
// no lock of a session. A process that is suspended cannot say so: the connection with which
// it listens, if it has one, holds serverLock as long as the connection is there.
const (
	serverSays = 3 * time.Second
	serverKept = 12 * time.Second
)

// copyLock is the advisory lock of a copy from or to the database, which is one
// transaction.
const copyLock = migrationLock + 2

// serverLock is the advisory lock of the connections that listen. A copy waits for it.
const serverLock = migrationLock + 3

// Errors of Open, OpenSource and OpenTarget.
var (
	// ErrCopying is returned by Open during a copy.
	ErrCopying = errors.New("postgres: a copy from or to the database is under way; wait until it has ended")
	// ErrUnfinished is returned by Open and OpenSource after a copy into the database that
	// did not end, which would otherwise look like a new deployment.
	ErrUnfinished = errors.New("postgres: a copy into the database has not been finished")
	// ErrInUse is returned by OpenSource and OpenTarget.
	ErrInUse = errors.New("postgres: servers use the database")
)

// metaUnfinished is a key in the table meta as long as a copy into the database has not
// been finished.
var metaUnfinished = []byte("unfinished_copy")

// checkNoCopy returns ErrCopying during a copy.
func (s *Store) checkNoCopy(ctx context.Context) error {
	var free *bool
	err := s.read(ctx, func(b *batch) { free = b.some("SELECT WHERE pg_try_advisory_xact_lock_shared($1)", copyLock) })
	if err == nil && !*free {
		return ErrCopying
	}
	return err
}

// checkFinished returns ErrUnfinished after a copy that has not been finished.
func (s *Store) checkFinished(ctx context.Context) error {
	var unfinished *bool
	err := s.read(ctx, func(b *batch) { unfinished = b.some("SELECT FROM meta WHERE key = $1", metaUnfinished) })
	if err == nil && *unfinished {
		return fmt.Errorf("%w; run calleridp store copy again, or empty the database to begin with an empty store: %s", ErrUnfinished, emptying)
	}
	return err
}

// emptying says how to empty a database.
const emptying = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"

// enter says that this process uses the database, unless it is being copied.
func (s *Store) enter(ctx context.Context) error {
	return s.write(ctx, func(t *txn) error {
		free := t.some("SELECT WHERE pg_try_advisory_xact_lock_shared($1)", copyLock)
		if err := t.look(); err != nil {
			return err
		}
		if !*free {
			return ErrCopying
		}
		t.put(sayServer, s.node, serverKept)
		t.put("DELETE FROM servers WHERE until < now() - interval '1 hour'")
		return nil
	})
}

const sayServer = `INSERT INTO servers (node, until) VALUES ($1, now() + $2::interval)
	ON CONFLICT (node) DO UPDATE SET until = EXCLUDED.until`

// stay says that this process still uses the database, until the store is closed.
func (s *Store) stay() {
	defer close(s.stayed)
	s.every(serverSays, func() {
		ctx, cancel := s.untilStuck(context.Background())
		defer cancel()
		b := &pgx.Batch{}
		b.Queue("SELECT set_config('synchronous_commit', 'off', true)") // the next one follows soon
		b.Queue(sayServer, s.node, serverKept)
		if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
			s.log.Debug("this server could not register with the database", "error", err)
		}
	})
}

// leave says that this process no longer uses the database.
func (s *Store) leave(ctx context.Context) error {
	return s.once(ctx, "DELETE FROM servers WHERE node = $1", s.node)
}

// checkUnused returns ErrInUse if another process uses the database, or may: while the
// database was away, no process could say that it is there. The table is locked.
// kept is serverKept.
func checkUnused(ctx context.Context, tx pgx.Tx, kept time.Duration) error {
	var n, silenced int
	err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE until > now()),
			count(*) FILTER (WHERE until < pg_postmaster_start_time() AND pg_postmaster_start_time() > now() - $1::interval)
		FROM servers`, kept).Scan(&n, &silenced)
	if err == nil && n == 0 && silenced > 0 {
		return fmt.Errorf("%w, perhaps (%d of them): it was started less than %s ago, and they cannot have said yet that they are still there; stop them, wait so long and copy again",
			ErrInUse, silenced, kept)
	}
	if err == nil && n > 0 {
		return fmt.Errorf("%w (%d of them); stop them and copy again; one that was killed counts for %s", ErrInUse, n, kept)
	}
	return err
}

// holdServer makes a connection, which is not a pooler's, hold serverLock.
func holdServer(ctx context.Context, conn *pgx.Conn) error {
	free := false
	err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock_shared($1)", serverLock).Scan(&free)
	if err == nil && !free {
		return ErrCopying
	}
	return err
}

// checkConnections returns ErrInUse while a connection of another process holds
// serverLock: the process may be suspended, and go on after the copy. One that has just
// stopped is waited for.
func (f *Source) checkConnections(ctx context.Context) error {
	_, err := f.tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", f.s.options.LockTimeout.Milliseconds()))
	if err == nil {
		_, err = f.tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", serverLock)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == codeLockTimeout {
		return fmt.Errorf("%w, or hang: end those that the following connections are of, and copy again (one whose machine has gone is ended by SELECT pg_terminate_backend(PID)): %s",
			ErrInUse, f.holders(ctx))
	}
	if err == nil {
		_, err = f.tx.Exec(ctx, "SET LOCAL lock_timeout = 0")
	}
	return err
}

// holders tells which connections hold serverLock.
func (f *Source) holders(ctx context.Context) string {
	var all string
	err := f.s.pool.QueryRow(ctx, `SELECT coalesce(string_agg('pid ' || a.pid || coalesce(' from ' || host(a.client_addr), ''), ', ' ORDER BY a.pid), 'none any more')
		FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ShareLock' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid::bigint = $1::bigint >> 32 AND l.objid::bigint = $1::bigint & 4294967295`, serverLock).Scan(&all)
	if err != nil {
		return "unknown: " + err.Error()
	}
	return all
}
