// Package postgres is the engine for many processes on one PostgreSQL. It implements
// every store that the other packages declare, with every value sealed under the
// master key, like storage/bolt.
//
//	store.go        opening and closing
//	connection.go   the connection string, and what is refused of it
//	migrate.go      the schema and its versions, with migrations/
//	health.go       whether the database can be reached
//	batch.go        queries that are sent together
//	transaction.go  write transactions: retried, and never of unknown outcome
//	notes.go        notes that are not stored yet, as reads see them
//	wake.go         changes of attempts that other processes have made
//	clock.go        the database's time
//	memory.go       what this process has last seen of rows
//	guess.go        transactions that guess instead of reading, and the order of locks
//	ahead.go        what one read of a request brings along for the next
//	trace.go        for tests that count round trips
//	sweep.go        deleting expired records
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
	// It may name several hosts, with target_session_attrs=read-write.
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
	// MaxConnections is how many connections this process opens. If 0, it is 20.
	MaxConnections int
	// Isolation is the level of transactions.
	Isolation Isolation
	// StatementTimeout ends a statement that takes longer. If 0, it is 10 seconds.
	StatementTimeout time.Duration
	// LockTimeout ends a statement that waits longer for a lock. If 0, it is 5 seconds.
	LockTimeout time.Duration
	// RecoverFor is how long an operation tries to reach a database that has gone away.
	// If 0, it is 5 seconds.
	RecoverFor time.Duration
	// LookEvery is how often the store looks for changes of other processes while it
	// cannot listen, and a tenth as often otherwise. If 0, it is 500 milliseconds.
	LookEvery time.Duration
	// SweepEvery is how often Run looks for expired records. If 0, it is 10 seconds.
	SweepEvery time.Duration
	// Log receives background errors. If nil, they are discarded.
	Log *slog.Logger

	dial  pgconn.DialFunc  // for tests; if nil, the usual one
	trace pgx.QueryTracer  // for tests; if nil, none
	now   func() time.Time // for tests; if nil, time.Now
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
		{&o.RecoverFor, 5 * time.Second},
		{&o.SweepEvery, 10 * time.Second},
		{&o.LookEvery, 500 * time.Millisecond},
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
	closing   chan struct{}
	notesKept chan struct{} // closed when keepNotes has ended
	close     sync.Once
	closeErr  error
	closed    atomic.Bool

	node      string      // names this process among the others
	holds     atomic.Bool // deliveries, perhaps
	telling   telling
	listening atomic.Bool

	ahead  atomic.Int64          // by how much the database's clock is, a time.Duration; see clock.go
	failed atomic.Pointer[error] // why the database could not be reached; nil: it could

	commits, retries, lookups, trips atomic.Uint64
}

// Errors of Open, PinIssuer and operations. The errors that wrap them say what to do.
var (
	ErrWrongMasterKey = errors.New("the store was made with another master key")
	ErrNewerSchema    = errors.New("the store was written by a newer version of calleridp")
	ErrIssuer         = errors.New("the store belongs to another issuer")
	ErrInsecure       = errors.New("the connection to the database is not protected")
	// ErrUnavailable is returned while the database cannot be reached. Nothing was
	// stored.
	ErrUnavailable error = unavailableError("the database cannot be reached")
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
		sealer:    record.NewSealer(master),
		options:   o,
		log:       o.Log,
		closing:   make(chan struct{}),
		notesKept: make(chan struct{}),
		node:      keys.RandomText(6),
		memory:    newMemory(),
	}
	s.telling.wake = make(chan struct{}, 1)
	s.notes.wake = make(chan struct{}, 1)
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if err := s.checkMasterKey(ctx, true); err != nil {
		pool.Close()
		return nil, err
	}
	go s.keepNotes()
	go s.keepTelling()
	go s.holdDeliveries()
	return s, nil
}

// Try reports whether Open would succeed, and changes nothing.
func Try(ctx context.Context, master *keys.Master, o Options) error {
	o = o.withDefaults()
	config, err := o.pool()
	if err != nil {
		return err
	}
	config.MinConns = 0
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	s := &Store{pool: pool, sealer: record.NewSealer(master), options: o, log: o.Log, memory: newMemory()}
	if known, err := s.checkSchema(ctx); err != nil || !known {
		return err
	}
	return s.checkMasterKey(ctx, false)
}

// Keys in the table meta. The value of the first is not sealed, because it shows
// whether any other value can be read.
var (
	metaFingerprint = []byte("master_key_fingerprint")
	metaIssuer      = []byte("issuer")
)

// checkMasterKey refuses any other master key than the first. If first, it stores the
// fingerprint of one where there is none.
func (s *Store) checkMasterKey(ctx context.Context, first bool) error {
	var got []byte
	err := s.read(ctx, func(b *batch) {
		if first {
			b.run("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", metaFingerprint, []byte(s.sealer.Fingerprint()))
		}
		b.each("SELECT key, value FROM meta WHERE key = $1", []any{metaFingerprint}, func(_, value []byte) error {
			got = value
			return nil
		})
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
		return fmt.Errorf("%w: it was made for %s, the configuration says %s; set the issuer back, or start with an empty database (every client must then be told the new issuer, and every person gets a new sub)",
			ErrIssuer, pinned, issuer)
	}
	return err
}

// Close stores what was noted, and closes the connections. Further calls return the
// same error.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		<-s.notesKept
		ctx, cancel := context.WithTimeout(context.Background(), s.options.RecoverFor)
		defer cancel()
		s.closeErr = errors.Join(s.storeNotes(ctx), s.leaveDeliveries(ctx))
		s.closed.Store(true)
		s.pool.Close()
	})
	return s.closeErr
}
