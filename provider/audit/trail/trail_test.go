// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
)

// memory is Heads without a store. The engines have the contract's.
type memory struct {
	mu    sync.Mutex
	heads map[string]Head
	err   error
}

func (m *memory) AuditHeads(context.Context) ([]Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []Head{}
	for _, h := range m.heads {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Head) int { return strings.Compare(a.Server, b.Server) })
	return all, m.err
}

func (m *memory) AdvanceAuditHead(_ context.Context, told Head) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if h, gone := m.heads[told.Server].Merge(told); gone {
		delete(m.heads, told.Server)
	} else {
		m.heads[told.Server] = h
	}
	return nil
}

// world is a folder, and the store beside it.
type world struct {
	t     *testing.T
	dir   string
	key   *keys.Master
	heads *memory
	log   *bytes.Buffer
}

func newKey(t testing.TB, b byte) *keys.Master {
	t.Helper()
	key, err := keys.NewMaster(bytes.Repeat([]byte{b}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newWorld(t *testing.T) *world {
	return &world{t: t, dir: filepath.Join(t.TempDir(), "audit"), key: newKey(t, 1), heads: &memory{heads: map[string]Head{}}, log: &bytes.Buffer{}}
}

func (w *world) config() Config {
	return Config{
		Server: "web-1", Version: "test", Key: w.key, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Dir: w.dir, Heads: w.heads, Keep: 24 * time.Hour, MaxBytes: 1 << 20,
	}
}

// open opens a trail, and what records into it.
func (w *world) open(change ...func(*Config)) (*Trail, audit.DurableRecorder) {
	w.t.Helper()
	c := w.config()
	for _, f := range change {
		f(&c)
	}
	trail, err := Open(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { trail.Close(context.Background()) })
	return trail, audit.Log(slog.New(trail.Handler()), nil)
}

func (w *world) close(trail *Trail) {
	w.t.Helper()
	if err := trail.Close(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// kill ends a trail, and leaves what kill -9 had left.
func (w *world) kill(trail *Trail) {
	w.t.Helper()
	left := map[string][]byte{}
	for _, f := range w.files() {
		left[f] = read(w.t, f)
	}
	w.heads.mu.Lock()
	heads := maps.Clone(w.heads.heads)
	w.heads.mu.Unlock()
	w.close(trail)
	for _, f := range w.files() {
		if err := os.Remove(f); err != nil {
			w.t.Fatal(err)
		}
	}
	for f, text := range left {
		write(w.t, f, text)
	}
	w.heads.heads = heads
}

// keep keeps n events.
func (w *world) keep(k audit.DurableRecorder, n int) {
	w.t.Helper()
	for i := range n {
		if err := k.RecordDurable(w.t.Context(), audit.Event{Name: audit.ClientAdded, Client: fmt.Sprint("client-", i)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// verify returns the report of the only chain.
func (w *world) verify() Report {
	w.t.Helper()
	heads, err := w.heads.AuditHeads(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	reports, err := Verify(w.t.Context(), Verification{Key: w.key, Dir: w.dir, Heads: heads, Whole: true, Server: "web-1"})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(reports) != 1 {
		w.t.Fatalf("%d chains, want 1: %+v", len(reports), reports)
	}
	return reports[0]
}

// holds fails the test unless the chain is whole.
func (w *world) holds(lines int) Report {
	w.t.Helper()
	r := w.verify()
	if len(r.Problems) > 0 {
		w.t.Errorf("problems: %v", r.Problems)
	}
	if r.Lines != lines {
		w.t.Errorf("%d lines, want %d", r.Lines, lines)
	}
	return r
}

func (w *world) files() []string {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, "*.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	chains, err := list(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, files := range chains {
		for _, f := range files {
			all = append(all, path(w.dir, f))
		}
	}
	if len(all) != len(found) {
		w.t.Errorf("files %v, of which %v are ours", found, all)
	}
	return all
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A chain goes on over restarts, in the same file.
func TestAChainGoesOn(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		trail, k := w.open()
		w.keep(k, 2)
		w.close(trail)
	}
	if n := len(w.files()); n != 1 {
		t.Errorf("%d files, want 1", n)
	}
	r := w.holds(1 + 3*(1+2+1)) // header; opened, two events, closed
	if len(r.Notes) > 0 {
		t.Errorf("notes: %v", r.Notes)
	}
	info, err := os.Stat(w.files()[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if !strings.Contains(string(read(t, w.files()[0])), `"event":"client.added","level":"INFO","client":"client-0","prev":"`) {
		t.Errorf("a line is missing:\n%s", read(t, w.files()[0]))
	}
}

// What nobody waits for is written in the background, all of it, in order.
func TestRecord(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	for i := range 500 {
		k.Record(t.Context(), audit.Event{Name: audit.SessionUsed, Session: fmt.Sprint(i)})
	}
	w.close(trail)
	w.holds(1 + 1 + 500 + 1)
	if s := trail.Stats(); s.Lost != 0 || s.Written != 503 || s.Failing {
		t.Errorf("stats %+v", s)
	}
	text := string(read(t, w.files()[0]))
	last := 0
	for i := range 500 {
		at := strings.Index(text, fmt.Sprintf(`"sid":"%d"`, i))
		if at < last {
			t.Fatalf("event %d is at %d, before the one before it at %d", i, at, last)
		}
		last = at
	}
}

// A file is followed by another one when it is full, and each day. Removing old ones
// leaves a rest that verifies, and the store knows where it begins.
func TestRotationAndRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		trail, k := w.open(func(c *Config) { c.MaxBytes = 2000; c.Keep = 48 * time.Hour })
		w.keep(k, 20)
		if n := len(w.files()); n < 3 {
			t.Errorf("%d files after many lines, want more", n)
		}
		w.holds(len(w.files()) + 1 + 20)
		for range 3 {
			time.Sleep(24 * time.Hour)
			w.keep(k, 1)
		}
		before := len(w.files())
		if err := trail.removeOld(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		// The files of the last 48 hours stay, and that in which they begin.
		if after := len(w.files()); after >= before || after < 3 {
			t.Errorf("%d files of %d are left", after, before)
		}
		w.close(trail)
		r := w.verify()
		if len(r.Problems) > 0 || r.First == 1 {
			t.Errorf("after old files were removed: %+v", r)
		}
		if r.Head.First != r.First {
			t.Errorf("the store says that the rest begins at %d, it does at %d", r.Head.First, r.First)
		}
		// One more that is missing is no retention.
		if err := os.Remove(w.files()[0]); err != nil {
			t.Fatal(err)
		}
		if r := w.verify(); len(r.Problems) == 0 {
			t.Error("a file that was removed by hand is not missed")
		}
		trail, _ = w.open()
		w.close(trail)
	})
}

// The store hears of the chain soon after an operator's change, after some seconds of
// anything else, and never of more than is on the disk.
func TestHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		trail, k := w.open()
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { defer close(ran); trail.Run(ctx) }()
		head := func() uint64 {
			w.heads.mu.Lock()
			defer w.heads.mu.Unlock()
			return w.heads.heads["web-1"].Seq
		}
		if head() != 2 {
			t.Errorf("after the start the store knows line %d, want 2", head())
		}
		w.keep(k, 1)
		synctest.Wait()
		if head() != 3 {
			t.Errorf("after a change the store knows line %d, want 3", head())
		}
		k.Record(t.Context(), audit.Event{Name: audit.SessionUsed})
		synctest.Wait()
		if head() != 3 {
			t.Errorf("a user's event costs a commit: the store knows line %d", head())
		}
		time.Sleep(syncEvery + headEvery)
		synctest.Wait()
		if head() != 4 {
			t.Errorf("after %s the store knows line %d, want 4", headEvery, head())
		}
		cancel()
		<-ran
		w.close(trail)
		if head() != 5 {
			t.Errorf("after the end the store knows line %d, want 5", head())
		}
	})
}

// Whoever has not the key cannot make a line.
func TestThreat_AnotherKey(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	w.keep(k, 2)
	w.close(trail)
	w.key = newKey(t, 2)
	if r := w.verify(); len(r.Problems) == 0 || r.Lines > 0 {
		t.Errorf("under another key: %+v", r)
	}
}

// failing is a writer that fails.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Lines go to other places, too. Without files they are a chain of this run, and a place
// that fails refuses changes; with files, these have the line.
func TestOtherPlaces(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	trail, k := w.open(func(c *Config) { c.Dir, c.Heads, c.Also = "", nil, []io.Writer{&out} })
	w.keep(k, 2)
	w.close(trail)
	if n := strings.Count(out.String(), "\n"); n != 4 || !strings.HasPrefix(out.String(), `{"seq":1,"time":"`) {
		t.Errorf("%d lines, want 4:\n%s", n, out.String())
	}
	c := w.config()
	c.Dir, c.Heads, c.Also = "", nil, []io.Writer{failing{}}
	if _, err := Open(t.Context(), c); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("to nowhere: %v", err)
	}
	trail, k = w.open(func(c *Config) { c.Also = []io.Writer{failing{}, &out} })
	w.keep(k, 1)
	w.close(trail)
	w.holds(4)
	if !strings.Contains(w.log.String(), "did not get further") {
		t.Errorf("the log says nothing:\n%s", w.log)
	}
}

// A value is bounded, and none takes a key of the chain's.
func TestLines(t *testing.T) {
	w := newWorld(t)
	trail, _ := w.open()
	log := slog.New(trail.Handler()).With("mac", "x", "own", 1).WithGroup("g")
	log.Info("x\"y\n", "long", strings.Repeat("é", maxText), "nothing", nil, "at", time.Unix(0, 0), "seq", 7, "u", uint64(8), "f", 1.5)
	var many []any
	for i := range 100 {
		many = append(many, fmt.Sprint("k", i), strings.Repeat("v", 2*maxText))
	}
	log.Info("many", many...)
	w.close(trail)
	w.holds(5)
	text := string(read(t, w.files()[0]))
	for _, want := range []string{
		`"event":"x\"y\n","level":"INFO","own":1,"long":"`, `"nothing":null,"at":"1970-01-01T00:00:00Z","u":8,"f":"1.5"`,
		`"event":"many","level":"INFO","shortened":true`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%.3000s", want, text)
		}
	}
	if strings.Contains(text, `"seq":7`) || strings.Contains(text, `"mac":"x"`) {
		t.Error("an attribute took a key of the chain's")
	}
}
