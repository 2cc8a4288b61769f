// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/signals"
	"calleridp/storage/record"
	"calleridp/storage/transfer"
	"calleridp/truecaller"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A copy is one transaction, also behind a pooler: it locks every table against writers,
// and a target that is not whole is rolled back, whatever ended the copy.

var (
	_ transfer.Reader = (*Source)(nil)
	_ transfer.Writer = (*Target)(nil)
)

// Errors of OpenSource and OpenTarget.
var (
	ErrNoStore     = errors.New("postgres: the database contains no store")
	ErrNotEmpty    = errors.New("postgres: the database already contains a store")
	ErrOlderSchema = errors.New("postgres: the database has the schema of an older version of calleridp")
	ErrClocks      = errors.New("postgres: the clock of this machine differs from the database's")
)

// Source is a database whose store is copied. No server changes it meanwhile.
type Source struct {
	s  *Store
	tx pgx.Tx
}

// Target is a database that gets a copy of a store.
type Target struct {
	Source
}

// OpenSource opens the store of a database that no server uses, and changes nothing.
func OpenSource(ctx context.Context, master *keys.Master, o Options) (*Source, error) {
	s, err := transferred(ctx, master, o)
	if err != nil {
		return nil, err
	}
	src := &Source{s: s}
	if err := src.open(ctx); err != nil {
		return nil, errors.Join(explained(err, s.pool.Config().ConnConfig, "DSN"), src.Close())
	}
	return src, nil
}

func (f *Source) open(ctx context.Context) error {
	if err := f.s.checkNoCopy(ctx); err != nil {
		return err
	}
	version, _, err := f.s.schema(ctx)
	if err != nil {
		return err
	}
	_, newest, err := f.s.migrations()
	if err != nil {
		return err
	}
	known, err := f.s.checkSchema(ctx, newest)
	switch {
	case err != nil:
		return err
	case version == 0:
		return ErrNoStore
	case !known:
		return fmt.Errorf("%w; run calleridp migrate first", ErrOlderSchema)
	}
	if err := f.s.checkFinished(ctx); err != nil {
		return err
	}
	if err := f.s.checkMasterKey(ctx, false); err != nil {
		return err
	}
	return f.begin(ctx, "SHARE")
}

// OpenTarget opens a database in which there is no store yet, and makes its tables.
func OpenTarget(ctx context.Context, master *keys.Master, o Options) (*Target, error) {
	s, err := transferred(ctx, master, o)
	if err != nil {
		return nil, err
	}
	t := &Target{Source{s: s}}
	if err := t.open(ctx); err != nil {
		return nil, errors.Join(explained(err, s.pool.Config().ConnConfig, "DSN"), t.Close())
	}
	return t, nil
}

func (t *Target) open(ctx context.Context) error {
	if err := t.s.checkNoCopy(ctx); err != nil {
		return err
	}
	if err := t.s.migrate(ctx); err != nil {
		return err
	}
	if err := t.s.checkMasterKey(ctx, true); err != nil {
		return err
	}
	// The first transaction leaves what keeps servers from the database until the second
	// one, the copy, takes it away.
	if err := t.beginEmpty(ctx, "INSERT INTO meta (key, value) VALUES ($1, ' ') ON CONFLICT DO NOTHING"); err != nil {
		return err
	}
	if err := t.tx.Commit(ctx); err != nil {
		return err
	}
	return t.beginEmpty(ctx, "DELETE FROM meta WHERE key = $1")
}

// beginEmpty begins a transaction, in which there are no records, with a change of
// metaUnfinished.
func (t *Target) beginEmpty(ctx context.Context, change string) error {
	if err := t.begin(ctx, "EXCLUSIVE"); err != nil {
		return err
	}
	some, err := t.some(ctx)
	if err != nil {
		return err
	}
	if some != "" {
		return fmt.Errorf("%w (in the table %s); name an empty database, or empty this one: %s", ErrNotEmpty, some, emptying)
	}
	_, err = t.tx.Exec(ctx, change, metaUnfinished)
	return err
}

// transferred returns a store that has no other work than a copy.
func transferred(ctx context.Context, master *keys.Master, o Options) (*Store, error) {
	o = o.withDefaults()
	config, err := o.pool()
	if err != nil {
		return nil, err
	}
	config.MinConns, config.MaxConns = 0, 4
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &Store{pool: pool, sealer: record.NewSealer(master), options: o, log: o.Log}, nil
}

