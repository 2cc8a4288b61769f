// SPDX-License-Identifier: Apache-2.0

// Package postgres is the engine for many processes on one PostgreSQL. It implements
// every store that the other packages declare, with every value sealed under the
// master key, like storage/bolt.
//
//	store.go        opening and closing
//	connection.go   the connection string, and what is refused of it
//	migrate.go      the schema and its versions, with migrations/
//	health.go       whether the database can be reached and written to
//	errors.go       what an error of the database calls for
//	explain.go      what to do about an error of the setup
//	check.go        whether all is set up, for calleridp config check
//	waits.go        how long anything is waited for
//	batch.go        queries that are sent together
//	transaction.go  write transactions: retried, and never of unknown outcome
//	notes.go        notes that are not stored yet, as reads see them
//	holds.go        who works on a delivery of the inbox
//	wake.go         changes of attempts that other processes have made
//	clock.go        the database's time, in which everything is stored
//	finish.go       the end of an attempt, with its session and its code
//	memory.go       what this process has last seen of rows
//	guess.go        transactions that guess instead of reading, and the order of locks
//	ahead.go        what one read of a request brings along for the next
//	trace.go        for tests that count round trips
//	sweep.go        deleting expired records
//	servers.go      which processes use the database
//	transfer.go     copying everything from and to another engine
//	the rest        one file a noun: its transactions
//
// A transaction is correct at READ COMMITTED, because it locks the rows by which it
// decides before it reads them, and at SERIALIZABLE, because it runs again when it is
// refused. Rows are locked in one order (lockOrder, in guess.go).
//
// A write returns when it is durable, or when it has failed without a trace. If its
// context is done before its commit is sent, it never happens.
//
// Only this package imports pgx.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// never is the expiry of records that do not expire.
var never time.Time

// Options configure how a store connects and runs. The zero value of each has a
// default.
type Options struct {
	// DSN is the connection string: a URL or key=value pairs, as libpq reads them.
	// It may name several hosts: the one that takes changes is used.
	DSN redact.Text
	// Insecure permits connections over a network without TLS, or without checking the
	// name of the server.
	Insecure bool
	// Pooler says that connections go through a pooler in transaction mode, such as
	// PgBouncer: no prepared statements, and no settings of a session.
	Pooler bool
	// ListenDSN is the connection string of the one connection that listens, which
	// cannot go through a pooler. If "", it is DSN, and with Pooler nothing listens: the
	// store then looks for changes.
	ListenDSN redact.Text
	// MaxConnections is how many connections this process opens, besides the one that
	// listens and that of holds.go. If 0, it is 20.
	MaxConnections int
	// Isolation is the level of transactions.
	Isolation Isolation
	// StatementTimeout ends a statement that takes longer. If 0, it is 10 seconds.
	StatementTimeout time.Duration
	// LockTimeout ends a statement that waits longer for a lock. If 0, it is 5 seconds.
	LockTimeout time.Duration
	// PoolTimeout is how long an operation waits for a free connection. If 0, it is 5
	// seconds.
	PoolTimeout time.Duration
	// RecoverFor is how long an operation tries to reach a database that has gone away,
	// or runs again because of other transactions. If 0, it is 5 seconds.
	RecoverFor time.Duration
	// LookEvery is how often the store looks for changes of other processes while it
	// cannot listen, and a tenth as often otherwise. If 0, it is 500 milliseconds.
	LookEvery time.Duration
	// Issuer is what Check expects the store to belong to. If "", any issuer will do.
	Issuer string
	// SweepEvery is how often Run looks for expired records. If 0, it is 10 seconds.
	SweepEvery time.Duration
	// Tells reports whether a client may be told that a session has ended: then the
	// transaction that ends it writes a notice. If nil, none is notified.
	Tells func(clientID string) bool
	// Committed is called for each transaction of a caller that wrote, when it is durable or has
	// failed: took is how long that was, with the wait for a connection. One that runs again
	// is another one. If nil, it is not called.
	Committed func(ctx context.Context, failed bool, took time.Duration)
	// Log receives background errors. If nil, they are discarded.
	Log *slog.Logger

	// For tests; if unset, as usual.
	dial        pgconn.DialFunc
	trace       pgx.QueryTracer
	now         func() time.Time
	stuckAfter  time.Duration
	heardWithin time.Duration
	migrations  fs.FS
}

