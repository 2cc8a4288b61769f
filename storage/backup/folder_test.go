// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// double is a store of made-up content.
type double struct {
	content []byte
	fails   error
	down    atomic.Bool // while Run runs: fails
	size    int64       // that it tells, if it is not the content's
	begun   chan struct{}
	wait    chan struct{}
}

func (d *double) Backup(ctx context.Context, size func(int64) error, w io.Writer) error {
	if d.begun != nil {
		close(d.begun)
		<-d.wait
	}
	if err := size(max(d.size, int64(len(d.content)))); err != nil {
		return err
	}
	if _, err := w.Write(d.content); err != nil {
		return err
	}
	if d.down.Load() {
		return errors.New("broken")
	}
	return d.fails
}

func maker(t *testing.T, s *double, every time.Duration, keep int) *Maker {
	t.Helper()
	return NewMaker(Config{Store: s, Master: master(t, "k"), Schema: 2, Issuer: "https://id.example", Program: "test",
		Dir: filepath.Join(t.TempDir(), "backups"), Every: every, Keep: keep, Log: slog.New(slog.DiscardHandler)})
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// A backup is private, is read back, and is the only thing in the folder; one that fails
// leaves nothing.
func TestMake(t *testing.T) {
	s := &double{content: store(200_000)}
	m := maker(t, s, 0, 3)
	made, err := m.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(made.Path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != made.Bytes || len(names(t, m.cfg.Dir)) != 1 {
		t.Errorf("got %v, %v in %v; want one private file of %d bytes", info, err, names(t, m.cfg.Dir), made.Bytes)
	}
	file, err := os.ReadFile(made.Path)
	if err != nil {
		t.Fatal(err)
	}
	if h, content, err := opens(m.cfg.Master, file); err != nil || string(content) != string(s.content) || !h.Taken.Truncate(time.Millisecond).Equal(made.Taken) || h.Issuer != "https://id.example" {
		t.Errorf("it opens to %+v, %v", h, err)
	}
	broken := errors.New("broken")
	for what, d := range map[string]*double{
		"the store fails at the end": {content: s.content, fails: broken},
		"the store is cut off":       {content: s.content, size: 200_001},
		"there is no room":           {content: s.content, size: 1 << 60},
	} {
		m.cfg.Store = d
		if _, err := m.Make(t.Context()); err == nil {
			t.Errorf("%s: it succeeds", what)
		}
		if got := names(t, m.cfg.Dir); len(got) != 1 {
			t.Errorf("%s: it leaves %v", what, got)
		}
	}
	if _, err := m.Make(t.Context()); !errors.Is(err, ErrNoRoom) && m.cfg.Store.(*double).size == 1<<60 {
		t.Errorf("no room: %v", err)
	}
	if got := m.Stats(); got.Made != 1 || got.Failures != 4 || !got.Last.Equal(made.Taken) {
		t.Errorf("stats are %+v", got)
	}
}

// Two at once would have the store grow twice.
func TestOneBackupAtATime(t *testing.T) {
	s := &double{begun: make(chan struct{}), wait: make(chan struct{})}
	m := maker(t, s, 0, 3)
	done := make(chan error)
	go func() { _, err := m.Make(context.Background()); done <- err }()
	<-s.begun
	if _, err := m.Make(t.Context()); !errors.Is(err, ErrUnderWay) {
		t.Errorf("got %v, want ErrUnderWay", err)
	}
	close(s.wait)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Of its own files, the newest Keep stay; of others all do, and what a killed server has
// left goes. What a fast clock has named counts as the oldest: it must not leave room for one
// of the backups that are made from then on.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := maker(t, &double{}, 0, 2)
		var made []File
		for range 4 {
			f, err := m.Make(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, f)
			time.Sleep(time.Hour)
			for _, name := range []string{"calleridp-before-upgrade.backup", "notes.txt"} {
				if err := os.WriteFile(filepath.Join(m.cfg.Dir, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		left := filepath.Join(m.cfg.Dir, filepath.Base(made[0].Path)+partial)
		ahead := filepath.Join(m.cfg.Dir, "calleridp-20990101T000000.000Z.backup")
		further := filepath.Join(m.cfg.Dir, "calleridp-20990102T000000.000Z.backup")
		for _, path := range []string{left, ahead, further} {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		last, err := m.Make(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(names(t, m.cfg.Dir), " ")
		want := strings.Join([]string{filepath.Base(made[3].Path), filepath.Base(last.Path), "calleridp-before-upgrade.backup", "notes.txt"}, " ")
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if err := os.WriteFile(ahead, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if all, err := m.List(); err != nil || len(all) != 3 || all[0].Path != last.Path || all[2].Path != ahead {
			t.Errorf("listed %v, %v; want the last one made first, and the one that lies ahead last", all, err)
		}
	})
}

// Run makes a backup when the newest is too old, also after a restart; it tries again
// after a failure, and a name that lies ahead keeps it from nothing.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &double{}
		m := maker(t, s, 6*time.Hour, 100)
		run := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { m.Run(ctx); close(ended) }()
			return func() { cancel(); <-ended }
		}
		after := func(d time.Duration, want uint64) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := m.Stats().Made; got != want {
				t.Errorf("%d backups, want %d", got, want)
			}
		}
		stop := run()
		after(time.Second, 1) // there was none
		after(6*time.Hour-2*time.Minute, 1)
		stop()
		stop = run()
		after(time.Minute, 1) // a restart makes none
		after(2*time.Minute, 2)
		s.down.Store(true)
		after(6*time.Hour+2*time.Minute, 2)
		if got := m.Stats().Failures; got != 1 {
			t.Errorf("%d failures within three minutes, want 1", got)
		}
		s.down.Store(false)
		after(3*time.Minute, 3)
		if err := os.WriteFile(filepath.Join(m.cfg.Dir, "calleridp-20990101T000000.000Z.backup"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		after(6*time.Hour+time.Minute, 4)
		stop()
	})
}