// begin begins the transaction of a copy, with every table locked in this mode.
func (f *Source) begin(ctx context.Context, mode string) (err error) {
	if f.tx, err = f.s.pool.Begin(ctx); err != nil {
		return err
	}
	for _, sql := range []string{
		"SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0",
		fmt.Sprintf("SET LOCAL lock_timeout = %d", f.s.options.LockTimeout.Milliseconds()),
		fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", copyLock),
		"LOCK TABLE servers, " + strings.Join(copied(), ", ") + " IN " + mode + " MODE",
		"SET LOCAL lock_timeout = 0",
	} {
		_, err := f.tx.Exec(ctx, sql)
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == codeLockTimeout {
			return fmt.Errorf("%w, or a copy of it is under way; stop them and copy again", ErrInUse)
		}
		if err != nil {
			return err
		}
	}
	if err := checkUnused(ctx, f.tx, serverKept); err != nil {
		return err
	}
	if err := f.checkConnections(ctx); err != nil {
		return err
	}
	return f.checkClock(ctx)
}

// checkClock refuses a clock by which other records would have expired than by the
// database's: what the database stores is in its own time, and a file in this machine's.
func (f *Source) checkClock(ctx context.Context) error {
	var database time.Time
	sent := f.s.options.now()
	if err := f.tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&database); err != nil {
		return err
	}
	took := f.s.options.now().Sub(sent)
	if ahead := database.Sub(sent.Add(took / 2)); ahead.Abs() > clockWorth+took {
		return fmt.Errorf("%w by %s; put it right and copy again", ErrClocks, ahead.Abs().Round(time.Second))
	}
	return nil
}

// copied are the tables of the kinds that are copied.
func copied() (all []string) {
	for _, k := range transfer.Kinds() {
		all = append(all, k.Name)
	}
	return all
}

// some returns a table that has a record in it, "" if there is none.
func (t *Target) some(ctx context.Context) (string, error) {
	for _, k := range transfer.Kinds() {
		for _, err := range t.Records(ctx, k, time.Time{}) {
			return k.Name, err
		}
	}
	return "", nil
}

// Close ends the transaction, without a trace unless it was committed.
func (f *Source) Close() error {
	if f.tx != nil {
		ctx, cancel := f.s.untilStuck(context.Background())
		defer cancel()
		f.tx.Rollback(ctx) // has no effect after Commit
	}
	f.s.pool.Close()
	return nil
}

// Count implements transfer.Reader.
func (f *Source) Count(ctx context.Context, k *record.Kind) (n int, err error) {
	err = f.tx.QueryRow(ctx, "SELECT count(*) FROM "+k.Name).Scan(&n)
	return n, err
}

