// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

// captured returns what two runs of a server wrote to standard output, and the heads.
func captured(t *testing.T, files bool) (lines [][]byte, heads []Head) {
	t.Helper()
	w := newWorld(t)
	var out bytes.Buffer
	for range 2 {
		tr, k := w.open(func(c *Config) {
			c.Key, c.Also, c.MaxBytes = sampleKey(), []io.Writer{&out}, 1500
			if !files {
				c.Dir, c.Heads = "", nil
			}
		})
		w.keep(k, 6)
		w.close(tr)
	}
	heads, err := w.heads.AuditHeads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(bytes.Lines(out.Bytes())), heads
}

func inStream(t *testing.T, lines [][]byte, heads []Head) (problems, notes []Finding, n int) {
	t.Helper()
	reports, err := VerifyStream(t.Context(), Stream{Key: sampleKey(), Name: "captured", In: bytes.NewReader(bytes.Join(lines, nil)), Heads: heads})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		problems, notes, n = append(problems, r.Problems...), append(notes, r.Notes...), n+r.Lines
	}
	return problems, notes, n
}

// Standard output has the whole chain, also the first lines of files.
func TestStreamHolds(t *testing.T) {
	for _, files := range []bool{true, false} {
		lines, heads := captured(t, files)
		if problems, notes, n := inStream(t, lines, heads); len(problems)+len(notes) > 0 || n != len(lines) || n < 16 {
			t.Errorf("files %v: %v, %v, %d of %d lines", files, problems, notes, n, len(lines))
		}
		// As syslog and containers hand it on.
		var mixed [][]byte
		for _, line := range lines {
			mixed = append(mixed, []byte("a line of the log\n"), append([]byte("Nov 30 06:20:01 web calleridp-audit[7]: "), line...))
		}
		problems, notes, n := inStream(t, mixed, heads)
		if len(problems) > 0 || n != len(lines) || !says(notes, "lines are not of the audit") {
			t.Errorf("files %v, mixed: %v, %v, %d lines", files, problems, notes, n)
		}
	}
}

// What is missing or changed inside is found with the key alone, at each line.
func TestThreat_AChangedStreamIsFound(t *testing.T) {
	for _, files := range []bool{true, false} {
		lines, heads := captured(t, files)
		for i := range lines {
			for what, changed := range map[string][][]byte{
				"changed": append(append(slices.Clone(lines[:i]), bytes.Replace(lines[i], []byte(`"level"`), []byte(`"Level"`), 1)), lines[i+1:]...),
				"twice":   slices.Insert(slices.Clone(lines), i, lines[i]),
			} {
				if problems, _, _ := inStream(t, changed, nil); len(problems) == 0 {
					t.Errorf("files %v: line %d %s is not found", files, i, what)
				}
			}
			problems, notes, _ := inStream(t, slices.Delete(slices.Clone(lines), i, i+1), heads)
			if len(problems)+len(notes) == 0 {
				t.Errorf("files %v: that line %d is gone is not found", files, i)
			}
		}
	}
}

func TestThreat_ACutStreamIsFound(t *testing.T) {
	lines, heads := captured(t, true)
	for n := 1; n < len(lines); n++ {
		problems, _, _ := inStream(t, lines[:n], heads)
		if len(problems) != 1 || !strings.Contains(problems[0].Text, "missing at the end") {
			t.Errorf("cut to %d lines: %v", n, problems)
		}
	}
	if problems, _, _ := inStream(t, lines[:len(lines)-1], nil); len(problems) > 0 {
		t.Errorf("without the store: %v", problems)
	}
	lines, _ = captured(t, false)
	if _, notes, _ := inStream(t, lines[:len(lines)-1], []Head{}); !says(notes, "ends without audit.closed") {
		t.Errorf("of a chain that the store does not know: %v", notes)
	}
	// Another key opens nothing.
	reports, err := VerifyStream(t.Context(), Stream{Key: newKey(t, 9), In: bytes.NewReader(lines[0])})
	if err != nil || len(reports) != 1 || len(reports[0].Problems) != 1 {
		t.Errorf("with another key: %v, %v", reports, err)
	}
}
