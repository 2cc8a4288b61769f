// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/storage/postgres/pgtest"
)

// Each server writes a chain into a directory of its own; the database has the heads of all.
// Each chain verifies at its server, and a change or a cut of one is found there alone.
func TestAuditOfEachServerVerifies(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	for i := range c.Nodes {
		c.operate(i, "limit", "clear", "--client", "demo")
		c.operate(i, "limit", "clear", "--client", "demo")
	}
	verify := func(node int, whole bool, want ...string) {
		t.Helper()
		out, err := c.Nodes[node].Command("audit", "verify")
		if (err == nil) != whole {
			t.Errorf("audit verify at node-%d: %v, want success to be %v\n%s", node, err, whole, out)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("audit verify at node-%d says nothing of %q:\n%s", node, text, out)
			}
		}
	}
	for i := range c.Nodes { // while the servers run
		verify(i, true, "the store has seen line ", "the files of this server are in another folder")
	}
	for i := range c.Nodes[:2] {
		c.StopNode(i, os.Interrupt)
	}
	verify(0, true)
	verify(1, true)

	change := func(node int, edit func([]byte) []byte) (undo func()) {
		t.Helper()
		files := must(filepath.Glob(filepath.Join(c.Nodes[node].Dir, "data", "audit", "*.jsonl")))
		if len(files) == 0 {
			t.Fatalf("node-%d has no files", node)
		}
		whole := must(os.ReadFile(files[len(files)-1]))
		edited := edit(bytes.Clone(whole))
		if bytes.Equal(edited, whole) {
			t.Fatalf("nothing was changed at node-%d", node)
		}
		write := func(text []byte) {
			t.Helper()
			if err := os.WriteFile(files[len(files)-1], text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(edited)
		return func() { write(whole) }
	}
	undo := change(0, func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		return bytes.Join(lines[:len(lines)-3], nil) // the last two lines are gone
	})
	verify(0, false, "missing at the end: the store has seen line ")
	verify(1, true)
	undo()
	verify(0, true)
	undo = change(1, func(text []byte) []byte {
		return bytes.Replace(text, []byte("limit.cleared"), []byte("limit.showned"), 1)
	})
	verify(1, false, "changed, or written by another program")
	verify(0, true)
	undo()
	verify(1, true)

	// Started after a cut, a server goes on, and the gap stays.
	change(0, func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		return bytes.Join(lines[:len(lines)-3], nil)
	})
	c.StartNode(0)
	verify(0, false, "found lines missing when it started")
	verify(2, true)
}
