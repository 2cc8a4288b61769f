// SPDX-License-Identifier: Apache-2.0

// Package bolt is the embedded engine. It implements every store that the other
// packages declare in one file, for one process, with every value sealed under
// the master key.
//
//	store.go    opening, closing
//	file.go     the file: created, moved away, replaced
//	verify.go   what is read of it before anything trusts it
//	health.go   whether writes become durable
//	backup.go   a copy of the file while it is in use
//	migrate.go  older layouts of the file
//	commit.go   group commit: concurrent writes share one fsync
//	pending.go  notes that are not committed yet, as reads see them
//	buckets.go  the buckets; reading and writing a record; the expiry index
//	index.go    the indexes from an owner to records
//	sweep.go    deleting expired records
//	transfer.go copying everything from and to another engine
//	the rest    one file a noun: its transactions
//
// The records themselves are defined in storage/record.
//
// A write returns when it is durable, or when it has failed without a trace. If
// its context is done first, a queued write is taken out of the queue and never
// happens. A write on its way to the disk is waited for. The result is therefore
// always accurate, and no function of the caller runs after the call.
//
// Only this package imports bbolt.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/keys"
	"calleridp/storage/record"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// schema is the version of the file's layout: its buckets and the cipher of their
// values. 1 was AES-256-GCM, before any release; see migrate.go for how another follows.
const schema = 2

// Options configure how a store opens and runs. The zero value is ready to use.
type Options struct {
	// AllowNetworkFS permits a file on a network file system, where locks and
	// fsync may be unreliable.
	AllowNetworkFS bool
	// SweepEvery is how often Run looks for expired records. If 0, it is 10
	// seconds.
	SweepEvery time.Duration
	// NoSync omits fsync, so a crash of the machine may destroy the file. It is
	// for tests and disposable data.
	NoSync bool
	// Tells reports whether a client may be told that a session has ended: then the
	// transaction that ends it writes a notice. If nil, none is notified.
	Tells func(clientID string) bool
	// Committed is called for each change that a caller waited for, when it is durable or has
	// failed: took is how long that was. If nil, it is not called.
	Committed func(ctx context.Context, failed bool, took time.Duration)
	// Log receives background errors. If nil, they are discarded.
	Log *slog.Logger

	test *layouts // instead of those that are released
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	db      *bbolt.DB
	sealer  record.Sealer
	path    string
	options Options
	log     *slog.Logger

	queue   queue
	stopped chan struct{} // closed when the committer has ended
	closing sync.Once
	closed  error

	file   *os.File              // bbolt's; to look at only
	mapped int64                 // address space that was reserved for it at the start; 0: none
	length atomic.Int64          // how long it was when it was last seen
	failed atomic.Pointer[error] // of the last commit; nil: it succeeded

	damage record.Damage // that reads have found

	held    held          // receivers of notices
	noticed chan struct{} // see notify.Store

	commits, failures, operations atomic.Uint64
}

// Errors of Open and PinIssuer. The errors that wrap them say what to do.
var (
	ErrInUse          = errors.New("bolt: another calleridp process has the store open")
	ErrWrongMasterKey = errors.New("bolt: the store was made with another master key")
	ErrNewerSchema    = errors.New("bolt: the store was written by a newer version of calleridp")
	ErrOlderSchema    = errors.New("bolt: the store was written by an older version of calleridp")
	ErrNetworkFS      = errors.New("bolt: the store is on a network file system")
	ErrForeignFile    = errors.New("bolt: the file is not a calleridp store")
	ErrDamaged        = errors.New("bolt: the store is damaged")
	ErrGone           = errors.New("bolt: the store's file is not there any more")
	ErrUnfinished     = errors.New("bolt: the store is not whole")
	ErrIssuer         = errors.New("bolt: the store belongs to another issuer")
)

// ErrClosed is returned by everything after Close.
var ErrClosed = errors.New("bolt: the store is closed")

