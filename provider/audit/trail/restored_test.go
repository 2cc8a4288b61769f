// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func says(notes []Finding, text string) bool {
	for _, n := range notes {
		if strings.Contains(n.Text, text) {
			return true
		}
	}
	return false
}

// A restored store knows fewer lines than the files have: verify says so before the first
// start, and a line says so for good.
func TestARestoredStoreIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tr, k := w.open()
		w.keep(k, 3)
		if err := tr.tell(t.Context()); err != nil {
			t.Fatal(err)
		}
		backup := w.heads.heads["web-1"]
		taken := time.Now()
		time.Sleep(time.Hour)
		w.keep(k, 5)
		w.close(tr)
		if r := w.verify(); len(r.Notes)+len(r.Problems) > 0 {
			t.Fatalf("before the restore: %v, %v", r.Notes, r.Problems)
		}
		last := w.verify().Last
		w.heads.heads["web-1"] = backup

		r := w.verify()
		if want := fmt.Sprintf("the store is older than the files: it knows line %d", backup.Seq); len(r.Problems) > 0 || !says(r.Notes, want) {
			t.Errorf("before the start: %v, %v; want the note %q", r.Problems, r.Notes, want)
		}
		tr, k = w.open(func(c *Config) { c.Restored = &Restoration{Taken: taken, At: time.Now()} })
		w.keep(k, 1)
		w.close(tr)
		r = w.verify()
		if want := fmt.Sprintf("which knew line %d; the files had line %d.", backup.Seq, last); len(r.Problems) > 0 || !says(r.Notes, want) {
			t.Errorf("after the start: %v, %v; want the note %q", r.Problems, r.Notes, want)
		}
		if says(r.Notes, "older than the files") {
			t.Errorf("after the start: %v", r.Notes)
		}
	})
}

// Files that end before the line that the backup knew were cut off, or are older than it.
func TestThreat_CutBehindARestore(t *testing.T) {
	w := newWorld(t)
	tr, k := w.open()
	w.keep(k, 3)
	w.close(tr)
	cut := map[string][]byte{}
	for _, f := range w.files() {
		cut[f] = read(t, f)
	}
	tr, k = w.open()
	w.keep(k, 3)
	w.close(tr)
	for _, f := range w.files() {
		write(t, f, cut[f])
	}
	if r := w.verify(); len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Text, "missing at the end") {
		t.Errorf("before the start: %v", r.Problems)
	}
	tr, k = w.open(func(c *Config) { c.Restored = &Restoration{Taken: time.Now(), At: time.Now()} })
	w.keep(k, 1)
	w.close(tr)
	r := w.verify()
	if len(r.Problems) == 0 || !says(r.Notes, "restored from the backup") || !says(r.Notes, "found lines missing when it started") {
		t.Errorf("after the start: %v, %v", r.Problems, r.Notes)
	}
}
