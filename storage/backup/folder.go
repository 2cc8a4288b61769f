// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"calleridp/durable"
	"calleridp/keys"
	"calleridp/provider/clock"
)

// Names of backups sort by the time at which they were made.
const (
	prefix = "calleridp-"
	suffix = ".backup"
	layout = "20060102T150405.000Z"
	// partial is what the name of a backup adds to its own until it is whole.
	partial = ".partial"
)

// room is how much more than a backup a file system must have, so that a backup never
// takes what the next commits of a store beside it need.
const room = 16 << 20

// Store is what is backed up. *bolt.Store is one.
type Store interface {
	// Backup writes a copy to w, whose size it tells before.
	Backup(ctx context.Context, size func(int64) error, w io.Writer) error
}

// Config is that of a Maker. Everything is required, except what says otherwise.
type Config struct {
	Store   Store
	Master  *keys.Master
	Schema  int
	Issuer  string
	Program string // version of the program

	Dir   string        // is created if it is missing
	Every time.Duration // 0: only when Make is called
	Keep  int           // how many backups stay; at least 1

	// Made is called after each backup that Run has made. It may be nil.
	Made func(context.Context, File)
	Log  *slog.Logger
}

// File is a backup in the folder.
type File struct {
	Path  string
	Taken time.Time // by its name
	Bytes int64
}

// Errors of Make. Those that wrap them say what to do.
var (
	ErrUnderWay = errors.New("backup: another one is being made")
	ErrNoRoom   = errors.New("backup: the disk has no room for it")
)

// Maker makes backups of a store and deletes old ones. It is safe for concurrent use.
type Maker struct {
	cfg    Config
	making sync.Mutex
	stats  stats
}

// NewMaker returns a Maker.
func NewMaker(cfg Config) *Maker { return &Maker{cfg: cfg} }

// Make makes a backup, reads it back, gives it its name when it is whole and durable, and
// deletes the oldest ones beyond Keep. Backups with other names stay.
func (m *Maker) Make(ctx context.Context) (File, error) {
	if !m.making.TryLock() {
		return File{}, fmt.Errorf("%w; wait until it is finished", ErrUnderWay)
	}
	defer m.making.Unlock()
	made, err := m.write(ctx)
	m.stats.note(made, err)
	if err != nil {
		return File{}, err
	}
	if err := m.deleteOld(made); err != nil {
		m.cfg.Log.Error("an old backup could not be deleted", "error", err)
	}
	return made, nil
}

func (m *Maker) write(ctx context.Context) (File, error) {
	if err := os.MkdirAll(m.cfg.Dir, 0o700); err != nil {
		return File{}, fmt.Errorf("backup: %w", err)
	}
	m.clear()
	taken := time.Now().UTC()
	made := File{Path: filepath.Join(m.cfg.Dir, prefix+taken.Format(layout)+suffix), Taken: taken.Truncate(time.Millisecond)}
	if _, err := os.Lstat(made.Path); err == nil {
		return File{}, fmt.Errorf("backup: %s exists; make another one in a moment", made.Path)
	}
	temporary := made.Path + partial
	file, err := durable.Create(temporary)
	if err != nil {
		return File{}, fmt.Errorf("backup: %w", err)
	}
	err = m.copy(ctx, file, taken)
	if err == nil {
		err = m.readBack(file)
	}
	if info, e := file.Stat(); e == nil {
		made.Bytes = info.Size()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = durable.Rename(temporary, made.Path)
	}
	if err != nil {
		os.Remove(temporary)
		return File{}, err
	}
	return made, nil
}

// copy encrypts the store into a file and makes it durable.
func (m *Maker) copy(ctx context.Context, file *os.File, taken time.Time) error {
	out := bufio.NewWriterSize(file, 256<<10)
	late := &lateWriter{}
	err := m.cfg.Store.Backup(ctx, func(size int64) (err error) {
		if free, known := freeBytes(m.cfg.Dir); known && free < size+size/64+room {
			return fmt.Errorf("%w: %s has %d MB free, and it needs %d MB; free some, set backup.keep lower, or backup.dir to another disk",
				ErrNoRoom, m.cfg.Dir, free>>20, (size+size/64+room)>>20)
		}
		late.Writer, err = NewWriter(out, m.cfg.Master, Header{
			Schema:  m.cfg.Schema,
			Issuer:  m.cfg.Issuer,
			Taken:   taken,
			Bytes:   size,
			Program: m.cfg.Program,
		})
		return err
	}, late)
	if err == nil {
		err = late.Close()
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	return err
}

// lateWriter is a Writer that is there before the first byte.
type lateWriter struct{ *Writer }

// readBack decrypts what was written, so that a backup which counts can be read.
func (m *Maker) readBack(file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, err := Open(bufio.NewReaderSize(file, 256<<10), m.cfg.Master)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return fmt.Errorf("backup: reading it back: %w; look at the disk of %s", err, m.cfg.Dir)
	}
	return nil
}

// clear deletes what an interrupted backup has left.
func (m *Maker) clear() {
	left, _ := filepath.Glob(filepath.Join(m.cfg.Dir, prefix+"*"+suffix+partial))
	for _, path := range left {
		if _, ok := takenAt(strings.TrimSuffix(filepath.Base(path), partial)); ok {
			os.Remove(path)
		}
	}
}

// takenAt returns when the backup of this name was made.
func takenAt(name string) (time.Time, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	text, ok2 := strings.CutSuffix(text, suffix)
	if !ok || !ok2 {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, text)
	return at, err == nil
}

// List returns the backups in the folder, the newest first. Those that lie ahead of the
// clock were made under one that was fast, before all others: they are last.
func (m *Maker) List() ([]File, error) {
	entries, err := os.ReadDir(m.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	var all []File
	for _, e := range entries {
		at, ok := takenAt(e.Name())
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		all = append(all, File{Path: filepath.Join(m.cfg.Dir, e.Name()), Taken: at, Bytes: info.Size()})
	}
	now := time.Now()
	slices.SortFunc(all, func(a, b File) int {
		first, second := clock.Ahead(a.Taken, now), clock.Ahead(b.Taken, now)
		if first != second {
			if first {
				return 1
			}
			return -1
		}
		return b.Taken.Compare(a.Taken)
	})
	return all, nil
}

// deleteOld deletes the oldest backups beyond Keep, and never the one just made, whatever the
// clock says by then.
func (m *Maker) deleteOld(made File) error {
	all, err := m.List()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f File) bool { return f.Path == made.Path })
	var failed error
	for _, old := range all[min(len(all), max(m.cfg.Keep, 1)-1):] {
		failed = errors.Join(failed, os.Remove(old.Path))
	}
	return failed
}
