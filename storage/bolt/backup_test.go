// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/truecaller"
)

// anySize is for backups whose size does not matter.
func anySize(int64) error { return nil }

// stuck is a destination that takes the first bytes, and then nothing until it is freed.
type stuck struct {
	taken chan struct{} // closed when it is stuck
	free  chan struct{}
	once  bool
}

func (w *stuck) Write(p []byte) (int, error) {
	if !w.once {
		w.once = true
		close(w.taken)
	}
	<-w.free
	return len(p), nil
}

// A destination that takes nothing holds up no writer, and the file grows no further
// than was said: then the backup is given up, and the space is used again.
func TestThreat_StuckBackupIsGivenUp(t *testing.T) {
	s := open(t, Options{NoSync: true})
	ctx := t.Context()
	put := func() {
		t.Helper()
		d := truecaller.Delivery{ID: "1", Received: time.Now(), Callback: truecaller.Callback{State: string(bytes.Repeat([]byte("x"), 200<<10))}}
		if _, err := s.PutDelivery(ctx, d); err != nil {
			t.Fatal(err)
		}
		if err := s.DropDelivery(ctx, "1"); err != nil {
			t.Fatal(err)
		}
	}
	put()
	w := &stuck{taken: make(chan struct{}), free: make(chan struct{})}
	done := make(chan error)
	go func() { done <- s.Backup(ctx, anySize, w) }()
	<-w.taken
	size := func() int64 { return s.Stats().Bytes }
	for size() < growthMin {
		put()
	}
	// The transaction ends while the destination is still stuck.
	for round, grown := 0, size(); ; round++ {
		for range 100 {
			put()
		}
		after := size()
		if after < grown+(4<<20) {
			break
		}
		if round == 10 {
			t.Fatalf("the file still grows, from %d to %d; want the backup given up and its space used again", grown, after)
		}
		grown = after
	}
	close(w.free)
	if err := <-done; !errors.Is(err, ErrSlowBackup) {
		t.Errorf("got %v, want ErrSlowBackup", err)
	}
	var copied bytes.Buffer
	if err := s.Backup(ctx, anySize, &copied); err != nil {
		t.Errorf("the next backup: %v", err)
	}
}

// What the destination refuses is the error, and nothing goes on behind it.
func TestBackupFails(t *testing.T) {
	s := open(t, Options{})
	full := errors.New("no space left")
	if err := s.Backup(t.Context(), anySize, refusing{full}); !errors.Is(err, full) {
		t.Errorf("a full disk: %v", err)
	}
	if err := s.Backup(t.Context(), func(int64) error { return full }, &bytes.Buffer{}); !errors.Is(err, full) {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &stuck{taken: make(chan struct{}), free: make(chan struct{})}
	done := make(chan error)
	go func() { done <- s.Backup(ctx, anySize, w) }()
	<-w.taken
	cancel()
	close(w.free)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := s.CreateClient(t.Context(), client.Client{ID: "after"}); err != nil {
		t.Error(err)
	}
	if err := os.Rename(s.path, filepath.Join(t.TempDir(), "away.db")); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), anySize, &bytes.Buffer{}); !errors.Is(err, ErrGone) {
		t.Errorf("of a file that was moved away: %v; want ErrGone: it would be a copy of what is gone at the next start", err)
	}
}

type refusing struct{ err error }

func (w refusing) Write([]byte) (int, error) { return 0, w.err }
