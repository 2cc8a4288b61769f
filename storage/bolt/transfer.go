// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"calleridp/durable"
	"calleridp/keys"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/storage/record"
	"calleridp/storage/transfer"

	"go.etcd.io/bbolt"
)

var (
	_ transfer.Reader = (*Source)(nil)
	_ transfer.Writer = (*Target)(nil)
)

// copySuffix is what the name of a store that is being made of another one adds to the
// store's, until it is whole.
const copySuffix = ".copy"

// copyBatch is how many records a transaction of a Target stores. More would need more
// memory, and fewer would write the pages of indexes more often.
const copyBatch = 50_000

// ErrExists is returned by CreateTarget where there is a store, and ErrNoStore by OpenSource
// where there is none.
var (
	ErrExists  = errors.New("bolt: there is a store already")
	ErrNoStore = errors.New("bolt: there is no store")
)

// Source is the file of a store that is copied. No server can open it meanwhile.
type Source struct {
	s *Store
}

// OpenSource opens the store at path to read all of it, and changes nothing. Its errors are
// those of Open.
func OpenSource(path string, master *keys.Master, o Options) (*Source, error) {
	s := transferred(path, master, o)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = neverWas(path); err == nil {
			err = ErrNoStore
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err == nil {
		err = s.openWhole(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Source{s}, nil
}

// transferred returns a store that has no committer: the copy alone uses it.
func transferred(path string, master *keys.Master, o Options) *Store {
	s := &Store{sealer: record.NewSealer(master), path: path, options: o, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// openWhole opens and verifies the file at path.
func (s *Store) openWhole(path string) error {
	db, file, err := openVerified(path, s.options, s.log)
	if err != nil {
		return err
	}
	s.db, s.file = db, file
	err = guarded(s.log, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			if b := tx.Bucket(meta.id); b != nil {
				return s.check(b)
			}
			return fmt.Errorf("%w: it has other data in it, or none; name another file", ErrForeignFile)
		})
	})
	if err != nil {
		db.Close()
	}
	return err
}

// Close closes the file.
func (f *Source) Close() error { return f.s.db.Close() }

// Count implements transfer.Reader.
func (f *Source) Count(_ context.Context, k *record.Kind) (n int, err error) {
	err = guarded(f.s.log, func() error {
		return f.s.db.View(func(tx *bbolt.Tx) error {
			if b := tx.Bucket([]byte(k.Name)); b != nil {
				n = b.Stats().KeyN
			}
			return nil
		})
	})
	return n, err
}

// Records implements transfer.Reader.
func (f *Source) Records(_ context.Context, k *record.Kind, at time.Time) iter.Seq2[transfer.Stored, error] {
	return func(yield func(transfer.Stored, error) bool) {
		err := guarded(f.s.log, func() error {
			return f.s.db.View(func(tx *bbolt.Tx) error {
				r := reader{s: f.s, tx: tx, now: at}
				b := tx.Bucket([]byte(k.Name))
				if b == nil { // the store has not been opened since there is this kind
					return nil
				}
				cursor := b.Cursor()
				for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
					if !r.copied(k, key, value) {
						continue
					}
					if !yield(transfer.Stored{Key: key, Value: value}, nil) {
						return errStopped
					}
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(transfer.Stored{}, fmt.Errorf("%s: %w; %s", f.s.path, err, restore))
		}
	}
}

// errStopped ends a transaction whose reader wants no more.
var errStopped = errors.New("bolt: no more records are wanted")

// copied reports whether a record is one for another engine: it is alive, and not about
// the file.
func (r reader) copied(k *record.Kind, key, value []byte) bool {
	switch k {
	case &record.Meta:
		return !bytes.Equal(key, metaSchema) && !bytes.Equal(key, metaFingerprint) && !bytes.Equal(key, metaVersions)
	case &record.Forms:
		var id record.Text
		if r.s.sealer.Open(k, key, value, &id) != nil {
			return true // for the error
		}
		stored, err := r.attempt(login.ID(id))
		return err == nil && bytes.Equal(stored.Form[:], key)
	}
	return !k.Expires() || r.alive(value)
}

// Target is the file of a store that is being made of another one. It has another name
// until it is whole.
type Target struct {
	Source // what was written
	path   string
	made   string // "": it was committed
}

// CreateTarget begins a store for path, where there must be none. What an interrupted copy
// has left is overwritten.
func CreateTarget(path string, master *keys.Master, o Options) (*Target, error) {
	if kind := networkFS(filepath.Dir(path)); kind != "" && !o.AllowNetworkFS {
		return nil, fmt.Errorf("%s: %w (%s), where locks and fsync cannot be relied upon; use a local disk", path, ErrNetworkFS, kind)
	}
	t := &Target{Source: Source{transferred(path, master, o)}, path: path, made: path + copySuffix}
	if err := t.create(); err != nil {
		return nil, err
	}
	return t, nil
}

// create makes an empty file under the other name.
func (t *Target) create() error {
	file, err := os.OpenFile(t.made, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = durable.Lock(file, lockTimeout)
	if errors.Is(err, durable.ErrLocked) {
		err = fmt.Errorf("%w: another copy into it is under way", ErrInUse)
	}
	if err == nil {
		err = t.ours(file)
	}
	if err == nil {
		err = t.absent()
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err != nil {
		if errors.Is(err, ErrExists) {
			os.Remove(t.made)
		}
		file.Close()
		return fmt.Errorf("%s: %w", t.path, err)
	}
	with := settings(t.made, t.s.options)
	with.NoSync = true // until it is whole
	with.NoGrowSync = true
	with.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return file, nil }
	db, err := bbolt.Open(t.made, 0o600, with)
	if err != nil {
		return err
	}
	db.AllocSize = allocSize
	t.s.db, t.s.file = db, file
	if err := t.s.prepare(db); err != nil {
		return errors.Join(err, t.Close())
	}
	return nil
}

// clear gives the space of an unfinished copy back, unless another one is using it.
func (t *Target) clear() error {
	file, err := os.OpenFile(t.made, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if durable.Lock(file, 0) != nil || t.ours(file) != nil {
		return nil
	}
	return file.Truncate(0)
}

// ours returns an error unless the locked file still has the name under which it was
// opened: another copy may have ended meanwhile, and made a store of it. A link is never ours:
// the folder may belong to a user with fewer rights than the user who runs the copy.
func (t *Target) ours(file *os.File) error {
	here, err := file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(t.made)
	if err == nil && !there.Mode().IsRegular() {
		return fmt.Errorf("%s is a link, or no file; look who has put it there, and remove it", t.made)
	}
	if err != nil || !os.SameFile(here, there) {
		return fmt.Errorf("%w: another copy into it has just ended", ErrInUse)
	}
	return nil
}

// absent returns ErrExists if there is a store at the target's path.
func (t *Target) absent() error {
	_, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w; move it away, for example to %s.old, or name another file", ErrExists, filepath.Base(t.path))
	}
	return err
}

// Write implements transfer.Writer.
func (t *Target) Write(_ context.Context, k *record.Kind, records iter.Seq2[transfer.Stored, error]) error {
	i := slices.IndexFunc(buckets, func(b *bucket) bool { return b.kind == k })
	if i < 0 {
		return fmt.Errorf("bolt: there is no bucket for %s", k.Name)
	}
	w := &writing{t: t, of: buckets[i]}
	for stored, err := range records {
		if err == nil {
			err = w.add(stored)
		}
		if err != nil {
			return errors.Join(err, w.rollback())
		}
	}
	return w.commit()
}

// writing stores the records of a kind, many in a transaction.
type writing struct {
	t       *Target
	of      *bucket
	txn     *txn // nil: none is open
	n       int  // records in it
	entries []entry
}

// entry leads to a record.
type entry struct {
	in         *bucket
	key, value []byte
}

func (w *writing) add(stored transfer.Stored) error {
	if w.txn == nil {
		tx, err := w.t.s.db.Begin(true)
		if err != nil {
			return err
		}
		w.txn = &txn{reader: reader{s: w.t.s, tx: tx}}
		tx.Bucket(w.of.id).FillPercent = 0.9 // keys come in order
	}
	if err := w.txn.tx.Bucket(w.of.id).Put(stored.Key, bytes.Clone(stored.Value)); err != nil {
		return err
	}
	w.lead(stored)
	if w.n++; w.n < copyBatch {
		return nil
	}
	return w.commit()
}

// lead notes the entries that lead to a record.
func (w *writing) lead(stored transfer.Stored) {
	key := bytes.Clone(stored.Key)
	note := func(in *bucket, entryKey, value []byte) {
		w.entries = append(w.entries, entry{in, entryKey, value})
	}
	owned := func(index *bucket, owner string) {
		if owner != "" {
			note(index, ownerKey(owner, w.of, key), []byte{})
		}
	}
	ofGrant := func(g grant.Grant) {
		owned(&personIndex, g.Sub)
		owned(&sessionGrants, g.SID)
	}
	if w.of.mark != 0 {
		note(&expiry, expiryKey(w.of, record.Expiry(stored.Value), key), []byte{})
	}
	sealer := w.t.s.sealer
	switch r := stored.Record.(type) {
	case *record.Attempt:
		note(&correlations, r.Correlation[:], sealer.Seal(&record.Correlations, r.Correlation[:], never, (*record.Text)(&r.ID)))
		if r.Browser != ([32]byte{}) {
			note(&browserAttempts, browserKey(r.Attempt), []byte{})
		}
	case *record.Session:
		owned(&personIndex, r.Sub)
		note(&sessionIDs, []byte(r.ID), sealer.Seal(&record.SessionIDs, []byte(r.ID), never, (*record.Hash)(&r.Secret)))
	case *record.Code:
		ofGrant(r.Grant)
	case *record.Grant:
		ofGrant(grant.Grant(*r))
	}
}

// commit stores what was added, with the entries that lead to it in the order of the
// pages that they change.
func (w *writing) commit() error {
	if w.txn == nil {
		return nil
	}
	slices.SortFunc(w.entries, func(a, b entry) int {
		if order := bytes.Compare(a.in.id, b.in.id); order != 0 {
			return order
		}
		return bytes.Compare(a.key, b.key)
	})
	for _, e := range w.entries {
		if err := w.txn.tx.Bucket(e.in.id).Put(e.key, e.value); err != nil {
			return errors.Join(err, w.rollback())
		}
	}
	tx := w.txn.tx
	w.txn, w.n, w.entries = nil, 0, w.entries[:0]
	return w.t.s.commit(tx)
}

func (w *writing) rollback() error {
	if w.txn == nil {
		return nil
	}
	tx := w.txn.tx
	w.txn = nil
	return tx.Rollback()
}

// Written implements transfer.Writer. It reads the file as the next start does.
func (t *Target) Written(context.Context) (transfer.Reader, error) {
	err := t.s.file.Sync()
	if err = errors.Join(err, t.s.db.Close()); err != nil {
		return nil, err
	}
	if err := t.s.openWhole(t.made); err != nil {
		return nil, fmt.Errorf("%s: %w", t.made, err)
	}
	return &t.Source, nil
}

// Commit implements transfer.Writer: the file gets its name.
func (t *Target) Commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.absent(); err != nil {
		return fmt.Errorf("%s: %w", t.path, err)
	}
	if err := markCreated(t.path, true); err != nil {
		return err
	}
	if err := os.Rename(t.made, t.path); err != nil {
		return err
	}
	t.made = ""
	return durable.SyncDir(filepath.Dir(t.path)) // apart: the store has its name now
}

// Close closes the file. Unless it was committed, its name stays, without content: a server
// that found nothing would begin with an empty store.
func (t *Target) Close() error {
	err := t.s.db.Close()
	if t.made != "" {
		err = errors.Join(err, t.clear())
	}
	return err
}
