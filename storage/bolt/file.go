// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"calleridp/durable"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The file of a store, and the marker beside it. A store that vanished must not
// become a new deployment without a word: everyone would get another sub, and
// what was revoked or used up could be used again. So a new store is written
// under another name and renamed when it is whole, an empty file is never a new
// store, and once there was a store, its marker says so.

// markerSuffix is what the marker's name adds to the store's.
const markerSuffix = ".created"

// allocSize is in which steps a file grows.
const allocSize = 1 << 20

const lockTimeout = 500 * time.Millisecond

// openFile opens the file at path, or makes a new one if there never was one.
func openFile(path string, o Options, log *slog.Logger, create func(*bbolt.DB) error) (db *bbolt.DB, file *os.File, err error) {
	_, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := neverWas(path); err != nil {
			return nil, nil, err
		}
		if err := createFile(path, o, create); err != nil {
			return nil, nil, err
		}
	case err != nil:
		return nil, nil, err
	}
	return openVerified(path, o, log)
}

// neverWas returns ErrGone if the marker says that there was a store at path, and
// ErrUnfinished if there should have been one.
func neverWas(path string) error {
	if _, err := os.Stat(path + copySuffix); err == nil {
		return fmt.Errorf("%w: a copy or a restore into it has not been finished; run calleridp store copy or calleridp restore again; delete %s only to begin with an empty store", ErrUnfinished, path+copySuffix)
	}
	_, err := os.Stat(path + markerSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w, and %s says that it was there; put it back, or restore it from a backup; delete that file, too, only to begin with an empty store (every user gets a new sub)",
		ErrGone, path+markerSuffix)
}

// mark writes the marker of the store at path, unless it is there.
func markCreated(path string, sync bool) error {
	text := fmt.Sprintf(`There was a store of calleridp here, %s, on %s.
As long as this file exists, the server does not begin a new store in its place.
Delete it together with the store.
`, filepath.Base(path), time.Now().UTC().Format(time.DateOnly))
	f, err := durable.Create(path + markerSuffix)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && sync {
		err = durable.SyncDir(filepath.Dir(path))
	}
	return err
}

// createFile makes a store with fill and gives it its name when it is whole.
func createFile(path string, o Options, fill func(*bbolt.DB) error) error {
	made := path + ".new"
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(made, 0o600, settings(made, o))
	if err != nil {
		return err
	}
	db.AllocSize = allocSize
	err = errors.Join(fill(db), db.Close())
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		os.Remove(made)
		return err
	}
	if o.NoSync {
		return nil
	}
	return durable.SyncDir(filepath.Dir(path))
}

// settings returns how bbolt opens the file at path.
func settings(path string, o Options) *bbolt.Options {
	return &bbolt.Options{
		Timeout: lockTimeout,
		// The next start finds the free pages by reading the file. Writing their
		// list with each commit would slow down every commit for as long as the
		// file has free space left from a busy hour.
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: int(mapping(path)),
		NoStatistics:    true,
		NoSync:          o.NoSync,
	}
}

// mappable reports whether there is address space to reserve. Windows would make the
// file itself as large.
const mappable = strconv.IntSize >= 64 && runtime.GOOS != "windows"

// openVerified locks the file, verifies it, and gives it to bbolt. file is that
// of bbolt, which closes it.
func openVerified(path string, o Options, log *slog.Logger) (db *bbolt.DB, file *os.File, err error) {
	with := settings(path, o)
	with.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
		if err != nil {
			return nil, err
		}
		if err := inspect(f, log); err != nil {
			f.Close()
			return nil, err
		}
		file = f
		return f, nil
	}
	err = guarded(log, func() (err error) {
		db, err = bbolt.Open(path, 0o600, with)
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout), errors.Is(err, durable.ErrLocked):
		return nil, nil, fmt.Errorf("%w; stop that one first", ErrInUse)
	case errors.Is(err, ErrForeignFile), errors.Is(err, ErrDamaged):
		return nil, nil, fmt.Errorf("%w; %s", err, restore)
	}
	if err == nil {
		db.AllocSize = allocSize
	}
	return db, file, err
}

// restore says what to do about a file that cannot be used.
const restore = "keep the file for an examination, and restore the newest backup in its place"

// inspect waits for the lock on a file and verifies it.
func inspect(f *os.File, log *slog.Logger) error {
	if err := durable.Lock(f, lockTimeout); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w (it is empty)", ErrDamaged)
	}
	if err := readInOrder(f, info.Size()); err != nil {
		return fmt.Errorf("%w (it cannot be read: %v)", ErrDamaged, err)
	}
	spare, err := verify(f, info.Size())
	if spare != nil {
		// A power cut during a commit can leave this, and then nothing is missing.
		log.Warn("the store has only one usable meta page; its last commit may be missing", "store", f.Name(), "reason", spare)
	}
	return err
}

// guarded runs f, and returns a panic in it as an error that wraps ErrDamaged:
// bbolt panics when a page is not what it must be, and the system sends a fault
// when a part of the file cannot be read, or was cut off. The stack goes to the
// log.
func guarded(log *slog.Logger, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in the store", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("%w (%v)", ErrDamaged, p)
		}
	}()
	return f()
}

// inPlace returns an error unless the file under the store's name is the one that
// is open, and whole. What is written to a file that was moved away or replaced
// would be gone with the next start.
func (s *Store) inPlace() error {
	here, err := s.file.Stat()
	if err != nil {
		return closedErr(err)
	}
	there, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: it was moved or deleted while it was in use; move it back, or stop the server and restore a backup", s.path, ErrGone)
	case err != nil:
		return err
	case !os.SameFile(here, there):
		return fmt.Errorf("%s: %w: another file was put in its place while it was in use; move the first one back, or restart to use the other one", s.path, ErrGone)
	}
	return s.whole()
}

// whole returns an error if the file is shorter than it was. bbolt would touch
// what is not there any more, with its locks held.
func (s *Store) whole() error {
	info, err := s.file.Stat()
	if err != nil {
		return closedErr(err)
	}
	if known := s.length.Load(); info.Size() < known {
		return fmt.Errorf("%s: %w (it was cut off to %d bytes while it was in use); stop the server, and %s", s.path, ErrDamaged, info.Size(), restore)
	} else if info.Size() > known {
		s.length.Store(info.Size())
	}
	return nil
}
