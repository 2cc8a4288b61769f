// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Migrations first add (expand), and take away (contract) only when no program of the
// version before is left. One that contracts raises oldest_program in meta, in its own
// transaction: the first version of the schema whose program works with what it leaves.
// No program writes it otherwise, so none can lower it. Each migration begins by turning
// off statement_timeout, because it may take long; lock_timeout stays, because
// other statements queue behind a migration that waits.
//
//go:embed migrations/*.sql
var embedded embed.FS

// metaOldest is where the oldest program stands in the table meta.
var metaOldest = []byte("oldest_program")

const (
	// migrationLock is the advisory lock of who migrates.
	migrationLock = 0x63616c6c6572 // "caller"
	// migrationPoll is how often a process that waits for it asks again.
	migrationPoll = 100 * time.Millisecond
)

// migrations returns the files of the schema, and the newest version of it that this
// program knows.
func (s *Store) migrations() (files fs.FS, newest int64, err error) {
	files = s.options.migrations
	if files == nil {
		if files, err = fs.Sub(embedded, "migrations"); err != nil {
			return nil, 0, err
		}
	}
	names, err := fs.Glob(files, "*.sql")
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, 0, fmt.Errorf("postgres: migration %s has no number", name)
		}
		newest = max(newest, version)
	}
	return files, newest, err
}

// schema returns the version of the database's schema, 0 for an empty one, and the
// first version whose program works with it.
func (s *Store) schema(ctx context.Context) (version, oldest int64, err error) {
	type found struct{ version, oldest int64 }
	is, err := view(ctx, s, func(b *batch) func() (found, error) {
		var is found
		b.queue.Queue(`SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).QueryRow(
			func(row pgx.Row) error { return row.Scan(&is.version) })
		b.queue.Queue("SELECT convert_from(value, 'UTF8')::bigint FROM meta WHERE key = $1", metaOldest).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&is.oldest); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		return func() (found, error) { return is, nil }
	})
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == codeUndefinedTable {
		return 0, 0, nil
	}
	return is.version, is.oldest, err
}

// checkSchema reports whether the schema is one that this program works with. It
// refuses a newer one that needs a newer program.
func (s *Store) checkSchema(ctx context.Context, newest int64) (done bool, err error) {
	version, oldest, err := s.schema(ctx)
	if err == nil && version >= newest && oldest > newest {
		err = fmt.Errorf("%w (schema %d, whose program is at least that of schema %d; this version knows %d); start that version, or restore a backup from before the upgrade",
			ErrNewerSchema, version, oldest, newest)
	}
	return version >= newest, err
}

// migrate brings the schema up to date. Several processes may do so at once, also of
// different versions: one does it, and the others wait.
func (s *Store) migrate(ctx context.Context) error {
	_, newest, err := s.migrations()
	if err != nil {
		return err
	}
	if done, err := s.checkSchema(ctx, newest); err != nil || done {
		return err
	}
	unlock, err := s.lockSchema(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return s.migrateLocked(ctx)
}

// migrateLocked is migrate, in the process that holds the lock. Another one, perhaps
// of a newer version, may have migrated meanwhile.
func (s *Store) migrateLocked(ctx context.Context) error {
	files, newest, err := s.migrations()
	if err != nil {
		return err
	}
	if done, err := s.checkSchema(ctx, newest); err != nil || done {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		err = fmt.Errorf("postgres: migrating the schema: %w", err)
		if kind := kindOf(err); kind.isWorthAnotherRun() || kind == full {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	}
	for _, m := range applied {
		s.log.Info("the schema of the database was migrated", "version", m.Source.Version, "duration", m.Duration)
	}
	return nil
}

// lockSchema waits until this process alone migrates. It uses a connection beside the
// pool, which may have only one.
func (s *Store) lockSchema(ctx context.Context) (unlock func(), err error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	unlock = func() {
		closing, cancel := s.untilStuck(ctx)
		defer cancel()
		conn.Close(closing) // which ends the transaction, and with it the lock
	}
	ask := func(sql string, into ...any) error {
		asking, cancel := s.untilStuck(ctx)
		defer cancel()
		if len(into) > 0 {
			return conn.QueryRow(asking, sql).Scan(into...)
		}
		_, err := conn.Exec(asking, sql)
		return err
	}
	err = ask("BEGIN")
	if err == nil {
		err = ask("SET LOCAL idle_in_transaction_session_timeout = 0")
	}
	for tries := 0; err == nil; tries++ {
		mine := false
		err = ask(fmt.Sprintf("SELECT pg_try_advisory_xact_lock(%d)", migrationLock), &mine)
		if mine {
			return unlock, nil
		}
		if tries == 0 && err == nil {
			s.log.Info("waiting for another server, which migrates the schema of the database")
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(migrationPoll):
		}
	}
	unlock()
	if ctx.Err() == nil && kindOf(err) != denied {
		err = fmt.Errorf("%w: waiting for another server's migration: %w", ErrUnavailable, err)
	}
	return nil, err
}
