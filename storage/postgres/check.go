// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Warning is what is probably a mistake in an option, or in the database.
type Warning struct {
	Field  string // of Options
	Reason string
}

// Check reports whether Open would succeed and the server then work, and what is
// probably a mistake. It changes nothing: what needs a right is tried in a transaction
// that is rolled back.
func Check(ctx context.Context, master *keys.Master, o Options) ([]Warning, error) {
	o = o.withDefaults()
	config, err := o.pool()
	if err != nil {
		return nil, err
	}
	config.MinConns = 0
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	s := &Store{pool: pool, sealer: record.NewSealer(master), options: o, log: o.Log}
	warnings, err := s.check(ctx)
	if err != nil {
		return nil, explained(err, config.ConnConfig, "DSN")
	}
	if o.ListenDSN != "" {
		if err := s.checkListening(ctx); err != nil {
			return nil, err
		}
	}
	return warnings, nil
}

func (s *Store) check(ctx context.Context) ([]Warning, error) {
	_, newest, err := s.migrations()
	if err != nil {
		return nil, err
	}
	if err := s.checkPooler(ctx); err != nil { // before anything is prepared
		return nil, err
	}
	if err := s.checkNoCopy(ctx); err != nil {
		return nil, err
	}
	done, err := s.checkSchema(ctx, newest)
	if err != nil {
		return nil, err
	}
	if done {
		if err := s.checkFinished(ctx); err != nil {
			return nil, err
		}
		if err := s.checkMasterKey(ctx, false); err != nil {
			return nil, err
		}
		if err := s.checkIssuer(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.checkRights(ctx, done); err != nil {
		return nil, err
	}
	return s.Warnings(ctx)
}

// checkIssuer refuses another issuer than the one that PinIssuer has stored, if any.
func (s *Store) checkIssuer(ctx context.Context) error {
	var pinned string
	var found *bool
	err := s.read(ctx, func(b *batch) {
		found = b.one(&record.Meta, (*record.Text)(&pinned), "SELECT key, value FROM meta WHERE key = $1", metaIssuer)
	})
	if err == nil && *found && s.options.Issuer != "" && pinned != s.options.Issuer {
		return wrongIssuer(pinned, s.options.Issuer)
	}
	return err
}

// tables are all of the schema.
var tables = append(slices.Clone(swept), "meta", "signing_keys", "clients", "callback_secrets", "people", "deleted", "numbers", "consents", "audit_heads", "outcomes", "servers")

// checkRights tries what the server needs: all tables, or to make them.
func (s *Store) checkRights(ctx context.Context, exist bool) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	under, cancel := s.untilStuck(ctx)
	defer cancel()
	tx, err := conn.Begin(under)
	if err != nil {
		return err
	}
	defer tx.Rollback(under)
	if !exist {
		files, _, err := s.migrations()
		if err != nil {
			return err
		}
		var empty bool
		if err := tx.QueryRow(under, "SELECT to_regclass('goose_db_version') IS NULL").Scan(&empty); err != nil {
			return err
		}
		if !empty { // only the migrations that come would be refused
			_, err = tx.Exec(under, "CREATE TABLE calleridp_check ()")
			return err
		}
		first, err := fs.ReadFile(files, "00001_records.sql")
		if err == nil {
			_, err = tx.Exec(under, string(first), pgx.QueryExecModeSimpleProtocol)
		}
		return err
	}
	for _, table := range tables {
		column := map[string]string{"outcomes": "at", "servers": "node"}[table]
		if column == "" {
			column = "key"
		}
		for _, sql := range []string{ // of no row
			"SELECT FROM " + table + " WHERE false FOR UPDATE",
			"INSERT INTO " + table + " SELECT * FROM " + table + " WHERE false",
			"UPDATE " + table + " SET " + column + " = " + column + " WHERE false",
			"DELETE FROM " + table + " WHERE false",
		} {
			if _, err := tx.Exec(under, sql); err != nil {
				return fmt.Errorf("postgres: %s: %w", table, err)
			}
		}
	}
	_, err = tx.Exec(under, "SELECT refuse_deleted(''), settle_delivery('', '') WHERE false")
	return err
}

// checkPooler refuses connections that share the database's among them, if the options
// do not say so.
func (s *Store) checkPooler(ctx context.Context) error {
	if s.options.Pooler {
		return nil
	}
	var backends []int
	for range 2 { // both stay open
		conn, behind, err := s.connect(ctx, s.options.DSN)
		if err != nil {
			return err
		}
		defer s.disconnect(ctx, conn)
		if !behind {
			return nil
		}
		var backend int
		if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&backend); err != nil {
			return err
		}
		backends = append(backends, backend)
	}
	if backends[0] == backends[1] {
		return &SetupError{Field: "Pooler", cause: errors.New("two connections have one process of the database"),
			Reason: unexpectedPooler}
	}
	return nil
}

