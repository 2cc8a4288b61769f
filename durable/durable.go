// SPDX-License-Identifier: Apache-2.0

// Package durable creates files that only their owner can read, makes them and their names
// survive a power cut, and locks files.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Create creates a file that only its owner can read and write (mode 0600), open for both.
// It follows no link and opens no file that exists: the error is then fs.ErrExist.
func Create(path string) (*os.File, error) { return create(path, 0) }

// CreateAppend is Create for a file in which every write goes to the end.
func CreateAppend(path string) (*os.File, error) { return create(path, os.O_APPEND) }

// O_EXCL opens nothing at the end of a symbolic link (POSIX open).
func create(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|flag, 0o600)
}

// WriteFile creates a file as Create does, with what write writes. When it returns nil, file
// and name survive a power cut. On an error it leaves no file, except one that existed.
func WriteFile(path string, write func(io.Writer) error) error {
	file, err := Create(path)
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = SyncDir(filepath.Dir(path))
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

// Rename gives a synced file its name, in place of a file that has the name, durably. Both
// names must be in one folder.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// Link gives a synced file a second name, durably. If a file has the name, the error is
// fs.ErrExist.
func Link(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir makes the names in a folder durable: which files it has, not what is in them. It
// returns nil where the file system cannot do this: such a file system has no other way.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Linux reports EINVAL for a file system that has no fsync of folders.
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// ErrLocked means that another open file has the lock: of another process, or of this one.
var ErrLocked = errors.New("durable: the file is locked")

// poll is the time between two tries to lock a file.
const poll = 20 * time.Millisecond

// Lock takes the exclusive lock (flock) of an open file, which its Close releases. It tries
// for timeout, at least once, and returns ErrLocked if another open file has the lock. It
// locks nothing where the operating system has no flock, as on Windows.
func Lock(file *os.File, timeout time.Duration) error {
	for until := time.Now().Add(timeout); ; time.Sleep(poll) {
		err := flock(file)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errHeld):
			return fmt.Errorf("durable: locking %s: %w", filepath.Base(file.Name()), err)
		case !time.Now().Before(until):
			return ErrLocked
		}
	}
}
