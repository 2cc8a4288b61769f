// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"calleridp/keys"
	"calleridp/storage/record"

	"go.etcd.io/bbolt"
)

// The layout of the file, its buckets, indexes and the cipher of values, has a number. A
// later program brings an older layout up to date when it opens the file: one transaction
// for each layout, with its number, so a crash leaves the one or the other. An earlier
// program refuses the file from then on; a backup from before leads back.
//
// Records need none of this: a program reads their earlier versions as they are
// (storage/record). The versions that were written are noted, so that a program which
// does not know one of them refuses the file at the start, and not record by record.

// layouts are those that a program can open.
type layouts struct {
	oldest int         // no earlier one is migrated
	later  []migration // to oldest+1, oldest+2, ...
}

// migration changes a file from one layout to the next. It may be killed at any time.
type migration struct {
	what string // for the log
	run  func(*txn) error
}

// released are the layouts of this program. After a release, a migration never changes.
var released = layouts{oldest: schema}

func (l layouts) newest() int { return l.oldest + len(l.later) }

// layouts returns those that the store is opened with.
func (o Options) layouts() layouts {
	if o.test != nil {
		return *o.test
	}
	return released
}

// Migrate brings the file at path, which no server uses, to the newest layout.
func Migrate(path string, master *keys.Master, o Options) error {
	s := transferred(path, master, o)
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, _, err := openVerified(path, o, s.log)
	if err == nil {
		err = errors.Join(guarded(s.log, func() error { return s.migrate(db) }), db.Close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// migrate runs the migrations that the file lacks.
func (s *Store) migrate(db *bbolt.DB) error {
	known := s.options.layouts()
	for {
		at := known.newest()
		err := db.View(func(tx *bbolt.Tx) (err error) {
			if b := tx.Bucket(meta.id); b != nil {
				at, err = s.layout(b)
			}
			return err
		})
		if err != nil || at == known.newest() {
			return err
		}
		next := known.later[at-known.oldest]
		s.log.Info("the store is migrated", "layout", at+1, "change", next.what)
		err = db.Update(func(tx *bbolt.Tx) error {
			if err := next.run(&txn{reader: reader{s: s, tx: tx}}); err != nil {
				return fmt.Errorf("bolt: migrating to layout %d (%s): %w; the store is as it was: start the version before, and report this", at+1, next.what, err)
			}
			return tx.Bucket(meta.id).Put(metaSchema, strconv.AppendInt(nil, int64(at+1), 10))
		})
		if err != nil {
			return err
		}
	}
}

// layout returns the file's layout, or why this program cannot use it.
func (s *Store) layout(b *bbolt.Bucket) (int, error) {
	known := s.options.layouts()
	written, err := strconv.Atoi(string(b.Get(metaSchema)))
	switch {
	case err != nil || written < 1:
		return 0, fmt.Errorf("%w: it has no layout version; %s", ErrForeignFile, restore)
	case written > known.newest():
		return 0, fmt.Errorf("%w (layout %d, this version knows up to %d); start that version, or restore a backup from before the upgrade", ErrNewerSchema, written, known.newest())
	case written < known.oldest:
		return 0, fmt.Errorf("%w (layout %d, this version needs %d), and its records are sealed in a way that is no longer read; move the file away, and the one with %s in its name, to start with a new store; keep it if you may go back to that version", ErrOlderSchema, written, known.oldest, markerSuffix)
	}
	if got := string(b.Get(metaFingerprint)); got != s.sealer.Fingerprint() {
		return 0, fmt.Errorf("%w (fingerprint %s, the configured key has %s); configure the key that it was made with, or restore that key from its backup: without it nothing in the store can be read",
			ErrWrongMasterKey, got, s.sealer.Fingerprint())
	}
	return written, s.knowsVersions(b)
}

// check returns an error if this program cannot use the file as it is.
func (s *Store) check(b *bbolt.Bucket) error {
	at, err := s.layout(b)
	if newest := s.options.layouts().newest(); err == nil && at < newest {
		err = fmt.Errorf("%w (layout %d, this version has %d); start a server of this version with it once, which brings it up to date", ErrOlderSchema, at, newest)
	}
	return err
}

// metaVersions is the key in the meta bucket of the newest version of each kind of record
// that was ever written: a line for each, as in "clients 4". It is not sealed.
var metaVersions = []byte("record_versions")

// knowsVersions returns an error if a record may be of a version that this program does
// not know.
func (s *Store) knowsVersions(b *bbolt.Bucket) error {
	written := versionsOf(b)
	for _, k := range record.Kinds() {
		if v := written[k.Name]; v > int(k.Reads()) {
			return fmt.Errorf("%w (it has records in %s of version %d, this version knows up to %d); start that version, or restore a backup from before the upgrade",
				ErrNewerSchema, k.Name, v, k.Reads())
		}
	}
	return nil
}

// versionsOf returns the noted versions.
func versionsOf(b *bbolt.Bucket) map[string]int {
	written := map[string]int{}
	for line := range strings.Lines(string(b.Get(metaVersions))) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.Atoi(version); err == nil {
			written[name] = v
		}
	}
	return written
}

// versionsNow returns what to note from now on: of each kind, the newest version that
// was written or that this program writes.
func versionsNow(b *bbolt.Bucket) []byte {
	written := versionsOf(b)
	for _, k := range record.Kinds() {
		written[k.Name] = max(written[k.Name], int(k.Writes()))
	}
	var lines []string
	for name, version := range written {
		lines = append(lines, fmt.Sprintf("%s %d\n", name, version))
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// noted reports whether the noted versions are up to date.
func noted(b *bbolt.Bucket) bool { return bytes.Equal(b.Get(metaVersions), versionsNow(b)) }