// Isolation is the isolation level of transactions.
type Isolation int

// The levels.
const (
	ReadCommitted Isolation = iota
	Serializable
)

func (i Isolation) String() string {
	if i == Serializable {
		return "SERIALIZABLE"
	}
	return "READ COMMITTED"
}

func (o Options) withDefaults() Options {
	if o.MaxConnections <= 0 {
		o.MaxConnections = 20
	}
	for _, d := range []struct {
		set   *time.Duration
		usual time.Duration
	}{
		{&o.StatementTimeout, 10 * time.Second},
		{&o.LockTimeout, 5 * time.Second},
		{&o.PoolTimeout, 5 * time.Second},
		{&o.RecoverFor, 5 * time.Second},
		{&o.SweepEvery, 10 * time.Second},
		{&o.LookEvery, 500 * time.Millisecond},
		{&o.stuckAfter, stuckAfter},
		{&o.heardWithin, heardWithin},
	} {
		if *d.set <= 0 {
			*d.set = d.usual
		}
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	sealer  record.Sealer
	options Options
	log     *slog.Logger
	memory  *memory

	notes     notes
	notesLost atomic.Bool // some, since there was room for all
	closing   chan struct{}
	notesKept chan struct{} // closed when keepNotes has ended
	stayed    chan struct{} // closed when stay has ended
	close     sync.Once
	closeErr  error
	closed    atomic.Bool

	node      string // names this process among the others
	claims    claims
	noticed   chan struct{} // see notify.Store
	damage    record.Damage // that reads have found
	telling   telling
	listening atomic.Bool

	ahead      atomic.Int64          // by how much the database's clock is, a time.Duration; see clock.go
	failed     atomic.Pointer[error] // why the database could not be reached; nil: it could
	unwritable atomic.Pointer[error] // why it took no changes; nil: it did
	opened     atomic.Bool           // Open has succeeded
	turn       chan struct{}         // see takeTurn

	commits, retries, lookups, trips, listenFailures atomic.Uint64
}

// Errors of Open, PinIssuer and operations. The errors that wrap them say what to do.
var (
	ErrWrongMasterKey = errors.New("postgres: the store was made with another master key")
	ErrNewerSchema    = errors.New("postgres: the store was written by a newer version of calleridp")
	ErrIssuer         = errors.New("postgres: the store belongs to another issuer")
	ErrInsecure       = errors.New("postgres: the connection to the database is not protected")
	// ErrUnavailable is returned for what goes by: the database cannot be reached, has
	// no room, or has not come to it in time. Nothing was stored.
	ErrUnavailable error = unavailableError("postgres: the database is not available")
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("postgres: the store is closed")
)

// unavailableError is an error that goes by (endpoint maps it to 503).
type unavailableError string

func (e unavailableError) Error() string { return string(e) }

// Unavailable returns when to try again.
func (unavailableError) Unavailable() time.Duration { return 5 * time.Second }

// Open connects to the database, brings its schema up to date, and checks that it was
// made with this master key.
func Open(ctx context.Context, master *keys.Master, o Options) (*Store, error) {
	o = o.withDefaults()
	config, err := o.pool()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &Store{
		pool:      pool,
		options:   o,
		log:       o.Log,
		closing:   make(chan struct{}),
		notesKept: make(chan struct{}),
		stayed:    make(chan struct{}),
		node:      keys.RandomText(6),
		turn:      make(chan struct{}, 1),
		noticed:   make(chan struct{}, 1),
		memory:    newMemory(),
	}
	s.sealer = record.NewSealer(master).In(func() time.Duration { return time.Duration(s.ahead.Load()) })
	s.telling.wake = make(chan struct{}, 1)
	s.notes.wake = make(chan struct{}, 1)
	if err := s.begin(ctx); err != nil {
		pool.Close()
		return nil, explained(err, config.ConnConfig, "DSN")
	}
	s.opened.Store(true)
	go s.keepTime()
	go s.stay()
	go s.keepNotes()
	go s.keepTelling()
	go s.holdDeliveries()
	return s, nil
}

// begin looks at what Open has connected to, and makes it ready.
func (s *Store) begin(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		s.checkNoCopy,
		s.migrate,
		s.checkFinished,
		func(ctx context.Context) error { return s.checkMasterKey(ctx, true) },
		s.openClaims,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	err := s.askTime(ctx)
	if err != nil {
		err = fmt.Errorf("%w: reading its clock: %w", ErrUnavailable, err)
	} else {
		err = s.enter(ctx)
	}
	if err != nil {
		s.claims.pool.Close()
	}
	return err
}

// Keys in the table meta. The value of the first is not sealed, because it shows
// whether any other value can be read.
var (
	metaFingerprint = []byte("master_key_fingerprint")
	metaIssuer      = record.IssuerKey
)

// checkMasterKey refuses any other master key than the first. If first, it stores the
// fingerprint of one where there is none.
func (s *Store) checkMasterKey(ctx context.Context, first bool) error {
	var got []byte
	err := s.read(ctx, func(b *batch) {
		if first {
			b.run("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", metaFingerprint, []byte(s.sealer.Fingerprint()))
		}
		b.rows("SELECT key, value FROM meta WHERE key = $1", []any{metaFingerprint}, func(_, value []byte) { got = value })
	})
	if err == nil && string(got) != s.sealer.Fingerprint() && (first || got != nil) {
		return fmt.Errorf("%w (fingerprint %s, the configured key has %s); configure the key that it was made with, or restore that key from its backup: without it nothing in the store can be read",
			ErrWrongMasterKey, got, s.sealer.Fingerprint())
	}
	return err
}

// PinIssuer binds the store to an issuer at the first start. Later it refuses any
// other issuer with ErrIssuer, because clients compare the issuer byte for byte
// (OpenID Connect Core §3.1.3.7).
func (s *Store) PinIssuer(ctx context.Context, issuer string) error {
	if issuer == "" {
		return fmt.Errorf("%w: the issuer is empty", ErrIssuer)
	}
	var pinned string
	err := s.read(ctx, func(b *batch) {
		b.run("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
			metaIssuer, s.sealer.Seal(&record.Meta, metaIssuer, never, (*record.Text)(&issuer)))
		b.one(&record.Meta, (*record.Text)(&pinned), "SELECT key, value FROM meta WHERE key = $1", metaIssuer)
	})
	if err == nil && pinned != issuer {
		return wrongIssuer(pinned, issuer)
	}
	return err
}

func wrongIssuer(pinned, issuer string) error {
	return fmt.Errorf("%w: it was made for %s, the configuration says %s; set the issuer back, or start with an empty database (every client must then be told the new issuer, and every user gets a new sub)",
		ErrIssuer, pinned, issuer)
}

// Close stores what was noted, and closes the connections. Further calls return the
// same error.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		<-s.notesKept
		<-s.stayed
		ctx, cancel := context.WithTimeout(context.Background(), s.options.RecoverFor)
		defer cancel()
		s.closeErr = errors.Join(s.storeLastNotes(ctx), s.leaveDeliveries(ctx), s.leaveReceivers(ctx), s.leave(ctx))
		s.closed.Store(true)
		s.claims.pool.Close()
		closed := going(ctx, func() error { s.pool.Close(); return nil }) // which waits for what is under way
		select {
		case <-closed:
		case <-ctx.Done():
		}
	})
	return s.closeErr
}
