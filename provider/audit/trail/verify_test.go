// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"calleridp/keys"
	"calleridp/provider/audit"
)

// sample is a chain over three files, with a restart in it, and its head.
var sample = sync.OnceValues(func() (map[string][]byte, []Head) {
	dir, err := os.MkdirTemp("", "sample")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	heads := &memory{heads: map[string]Head{}}
	for range 2 {
		t, err := Open(context.Background(), Config{
			Server: "web-1", Key: sampleKey(), Log: slog.New(slog.DiscardHandler), Dir: dir, Heads: heads, Keep: 1 << 60, MaxBytes: 1500,
		})
		if err != nil {
			panic(err)
		}
		k := audit.Log(slog.New(t.Handler()), nil)
		for i := range 6 {
			if err := k.RecordDurable(context.Background(), audit.Event{Name: audit.ClientAdded, Client: fmt.Sprint("client-", i)}); err != nil {
				panic(err)
			}
		}
		if err := t.Close(context.Background()); err != nil {
			panic(err)
		}
	}
	files := map[string][]byte{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if _, ok := parseName(e.Name()); ok {
			files[e.Name()], _ = os.ReadFile(filepath.Join(dir, e.Name()))
		}
	}
	all, _ := heads.AuditHeads(context.Background())
	return files, all
})

func sampleKey() *keys.Master {
	key, err := keys.NewMaster(bytes.Repeat([]byte{3}, keys.MasterSize))
	if err != nil {
		panic(err)
	}
	return key
}

// found verifies files, and returns what Verify says of them and how many lines it has
// counted.
func found(t *testing.T, files map[string][]byte, heads []Head) (problems, notes []Finding, lines int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	reports, err := Verify(t.Context(), Verification{Key: sampleKey(), Dir: dir, Heads: heads, Whole: true, Server: "web-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		problems = append(problems, r.Problems...)
		notes = append(notes, r.Notes...)
		lines += r.Lines
	}
	return problems, notes, lines
}

// change is one change of a chain that an attacker without the key may try.
type change struct {
	what string
	do   func(lines [][]byte, a, b int, x byte) [][]byte
}

// changes take the lines of all files, one after the other, and give them back changed; a
// and b are lines, x is any byte but 0.
var changes = []change{
	{"a byte", func(lines [][]byte, a, b int, x byte) [][]byte {
		line := bytes.Clone(lines[a])
		line[b%len(line)] ^= x
		lines[a] = line
		return lines
	}},
	{"a line is gone", func(lines [][]byte, a, _ int, _ byte) [][]byte { return slices.Delete(lines, a, a+1) }},
	{"some lines are gone", func(lines [][]byte, a, b int, _ byte) [][]byte {
		return slices.Delete(lines, min(a, b%len(lines)), max(a, b%len(lines))+1)
	}},
	{"two lines have changed places", func(lines [][]byte, a, b int, _ byte) [][]byte {
		b %= len(lines)
		if bytes.Equal(lines[a], lines[b]) {
			b = (a + 1) % len(lines)
		}
		lines[a], lines[b] = lines[b], lines[a]
		return lines
	}},
	{"a line comes twice", func(lines [][]byte, a, b int, _ byte) [][]byte {
		return slices.Insert(lines, b%len(lines), lines[a])
	}},
	{"a line of nobody", func(lines [][]byte, a, b int, x byte) [][]byte {
		made := fmt.Appendf(nil, `{"seq":%d,"time":"2026-11-30T06:20:01.123456Z","server":"web-1","event":"client.added","prev":"","mac":"%s"}`+"\n", a+1, bytes.Repeat([]byte{'A' + x%26}, 43))
		return slices.Insert(lines, b%len(lines), made)
	}},
	{"an empty line", func(lines [][]byte, a, _ int, _ byte) [][]byte { return slices.Insert(lines, a, []byte("\n")) }},
	{"a byte more", func(lines [][]byte, a, b int, x byte) [][]byte {
		line := bytes.Clone(lines[a])
		lines[a] = slices.Insert(line, b%len(line), x)
		return lines
	}},
	{"a byte less", func(lines [][]byte, a, b int, _ byte) [][]byte {
		line := bytes.Clone(lines[a])
		b %= len(line)
		lines[a] = slices.Delete(line, b, b+1)
		return lines
	}},
	{"cut off", func(lines [][]byte, a, b int, _ byte) [][]byte {
		lines[a] = lines[a][:b%len(lines[a])]
		return lines[:a+1]
	}},
	{"something more at the end", func(lines [][]byte, _, _ int, x byte) [][]byte { return append(lines, []byte{x}) }},
}

// changed returns the files of the sample after a change.
func changed(files map[string][]byte, c change, a, b int, x byte) map[string][]byte {
	names := slices.Sorted(maps.Keys(files))
	var lines [][]byte
	end := map[string]int{} // of lines of each file
	for _, name := range names {
		lines = append(lines, slices.Collect(bytes.Lines(files[name]))...)
		end[name] = len(lines)
	}
	n := len(lines)
	lines = c.do(lines, a%n, b, x)
	// Each file keeps as many lines as it had; the last has what is more.
	out := map[string][]byte{}
	at := 0
	for i, name := range names {
		to := min(end[name], len(lines))
		if i == len(names)-1 {
			to = len(lines)
		}
		to = max(to, at)
		out[name] = bytes.Join(lines[at:to], nil)
		at = to
	}
	return out
}

// Nothing is wrong with the sample itself.
func TestSampleHolds(t *testing.T) {
	files, heads := sample()
	if problems, notes, lines := found(t, files, heads); len(problems)+len(notes) > 0 || lines < 16 || len(files) < 3 {
		t.Fatalf("%v, %v, %d lines in %d files", problems, notes, lines, len(files))
	}
}

// Every kind of change is found at every line, and every changed byte of a line.
func TestThreat_EachChangeIsFound(t *testing.T) {
	files, heads := sample()
	_, _, n := found(t, files, heads)
	for _, c := range changes {
		for a := range n {
			for _, b := range []int{a % 3, a + 7} {
				try(t, c, a, b, 1)
			}
		}
	}
	for b := 0; b < 300; b += 3 {
		try(t, changes[0], 3, b, 0x20) // also letters of the other case, in the macs
	}
}

// try fails the test if a change is not found.
func try(t *testing.T, c change, a, b int, x byte) {
	t.Helper()
	files, heads := sample()
	after := changed(files, c, a, b, x)
	if maps.EqualFunc(files, after, bytes.Equal) {
		return
	}
	if problems, _, _ := found(t, after, heads); len(problems) == 0 {
		t.Errorf("%s (line %d, %d, byte %d) is not found", c.what, a, b, x)
	}
}

// Any change of a valid chain is found.
func FuzzChange(f *testing.F) {
	for i := range changes {
		f.Add(byte(i), byte(1), uint16(1), byte(1))
	}
	f.Fuzz(func(t *testing.T, what, a byte, b uint16, x byte) {
		if x == 0 {
			x = 1
		}
		try(t, changes[int(what)%len(changes)], int(a), int(b), x)
	})
}

// Whatever a file has in it, verifying and reading it neither panics nor takes it for
// genuine.
func FuzzFile(f *testing.F) {
	files, _ := sample()
	for _, text := range files {
		f.Add(text)
	}
	f.Add([]byte("\n\n{}\n"))
	f.Add(bytes.Repeat([]byte("x"), maxLine+100))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<20 {
			return
		}
		files, heads := sample()
		names := slices.Sorted(maps.Keys(files))
		same := bytes.Equal(text, files[names[1]])
		files = maps.Clone(files)
		files[names[1]] = text
		problems, _, lines := found(t, files, heads)
		if !same && len(problems) == 0 {
			t.Error("it is not found")
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, names[1]), text)
		r := NewReader(dir, sampleKey())
		read, cursor := 0, ""
		for {
			page, err := r.Lines(t.Context(), audit.Query{Limit: 7, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range page.Lines {
				if l.Genuine && !bytes.Contains(text, l.Text) {
					t.Errorf("a genuine line that nobody wrote: %s", l.Text)
				}
				read++
			}
			if cursor = page.Next; cursor == "" {
				break
			}
			if read > bytes.Count(text, []byte("\n"))+lines {
				t.Fatal("it never ends")
			}
		}
	})
}

