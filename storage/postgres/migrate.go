package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// oldestProgram is the first version of the schema whose program works with the schema
// of this one: migrations first add (expand), and take away (contract) only when no
// program of the version before is left. A migration that contracts raises it.
const oldestProgram = 1

// metaOldest is where oldestProgram stands in the table meta.
var metaOldest = []byte("oldest_program")

// migrationLock is the advisory lock of who migrates.
const migrationLock = 0x63616c6c6572 // "caller"

// undefinedTable is the SQLSTATE of a table that is not there.
const undefinedTable = "42P01"

// schema returns the version of the database's schema, 0 for an empty one, and the
// first version whose program works with it.
func (s *Store) schema(ctx context.Context) (version, oldest int64, err error) {
	err = s.read(ctx, func(b *batch) {
		b.queue.Queue(`SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).QueryRow(
			func(row pgx.Row) error { return row.Scan(&version) })
		b.queue.Queue("SELECT convert_from(value, 'UTF8')::bigint FROM meta WHERE key = $1", metaOldest).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&oldest); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	})
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == undefinedTable {
		return 0, 0, nil
	}
	return version, oldest, err
}

// newest is the version of the schema that this program knows.
const newest = 1

// checkSchema reports whether the schema is one that this program works with. It
// refuses a newer one that needs a newer program.
func (s *Store) checkSchema(ctx context.Context) (done bool, err error) {
	version, oldest, err := s.schema(ctx)
	if err == nil && version >= newest && oldest > newest {
		err = fmt.Errorf("%w (schema %d, whose program is at least that of schema %d; this version knows %d); start that version, or restore a backup from before the upgrade",
			ErrNewerSchema, version, oldest, newest)
	}
	return version >= newest && oldest > 0, err
}

// migrate brings the schema up to date. Several processes may do so at once: one does
// it, and the others wait.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if done, err := s.checkSchema(ctx); err != nil || done {
		return err
	}
	lock, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer lock.Rollback(context.WithoutCancel(ctx))
	for _, sql := range []string{
		"SET LOCAL lock_timeout = 0", "SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0",
		fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", migrationLock),
	} {
		if _, err := lock.Exec(ctx, sql); err != nil {
			return fmt.Errorf("postgres: waiting for the migration of another process: %w", err)
		}
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("postgres: migrating the schema: %w", err)
	}
	for _, m := range done {
		s.log.Info("the schema of the database was migrated", "version", m.Source.Version, "duration", m.Duration)
	}
	return s.once(ctx, "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
		metaOldest, fmt.Append(nil, oldestProgram))
}