// Open opens the store at path. If there never was a file, Open creates it with
// mode 0600; its folder must exist. The master key must be the one with which the
// store was created. Only one process at a time can open a store: another one
// waits half a second and then gets ErrInUse.
//
// Open reads the whole file and verifies it. A file that is damaged, empty or gone
// is refused: see verify.go and file.go.
func Open(path string, master *keys.Master, o Options) (*Store, error) {
	dir := filepath.Dir(path)
	if kind := networkFS(dir); kind != "" && !o.AllowNetworkFS {
		return nil, fmt.Errorf("%s: %w (%s), where locks and fsync cannot be relied upon; use a local disk", path, ErrNetworkFS, kind)
	}
	s := &Store{sealer: record.NewSealer(master), path: path, options: o, log: o.Log, stopped: make(chan struct{}), noticed: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.options.SweepEvery <= 0 {
		s.options.SweepEvery = 10 * time.Second
	}
	s.mapped = mapping(path)
	db, file, err := openFile(path, o, s.log, s.prepare)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.db, s.file = db, file
	err = guarded(s.log, func() error { return s.prepare(db) })
	if err == nil {
		err = markCreated(path, !o.NoSync)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.queue.wake = make(chan struct{}, 1)
	go s.commitLoop()
	return s, nil
}

// Keys in the meta bucket. The first two values are not sealed, because they show
// whether any other value can be read.
var (
	metaSchema      = []byte("schema")
	metaFingerprint = []byte("master_key_fingerprint")
	metaIssuer      = record.IssuerKey
)

// prepare checks the file, migrates it, and creates missing buckets.
func (s *Store) prepare(db *bbolt.DB) error {
	if err := s.migrate(db); err != nil {
		return err
	}
	fresh, missing := false, false
	err := db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(meta.id); b != nil {
			missing = !noted(b)
			for _, b := range buckets {
				missing = missing || tx.Bucket(b.id) == nil
			}
			return s.check(b)
		}
		if name, _ := tx.Cursor().First(); name != nil {
			return fmt.Errorf("%w: it has other data in it; name another file", ErrForeignFile)
		}
		fresh = true
		return nil
	})
	if err != nil || !fresh && !missing {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists(b.id); err != nil {
				return err
			}
		}
		b := tx.Bucket(meta.id)
		if err := b.Put(metaVersions, versionsNow(b)); err != nil || !fresh {
			return err
		}
		if err := b.Put(metaSchema, strconv.AppendInt(nil, int64(s.options.layouts().newest()), 10)); err != nil {
			return err
		}
		return b.Put(metaFingerprint, []byte(s.sealer.Fingerprint()))
	})
}

// PinIssuer binds the store to an issuer at the first start. Later it refuses any
// other issuer with ErrIssuer, because clients compare the issuer byte for byte
// (OpenID Connect Core §3.1.3.7).
func (s *Store) PinIssuer(ctx context.Context, issuer string) error {
	if issuer == "" {
		return fmt.Errorf("%w: the issuer is empty", ErrIssuer)
	}
	return s.write(ctx, func(t *txn) error {
		var pinned string
		found, err := t.get(&meta, metaIssuer, (*record.Text)(&pinned))
		switch {
		case err != nil || found && pinned == issuer:
			return err
		case found:
			return fmt.Errorf("%w: it was made for %s, the configuration says %s; set the issuer back, or start with an empty data folder (every client must then be told the new issuer, and every user gets a new sub)",
				ErrIssuer, pinned, issuer)
		}
		return t.put(&meta, metaIssuer, never, (*record.Text)(&issuer))
	})
}

// Stats holds counters for operators and for the load test.
type Stats struct {
	Commits    uint64 `json:"commits"`    // durable commits since Open
	Failures   uint64 `json:"failures"`   // commits that failed
	Operations uint64 `json:"operations"` // operations that these commits contain
	Bytes      int64  `json:"db_bytes"`   // size of the file
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	stats := Stats{Commits: s.commits.Load(), Failures: s.failures.Load(), Operations: s.operations.Load()}
	if info, err := os.Stat(s.path); err == nil {
		stats.Bytes = info.Size()
	}
	return stats
}

// Close commits all queued operations, including notes, and closes the file.
// Further calls return the same error.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.queue.close()
		<-s.stopped
		s.closed = s.db.Close()
	})
	return s.closed
}

// closedErr returns ErrClosed for the error that bbolt returns after Close.
func closedErr(err error) error {
	if errors.Is(err, berrors.ErrDatabaseNotOpen) || errors.Is(err, os.ErrClosed) {
		return ErrClosed
	}
	return err
}
