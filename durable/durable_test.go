// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestWriteFileMakesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := WriteFile(path, text("one")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if err := WriteFile(path, text("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v, want fs.ErrExist", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "one" {
		t.Errorf("the file has %q, want what it had", got)
	}
}

// An attacker who may write into the folder can put a link there before.
func TestCreateFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	for name, target := range map[string]string{"dangling": filepath.Join(dir, "elsewhere"), "to a file": filepath.Join(dir, "file")} {
		if name == "to a file" {
			if err := os.WriteFile(target, []byte("kept"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(dir, "link to "+filepath.Base(target))
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		for what, create := range map[string]func(string) (*os.File, error){"Create": Create, "CreateAppend": CreateAppend} {
			if f, err := create(link); err == nil {
				f.Close()
				t.Errorf("%s over a link, %s, succeeded", what, name)
			}
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made at the end of a link")
	}
}

func TestWriteFileLeavesNothingOfAFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "half")
	failure := errors.New("the disk is full")
	err := WriteFile(path, func(w io.Writer) error {
		if err := text("half of it")(w); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want the failure", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestCreateAppendWritesAtTheEnd(t *testing.T) {
	f, err := CreateAppend(filepath.Join(t.TempDir(), "lines"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range []string{"one", "two"} {
		if err := text(s)(f); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := io.ReadAll(f); string(got) != "onetwo" {
		t.Errorf("got %q", got)
	}
}

func TestRenameReplacesAndLinkDoesNot(t *testing.T) {
	dir := t.TempDir()
	old, replacement := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	for _, path := range []string{old, replacement} {
		if err := WriteFile(path, text(filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	if err := Link(replacement, old); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Link over a file: %v, want fs.ErrExist", err)
	}
	if err := Rename(replacement, old); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(old); string(got) != "new" {
		t.Errorf("got %q after Rename", got)
	}
	if err := Link(old, replacement); err != nil {
		t.Error(err)
	}
}

func TestSyncDir(t *testing.T) {
	if err := SyncDir(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := SyncDir(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no folder: %v, want fs.ErrNotExist", err)
	}
}

func TestLockBelongsToOneOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := Lock(first, 0); err != nil {
		t.Fatal(err)
	}
	if err := flock(second); err == nil {
		if runtime.GOOS == "linux" || runtime.GOOS == "darwin" {
			t.Fatal("two open files have the lock")
		}
		t.Skip("this operating system has no flock")
	}
	if err := Lock(second, 0); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v, want ErrLocked", err)
	}
	locked := make(chan error)
	go func() { locked <- Lock(second, time.Minute) }()
	first.Close()
	if err := <-locked; err != nil {
		t.Errorf("after Close of the other: %v", err)
	}
	if err := Lock(second, 0); err != nil {
		t.Errorf("a second time by the same open file: %v", err)
	}
	second.Close()
	if err := Lock(second, 0); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("of a closed file: %v", err)
	}
}
