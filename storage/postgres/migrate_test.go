// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
)

// withMigration returns the schema with one more migration.
func withMigration(t *testing.T, name, sql string) fstest.MapFS {
	t.Helper()
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{name: {Data: []byte("-- +goose Up\n" + sql)}}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: content}
	}
	return all
}

// fresh returns the connection string of a database without tables.
func fresh(t *testing.T) string {
	t.Helper()
	dsn, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Several processes may start on an empty database at once, each with as few
// connections as there can be.
func TestMigratedAtOnce(t *testing.T) {
	dsn := fresh(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			s, err := Open(context.Background(), testMaster(t), Options{DSN: redact.Text(dsn), MaxConnections: 1})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

// One connection is enough for everything.
func TestOneConnection(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(fresh(t)), MaxConnections: 1})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a := newAttempt()
			if err := s.CreateAttempt(context.Background(), a, limit.Spend{}, time.Now()); err != nil {
				t.Error(err)
			}
			s.NoteAttempt(context.Background(), a.ID, login.Note{Kind: login.NoteAccepted, At: time.Now(), RequestID: "r"})
			if err := count(context.Background(), s, a.ID); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// An old and a new program that start at once end with the schema of the new one. The
// old one refuses what it cannot work with, also if it has waited for it.
func TestOldAndNewProgramMigrate(t *testing.T) {
	const raise = "SET LOCAL statement_timeout = 0;\nUPDATE meta SET value = '%' WHERE key = 'oldest_program';"
	expands := withMigration(t, "00002_more.sql", "SET LOCAL statement_timeout = 0;\nCREATE TABLE more ();")
	contracts := maps.Clone(expands)
	contracts["00003_less.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + strings.Replace(raise, "%", "3", 1) + "\nDROP TABLE more;")}
	for _, row := range []struct {
		name  string
		newer fstest.MapFS
		want  error
	}{
		{"it adds", expands, nil},
		{"it takes away", contracts, ErrNewerSchema},
	} {
		dsn := redact.Text(fresh(t))
		holder := open(t, Options{DSN: dsn, MaxConnections: 2})
		exec(t, string(dsn), "DROP SCHEMA public CASCADE; CREATE SCHEMA public") // the old program finds nothing
		unlock, err := holder.lockSchema(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		old := make(chan error, 1)
		go func() {
			s, err := Open(context.Background(), testMaster(t), Options{DSN: dsn, RecoverFor: time.Minute})
			if err == nil {
				err = s.Close()
			}
			old <- err
		}()
		until(t, "the old program waits", func() bool {
			var n int
			err := holder.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND query LIKE '%pg_try_advisory_xact_lock%' AND pid <> pg_backend_pid()`).Scan(&n)
			return err == nil && n >= 2 // with that which has it
		})
		newer := &Store{pool: holder.pool, options: holder.options, log: holder.log}
		newer.options.migrations = row.newer
		if err := newer.migrateLocked(t.Context()); err != nil {
			t.Fatal(err)
		}
		unlock()
		if err := <-old; !errors.Is(err, row.want) {
			t.Errorf("%s: the old program: %v, want %v", row.name, err, row.want)
		}
		version, oldest, err := holder.schema(t.Context())
		if want := int64(len(row.newer)); err != nil || version != want || (oldest == 1) != (row.want == nil) {
			t.Errorf("%s: schema %d for programs from %d on, %v, want %d", row.name, version, oldest, err, want)
		}
	}
}

// A migration may take longer than statements may in service, through a pooler too. It
// does not make others wait for longer than usual.
func TestSlowMigration(t *testing.T) {
	through, err := pooler()
	if err != nil {
		t.Fatal(err)
	}
	const check = `SET LOCAL statement_timeout = 0;
-- +goose StatementBegin
DO $$ BEGIN
	IF current_setting('statement_timeout') <> '0' OR current_setting('lock_timeout') = '0' THEN
		RAISE EXCEPTION 'statement_timeout %, lock_timeout %', current_setting('statement_timeout'), current_setting('lock_timeout');
	END IF;
END $$;
-- +goose StatementEnd`
	for _, pooled := range []bool{false, true} {
		dsn := fresh(t)
		o := Options{DSN: redact.Text(dsn), migrations: withMigration(t, "00002_slow.sql", check)}
		if pooled {
			exec(t, dsn, "ALTER ROLE calleridp SET statement_timeout = '1min'; ALTER ROLE calleridp SET lock_timeout = '1min'")
			t.Cleanup(func() { exec(t, dsn, "ALTER ROLE calleridp RESET ALL") })
			o.DSN, o.Pooler = redact.Text(through(dsn)), true
		}
		open(t, o)
	}
	for name, file := range withMigration(t, "00099_as_the_others.sql", "SET LOCAL statement_timeout = 0;\n") {
		if !strings.Contains(string(file.Data), "-- +goose Up\nSET LOCAL statement_timeout = 0;\n") {
			t.Errorf("%s runs under statement_timeout", name)
		}
	}
}

// After a migration that failed, the next start goes on.
func TestFailedMigration(t *testing.T) {
	dsn := redact.Text(fresh(t))
	o := Options{DSN: dsn, migrations: withMigration(t, "00002_wrong.sql", "SELECT 1/0;")}
	if s, err := Open(t.Context(), testMaster(t), o); err == nil {
		s.Close()
		t.Fatal("a migration that failed is none")
	}
	o.migrations = withMigration(t, "00002_right.sql", "CREATE TABLE right_now ();")
	open(t, o)
}
