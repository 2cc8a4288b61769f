// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A clock that jumps ahead, with or without a restart, removes nothing for a day, and not
// everything at once then.
func TestThreat_AClockThatJumpsAheadRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		days := func() {
			for range 3 {
				trail, k := w.open()
				w.keep(k, 2)
				w.close(trail)
				time.Sleep(24 * time.Hour)
			}
		}
		days()
		trail, _ := w.open()
		w.heads.heads["web-9"] = Head{Server: "web-9", First: 1, Seq: 7, Time: time.Now()}
		before := len(w.files())
		look := func(after time.Duration) {
			t.Helper()
			if err := trail.removeOld(t.Context(), time.Now().Add(after)); err != nil {
				t.Fatal(err)
			}
		}
		look(500 * 24 * time.Hour)
		if n := len(w.files()); n != before {
			t.Errorf("the clock of a running server jumped: %d of %d files are left", n, before)
		}
		held := 0
		for _, f := range w.files() {
			held += strings.Count(string(read(t, f)), `"event":"audit.held","level":"WARN","newest":"`)
		}
		if held != 1 {
			t.Errorf("%d lines say so, want 1", held)
		}
		w.close(trail)

		time.Sleep(500 * 24 * time.Hour)
		trail, _ = w.open() // its first line is the newest already
		before = len(w.files())
		for range 3 {
			look(0)
			look(settle - time.Hour)
		}
		if n := len(w.files()); n != before {
			t.Errorf("a server started with a clock that had jumped: %d of %d files are left", n, before)
		}
		if w.heads.heads["web-9"].Seq != 7 {
			t.Error("the store has forgotten another server")
		}

		look(settle + time.Minute) // the clock is right after all
		after := len(w.files())
		if after >= before || after < before-2 {
			t.Errorf("a look removed %d of %d files, want those of a day", before-after, before)
		}
		for range 5 {
			look(settle + time.Minute)
		}
		if n := len(w.files()); n != 1 {
			t.Errorf("%d files are left in the end, want the newest", n)
		}
		w.close(trail)
	})
}

// Files that were begun under a wrong clock neither keep others for ever nor make them old.
func TestFilesOfAWrongClock(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	now := day(20)
	for _, row := range []struct {
		what  string
		files []int // days
		ended int   // of the first; -1: unknown
		leapt bool
	}{
		{"each day", []int{17, 18, 19}, 18, false},
		{"only one", []int{17}, -1, false},
		{"fast meanwhile", []int{17, 800, 18}, 18, false},
		{"fast, and put right", []int{800, 17, 18}, 17, false},
		{"still fast", []int{17, 800}, -1, false},
		{"slow meanwhile", []int{17, -9000, 18}, 18, false},
		{"slow, and put right", []int{-9000, 19, 20}, 19, false},
		{"slow, and put right just now", []int{-9000, 20}, 20, true},
		{"idle, long ago", []int{1, 18, 19}, 18, false},
		{"idle until now", []int{10, 20}, 20, true},
	} {
		var files []file
		for i, n := range row.files {
			files = append(files, file{first: uint64(i + 1), begun: day(n)})
		}
		want := time.Time{}
		if row.ended >= 0 {
			want = day(row.ended)
		}
		if got := endedBy(files, now); !got.Equal(want) {
			t.Errorf("%s: ended %v, want %v", row.what, got, want)
		}
		if got := leapt(files, now); got != row.leapt {
			t.Errorf("%s: leapt %t", row.what, got)
		}
	}
}

// The file that another server of the folder has open stays, however long it was silent.
func TestThreat_AFileThatIsWrittenIsNotRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other, _ := w.open(func(c *Config) { c.Server = "web-2" })
		trail, k := w.open()
		look := func(want int) {
			t.Helper()
			for _, f := range w.files() { // their times are the machine's, and not the bubble's
				if err := os.Chtimes(f, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			if err := trail.removeOld(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			if n := len(w.files()); n != want {
				t.Errorf("%d files are left, want %d", n, want)
			}
		}
		time.Sleep(26 * time.Hour)
		look(2)
		w.keep(k, 1)
		if err := other.Close(context.Background()); err != nil { // its last lines are in a file of this day
			t.Fatal(err)
		}
		if head := w.heads.heads["web-2"]; head.Seq != 4 || head.First != 1 {
			t.Errorf("the store knows %+v of it", head)
		}
		time.Sleep(25 * time.Hour)
		look(3) // the first file of each goes, and this server begins one
		look(2) // web-2 is gone for good
	})
}

// Whoever can write into the folder, and has no key, cannot have files that they put there
// count as removed lines: those that they delete stay missing.
func TestThreat_ForgedNamesHideNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.heads.heads["web-2"] = Head{Server: "web-2", First: 1, Seq: 7, Time: time.Now()}
		trail, k := w.open(func(c *Config) { c.MaxBytes, c.Keep = 1000, 72*time.Hour })
		w.keep(k, 10)
		chains, err := list(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		own := chains["web-1"]
		if err := os.Remove(path(w.dir, own[0])); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-1000 * time.Hour)
		for _, name := range []string{
			newName("web-1", old, 1),
			newName("web-1", old.Add(time.Hour), own[1].first-1),
			newName("web-1", old.Add(2*time.Hour), 1<<63),
			newName("web-2", old, 1),
		} {
			write(t, filepath.Join(w.dir, name), []byte("{}\n"))
			if err := os.Chtimes(filepath.Join(w.dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(25 * time.Hour) // what seems to be a leap is over
		for range 3 {
			if err := trail.removeOld(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		w.close(trail)
		if head := w.heads.heads["web-1"]; head.First != 1 {
			t.Errorf("the store takes line %d for the oldest that is kept, want 1", head.First)
		}
		if head := w.heads.heads["web-2"]; head.Seq != 7 || head.First != 1 {
			t.Errorf("the store knows %+v of another server, want what it had", head)
		}
	})
}
