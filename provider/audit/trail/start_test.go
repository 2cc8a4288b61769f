// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A crash leaves half a line. It stays, the chain goes on in another file that says so, and
// what has torn cannot be changed afterwards.
func TestTornLine(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	w.keep(k, 3)
	w.kill(trail)
	file := w.files()[0]
	text := read(t, file)
	half := append(slices.Clone(text), text[len(text)-100:len(text)-40]...)
	half = append(half, 0, 0, '\n', 'x') // blocks that a power cut has left
	write(t, file, half)
	if r := w.holdsWith(5, 1); r.Notes[0].Line != 6 && len(r.Problems) == 0 {
		t.Errorf("before the start: %+v", r)
	}
	trail, k = w.open()
	w.keep(k, 1)
	w.close(trail)
	if n := len(w.files()); n != 2 {
		t.Fatalf("%d files, want 2", n)
	}
	r := w.holds(5 + 1 + 1 + 1 + 1)
	if len(r.Notes) != 1 || r.Notes[0].File != filepath.Base(file) || r.Notes[0].Line != 6 {
		t.Errorf("notes: %v, want one of line 6", r.Notes)
	}
	if !strings.Contains(w.log.String(), "ends with something else") {
		t.Errorf("the log says nothing of it:\n%s", w.log)
	}
	for _, change := range [][]byte{
		append(half[:len(half)-1:len(half)-1], 'y'), half[:len(half)-1], append(half[:len(half):len(half)], 'x'), text,
	} {
		write(t, file, change)
		if r := w.verify(); len(r.Problems) == 0 {
			t.Errorf("what was torn was changed to %q, and nothing says so", change[len(text):])
		}
	}
}

// holdsWith is verify, where there may be problems.
func (w *world) holdsWith(lines, least int) Report {
	w.t.Helper()
	r := w.verify()
	if r.Lines != lines || len(r.Notes)+len(r.Problems) < least {
		w.t.Errorf("%+v, want %d lines and something to say", r, lines)
	}
	return r
}

// Lines that the store has seen and no file has stay missing, also when the chain goes on.
func TestThreat_TheEndWasCutOff(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	w.keep(k, 5)
	w.close(trail)
	file := w.files()[0]
	lines := bytes.SplitAfter(read(t, file), []byte("\n"))
	write(t, file, bytes.Join(lines[:4], nil))
	missing := func(when string) {
		t.Helper()
		r := w.verify()
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, "lines 5 to 8 are missing") {
			t.Errorf("%s: %v, want that lines 5 to 8 are missing", when, r.Problems)
		}
	}
	missing("at once")
	trail, k = w.open()
	w.keep(k, 1)
	missing("while the next server runs")
	w.close(trail)
	missing("after it")
	if !strings.Contains(w.log.String(), "level=ERROR") {
		t.Errorf("the log says nothing of it:\n%s", w.log)
	}

	// All of it.
	for _, f := range w.files() {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if r := w.verify(); len(r.Problems) != 1 {
		t.Errorf("without any file: %v", r.Problems)
	}
	trail, _ = w.open()
	w.close(trail)
	if r := w.verify(); len(r.Problems) != 1 || r.First < 10 {
		t.Errorf("and after another start: %+v", r)
	}
}

// Two servers cannot write the same chain, and one that cannot write does not start.
func TestOpenRefuses(t *testing.T) {
	w := newWorld(t)
	w.open()
	if _, err := Open(t.Context(), w.config()); !errors.Is(err, ErrInUse) {
		t.Errorf("a second server: %v, want ErrInUse", err)
	}
	c := w.config()
	c.Server = "a/b"
	if _, err := Open(t.Context(), c); err == nil {
		t.Error("a name with a slash was taken")
	}
	c = w.config()
	c.Dir = filepath.Join(w.files()[0], "inside")
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), c.Dir) {
		t.Errorf("a folder that cannot be: %v", err)
	}
	c = w.config()
	c.Dir = t.TempDir()
	c.Heads = &memory{heads: map[string]Head{}, err: errors.New("the store is away")}
	if _, err := Open(t.Context(), c); err == nil {
		t.Error("it opened without a store")
	}
}

// A server without a name has that of its files, or one that no other server has. Two that
// take the same one do not both start.
func TestNames(t *testing.T) {
	w := newWorld(t)
	start := func(change ...func(*Config)) string {
		t.Helper()
		trail, _ := w.open(append([]func(*Config){func(c *Config) { c.Server, c.Host = "", "host" }}, change...)...)
		w.close(trail)
		return trail.c.Server
	}
	elsewhere := func(c *Config) { c.Dir += "2" }
	if got := start(); got != "host" {
		t.Errorf("the first server is %s", got)
	}
	second := start(elsewhere)
	if !strings.HasPrefix(second, "host-") || len(second) != len("host-")+6 {
		t.Errorf("the second server is %s", second)
	}
	if got := start(elsewhere, func(c *Config) { c.Host = "other" }); got != second {
		t.Errorf("with another host name it is %s, before %s", got, second)
	}
	if got := start(); got != "host" {
		t.Errorf("the first server is %s later", got)
	}

	// The only server of a store that has lost its folder goes on with its chain.
	delete(w.heads.heads, second)
	alone := func(c *Config) { c.Dir, c.Alone, c.Host = c.Dir+"3", true, "new" }
	if got := start(alone); got != "host" || !strings.Contains(w.log.String(), "missing") {
		t.Errorf("without its folder it is %s\n%s", got, w.log)
	}

	c := w.config()
	c.Dir += "4"
	c.Heads = rival{w.heads}
	if _, err := Open(t.Context(), c); !errors.Is(err, ErrInUse) {
		t.Errorf("two servers with one name: %v, want ErrInUse", err)
	}
}

// rival is a store that another server with the same name uses at the same time.
type rival struct{ *memory }

func (r rival) AdvanceAuditHead(ctx context.Context, h Head) error {
	mine := h
	mine.Digest[0]++
	return errors.Join(r.memory.AdvanceAuditHead(ctx, mine), r.memory.AdvanceAuditHead(ctx, h))
}