// connect makes a connection that does not count. behind is true behind a pooler, which
// gives a connection a number of its own.
func (s *Store) connect(ctx context.Context, dsn redact.Text) (conn *pgx.Conn, behind bool, err error) {
	o := s.options
	o.DSN, o.Pooler = dsn, false
	config, err := o.pool()
	if err != nil {
		return nil, false, err
	}
	under, cancel := s.untilStuck(ctx)
	defer cancel()
	if conn, err = pgx.ConnectConfig(under, config.ConnConfig); err != nil {
		if kindOf(err) != denied {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil, false, err
	}
	var backend uint32
	err = conn.QueryRow(under, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&backend) // which another connection cannot have prepared
	if err != nil {
		s.disconnect(ctx, conn)
		return nil, false, err
	}
	return conn, backend != conn.PgConn().PID(), nil
}

func (s *Store) disconnect(ctx context.Context, conn *pgx.Conn) {
	closing, cancel := s.untilStuck(ctx)
	defer cancel()
	conn.Close(closing)
}

// heardWithin is how long a notification may take to come back, and a fifth of it behind
// a pooler.
const heardWithin = 10 * time.Second

// checkListening notifies itself.
func (s *Store) checkListening(ctx context.Context) error {
	fail := func(err error) error {
		if config, invalid := (Options{DSN: s.options.ListenDSN, Insecure: s.options.Insecure}).pool(); invalid == nil {
			err = explained(err, config.ConnConfig, "ListenDSN")
		}
		return err
	}
	return fail(func() error {
		conn, behind, err := s.connect(ctx, s.options.ListenDSN)
		if err != nil {
			return err
		}
		defer s.disconnect(ctx, conn)
		own := channel + "_check_" + keys.RandomText(8)
		if _, err := conn.Exec(ctx, `LISTEN "`+own+`"`); err != nil {
			return err
		}
		if err := s.once(ctx, "SELECT pg_notify($1, '')", own); err != nil {
			return err
		}
		within := s.options.heardWithin
		if behind {
			within /= 5
		}
		waiting, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if _, err := conn.WaitForNotification(waiting); err != nil {
			return &SetupError{Field: "ListenDSN", cause: err,
				Reason: "this connection gets no notifications from the others; it must lead to the same database, without a pooler"}
		}
		return nil
	}())
}

// Warnings returns what is probably a mistake in the database: what may lose
// acknowledged changes, so that used codes and tokens are valid again (invariant 9), and
// what will refuse connections.
func (s *Store) Warnings(ctx context.Context) ([]Warning, error) {
	type setting struct {
		fsync, pages, commit, standbys string
		replicas, most                 int
	}
	is, err := view(ctx, s, func(b *batch) func() (setting, error) {
		var is setting
		b.queue.Queue(`SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
			current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)::int,
			least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
				(SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()),
				(SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user))`).QueryRow(
			func(row pgx.Row) error {
				return row.Scan(&is.fsync, &is.pages, &is.commit, &is.standbys, &is.replicas, &is.most)
			})
		return func() (setting, error) { return is, nil }
	})
	if err != nil {
		return nil, err
	}
	var warnings []Warning
	warn := func(field, format string, args ...any) {
		warnings = append(warnings, Warning{field, fmt.Sprintf(format, args...)})
	}
	if is.fsync == "off" || is.pages == "off" {
		warn("DSN", "the database has fsync or full_page_writes off; a crash of its machine can lose or damage everything")
	}
	switch is.commit {
	case "off":
		warn("DSN", "the database has synchronous_commit off; a crash loses acknowledged changes, and codes and tokens that were used are valid again")
	case "local":
		if is.standbys != "" {
			warn("DSN", "the database has synchronous_commit = local; a failover loses acknowledged changes")
		}
	}
	if is.replicas > 0 && is.standbys == "" {
		warn("DSN", "the database replicates asynchronously; a replica that is promoted lacks the newest changes, and codes and tokens that were used are valid again: set synchronous_standby_names")
	}
	if need := s.options.MaxConnections + 2; !s.options.Pooler && is.most < need {
		warn("MaxConnections", "the database allows this user %s connections, and this server alone may open %s, with the one that listens and the one for callbacks", strconv.Itoa(is.most), strconv.Itoa(need))
	}
	return warnings, nil
}