// Records implements transfer.Reader.
func (f *Source) Records(ctx context.Context, k *record.Kind, at time.Time) iter.Seq2[transfer.Stored, error] {
	return func(yield func(transfer.Stored, error) bool) {
		sql := "SELECT key, value FROM " + k.Name + " WHERE value <> '' ORDER BY key"
		if k == &record.Forms {
			sql = "SELECT f.key, a.value, a.key FROM forms f JOIN attempts a ON a.key = f.attempt ORDER BY f.key"
		}
		rows, err := f.tx.Query(ctx, sql)
		if err != nil {
			yield(transfer.Stored{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			stored, err := f.record(k, rows, at)
			if err == nil && stored.Value == nil {
				continue
			}
			if !yield(stored, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(transfer.Stored{}, err)
		}
	}
}

// record reads a row. It has no value if it is no record for another engine.
func (f *Source) record(k *record.Kind, row pgx.Rows, at time.Time) (stored transfer.Stored, err error) {
	if k == &record.Forms {
		return f.form(row, at)
	}
	err = row.Scan(&stored.Key, &stored.Value)
	if k == &record.Meta && aboutDatabase(stored.Key) || k.Expires() && record.Expired(stored.Value, at) {
		stored.Value = nil
	}
	return stored, err
}

// aboutDatabase reports whether a key in meta is about this database, and not a record.
func aboutDatabase(key []byte) bool {
	return bytes.Equal(key, metaFingerprint) || bytes.Equal(key, metaOldest) || bytes.Equal(key, metaUnfinished)
}

// form reads a row of forms with its attempt, and seals it as the embedded engine does.
// It is no record if the attempt has expired, serves another form's request now, or cannot
// be read.
func (f *Source) form(row pgx.Rows, at time.Time) (stored transfer.Stored, err error) {
	var key, value, id []byte
	if err := row.Scan(&key, &value, &id); err != nil {
		return stored, err
	}
	var a record.Attempt
	if record.Expired(value, at) || f.s.sealer.Open(&record.Attempts, id, value, &a) != nil || !bytes.Equal(a.Form[:], key) {
		return stored, nil
	}
	return transfer.Stored{Key: key, Value: f.s.sealer.Seal(&record.Forms, key, never, (*record.Text)(&a.ID))}, nil
}

// Write implements transfer.Writer.
func (t *Target) Write(ctx context.Context, k *record.Kind, records iter.Seq2[transfer.Stored, error]) error {
	names, err := t.columns(ctx, k)
	if err != nil {
		return err
	}
	next, stop := iter.Pull2(records)
	defer stop()
	var failed error
	_, err = t.tx.CopyFrom(ctx, pgx.Identifier{k.Name}, names, pgx.CopyFromFunc(func() (row []any, err error) {
		stored, err, more := next()
		for i := 0; more && err == nil && i < len(names); i++ {
			var v any
			v, err = column(names[i], k, stored)
			row = append(row, v)
		}
		if failed = err; failed != nil {
			return nil, errStopped // which the database logs
		}
		return row, nil
	}))
	if failed != nil {
		return failed
	}
	if err == nil && k == &record.Forms { // they expire with their attempts
		_, err = t.tx.Exec(ctx, "UPDATE forms SET expires = a.expires, due = a.expires FROM attempts a WHERE a.key = forms.attempt")
	}
	return err
}

var errStopped = errors.New("postgres: calleridp has ended the copy")

// columns returns the columns of a kind's table.
func (t *Target) columns(ctx context.Context, k *record.Kind) ([]string, error) {
	rows, err := t.tx.Query(ctx, `SELECT attname::text FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, k.Name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// column returns what a column has for a record.
func column(name string, k *record.Kind, stored transfer.Stored) (any, error) {
	switch name {
	case "key":
		return stored.Key, nil
	case "value":
		return stored.Value, nil
	case "expires", "due":
		return expiryOf(stored.Value), nil
	case "node": // no process works on it
		return "", nil
	case "until":
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}, nil
	}
	var found any
	switch r := stored.Record.(type) {
	case *record.Text: // a number or a form
		found = map[string]any{"sub": []byte(*r), "attempt": []byte(*r)}[name]
	case *record.Delivery:
		found = map[string]any{"attempt": attemptOf(truecaller.Delivery(*r))}[name]
	case *record.Attempt:
		found = map[string]any{"correlation": r.Correlation[:], "browser": r.Browser[:]}[name]
	case *record.Session:
		found = map[string]any{"sid": []byte(r.ID), "sub": []byte(r.Sub)}[name]
	case *record.Code:
		found = columnOfGrant(name, r.Grant)
	case *record.Grant:
		found = columnOfGrant(name, grant.Grant(*r))
	case *record.Notice:
		found = map[string]any{"receiver": []byte(r.Receiver)}[name]
	case *record.Stream:
		found = map[string]any{"events": eventsOf(signals.Stream(*r))}[name]
	case *record.AccessToken:
		found = map[string]any{"grant_id": []byte(r.GrantID)}[name]
	}
	if found == nil {
		return nil, fmt.Errorf("postgres: a copy does not know the contents of %s.%s", k.Name, name)
	}
	return found, nil
}

func columnOfGrant(name string, g grant.Grant) any {
	return map[string]any{"grant_id": []byte(g.ID), "sid": []byte(g.SID), "sub": []byte(g.Sub)}[name]
}

// Written implements transfer.Writer.
func (t *Target) Written(context.Context) (transfer.Reader, error) { return &t.Source, nil }

// Commit implements transfer.Writer.
func (t *Target) Commit(ctx context.Context) error {
	if _, err := t.tx.Exec(ctx, "ANALYZE "+strings.Join(copied(), ", ")); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := t.s.untilStuck(ctx)
	defer cancel()
	err := t.tx.Commit(ctx)
	_, refused := errors.AsType[*pgconn.PgError](err)
	if err != nil && !refused && !errors.Is(err, pgx.ErrTxCommitRollback) {
		return fmt.Errorf("%w: %w; copy again: a database that has the store in it refuses", ErrUnknown, err)
	}
	return err
}