// Another chain in the folder has a report of its own, and a line of it is none of this
// one.
func TestChainsAreApart(t *testing.T) {
	files, heads := sample()
	names := slices.Sorted(maps.Keys(files))
	other, _ := parseName(names[0])
	moved := maps.Clone(files)
	moved[newName("web-2", other.begun, other.first)] = files[names[0]]
	problems, _, _ := found(t, moved, heads)
	if len(problems) == 0 {
		t.Error("a file of web-1 passes for one of web-2")
	}
	for _, p := range problems {
		if p.File != newName("web-2", other.begun, other.first) {
			t.Errorf("a problem of the wrong chain: %v", p)
		}
	}
}

// Without the store's heads, all is as it was but the end.
func TestVerifyWithoutHeads(t *testing.T) {
	files, _ := sample()
	names := slices.Sorted(maps.Keys(files))
	short := maps.Clone(files)
	last := slices.Collect(bytes.Lines(files[names[len(names)-1]]))
	short[names[len(names)-1]] = bytes.Join(last[:len(last)-1], nil)
	if problems, _, _ := found(t, short, nil); len(problems) > 0 {
		t.Errorf("problems: %v; nobody can know", problems)
	}
	for i := range last[:len(last)-1] {
		without := slices.Delete(slices.Clone(last), i, i+1)
		short[names[len(names)-1]] = bytes.Join(without, nil)
		if problems, _, _ := found(t, short, nil); len(problems) == 0 {
			t.Errorf("line %d is not missed", i)
		}
	}
}

// The store of a server with files elsewhere says nothing against this folder.
func TestServersWithFoldersOfTheirOwn(t *testing.T) {
	files, heads := sample()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	heads = append(slices.Clone(heads), Head{Server: "web-2", First: 1, Seq: 9})
	for _, row := range []struct {
		whole  bool
		server string
		want   int
	}{{false, "web-1", 0}, {true, "web-1", 1}, {false, "web-2", 1}} {
		reports, err := Verify(t.Context(), Verification{Key: sampleKey(), Dir: dir, Heads: heads, Whole: row.whole, Server: row.server})
		if err != nil || len(reports) != 2 || len(reports[1].Problems) != row.want {
			t.Errorf("%+v: %+v, %v", row, reports, err)
		}
	}
}
