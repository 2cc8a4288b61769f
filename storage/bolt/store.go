// Package bolt is the embedded engine for every store that the other packages
// declare: one file, one process, every value sealed under the master key.
//
//	store.go    opening, buckets, closing, backup
//	commit.go   group commit: concurrent writes share one fsync
//	record.go   how a value looks on disk
//	sweep.go    deleting what has expired
//	the rest    one file a consumer
//
// Records on disk are private structs of this package. Every value starts with
// a version and its expiry; what follows is sealed, bound to its bucket and key.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/keys"

	bolt "go.etcd.io/bbolt"
)

// The buckets. A value's bucket is part of what its seal covers.
var (
	bMeta         = []byte("meta")
	bAttempts     = []byte("attempts")
	bCorrelations = []byte("correlations") // SHA-256 of the state -> attempt
	bInbox        = []byte("inbox")
	bLimits       = []byte("limits") // keyed hash -> lock or budget
	bPeople       = []byte("people")
	bNumbers      = []byte("numbers") // keyed hash of the number -> sub
	bSessions     = []byte("sessions")
	bSecrets      = []byte("session_secrets") // SHA-256 of the cookie -> session
	bCodes        = []byte("codes")
	bGrants       = []byte("grants")
	bSIDs         = []byte("sid_grants") // sid and grant id
	bTokens       = []byte("access_tokens")
	bClients      = []byte("clients")
	bKeys         = []byte("signing_keys")
	bExpiry       = []byte("expiry") // time, bucket, key: what Run sweeps
)

var buckets = [][]byte{bMeta, bAttempts, bCorrelations, bInbox, bLimits, bPeople, bNumbers, bSessions, bSecrets,
	bCodes, bGrants, bSIDs, bTokens, bClients, bKeys, bExpiry}

// schema is the version of the layout. A newer one is refused; older ones are
// migrated when there are any.
const schema = "1"

// Options change how a store opens. The zero value is right.
type Options struct {
	// AllowNetworkFS opens a file on a network file system, where locks and
	// fsync may not hold what they promise.
	AllowNetworkFS bool
	// NoSync leaves out fsync. Only for tests and throw-away data.
	NoSync bool
}

// Store is an open store.
type Store struct {
	db     *bolt.DB
	master *keys.Master
	path   string

	queue   chan *op
	closing chan struct{}
	closed  chan struct{}
	close   sync.Once

	commits atomic.Uint64
}

// Errors of Open.
var (
	ErrInUse          = errors.New("another calleridp process has the store open")
	ErrWrongMasterKey = errors.New("the store was written under another master key")
	ErrNewerSchema    = errors.New("the store was written by a newer version of calleridp")
	ErrNetworkFS      = errors.New("the store is on a network file system")
	ErrIssuer         = errors.New("the store belongs to another issuer")
)

// Open opens the store at path, and makes it when it is not there. The master
// key must be the one under which it was made. The error says what to do.
func Open(path string, master *keys.Master, o Options) (*Store, error) {
	if !o.AllowNetworkFS {
		if kind := networkFS(filepath.Dir(path)); kind != "" {
			return nil, fmt.Errorf("%s: %w (%s); use a local disk, because locks and fsync are not reliable there", path, ErrNetworkFS, kind)
		}
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:        500 * time.Millisecond,
		FreelistType:   bolt.FreelistMapType,
		NoFreelistSync: true,
		NoSync:         o.NoSync,
	})
	if errors.Is(err, bolt.ErrTimeout) {
		return nil, fmt.Errorf("%s: %w; stop it first, or talk to it with the calleridp commands, which use its admin socket", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", path, err)
	}
	s := &Store{
		db: db, master: master, path: path,
		queue:   make(chan *op, 1024),
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
	}
	if err := s.prepare(); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	go s.commit()
	return s, nil
}

var (
	metaSchema      = []byte("schema")
	metaFingerprint = []byte("master_key_fingerprint")
	metaIssuer      = []byte("issuer")
)

// prepare makes what is missing in a new store, and checks an old one.
func (s *Store) prepare() error {
	fresh := false
	check := func(meta *bolt.Bucket) error {
		if got := string(meta.Get(metaSchema)); got != schema {
			return fmt.Errorf("%w (its layout is %q, this one knows %q); start that version", ErrNewerSchema, got, schema)
		}
		if got := string(meta.Get(metaFingerprint)); got != s.master.Fingerprint() {
			return fmt.Errorf("%w (fingerprint %s, the configured key has %s); point master_key_file at the key that it was made with, or restore that key from its backup: without it nothing in the store can be read",
				ErrWrongMasterKey, got, s.master.Fingerprint())
		}
		return nil
	}
	err := s.db.View(func(tx *bolt.Tx) error {
		if meta := tx.Bucket(bMeta); meta != nil {
			return check(meta)
		}
		fresh = true
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bMeta)
		if err := meta.Put(metaSchema, []byte(schema)); err != nil {
			return err
		}
		return meta.Put(metaFingerprint, []byte(s.master.Fingerprint()))
	})
}

// PinIssuer binds the store to its issuer at the first start, and refuses any
// other afterwards: clients compare the issuer byte for byte.
func (s *Store) PinIssuer(ctx context.Context, issuer string) error {
	return s.write(ctx, func(tx *txn) error {
		meta := tx.bucket(bMeta)
		switch pinned := string(meta.Get(metaIssuer)); pinned {
		case issuer:
			return nil
		case "":
			tx.writes++
			return meta.Put(metaIssuer, []byte(issuer))
		default:
			return fmt.Errorf("%w: it was made for %s, the configuration says %s; set issuer back, or start with an empty data_dir (every client must then be told the new issuer, and every person gets a new sub)",
				ErrIssuer, pinned, issuer)
		}
	})
}

// Stats are counters for operators and the load test.
type Stats struct {
	Commits uint64 `json:"commits"`  // durable commits since the start
	Bytes   int64  `json:"db_bytes"` // size of the file
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	stats := Stats{Commits: s.commits.Load()}
	if info, err := os.Stat(s.path); err == nil {
		stats.Bytes = info.Size()
	}
	return stats
}

// Backup writes a consistent copy of the whole store while it is in use. The
// copy is sealed like the store: it needs the same master key.
func (s *Store) Backup(_ context.Context, w io.Writer) error {
	return s.db.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(w)
		return err
	})
}

// Close finishes what is queued, also what was only noted, and closes the file.
func (s *Store) Close() error {
	s.close.Do(func() { close(s.closing) })
	<-s.closed
	return s.db.Close()
}
