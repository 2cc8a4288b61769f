// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/audit"
)

// pages reads all that a query wants, page by page.
func pages(t *testing.T, r *Reader, q audit.Query) (lines []audit.Line, n int) {
	t.Helper()
	for {
		page, err := r.Lines(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, page.Lines...)
		n++
		if page.Next == "" {
			return lines, n
		}
		q.Cursor = page.Next
	}
}

func events(lines []audit.Line) string {
	var all []string
	for _, l := range lines {
		all = append(all, fmt.Sprintf("%s:%d", l.Server, l.Seq))
	}
	return strings.Join(all, " ")
}

// A reader finds lines by what they say, the newest first, over files, pages and servers.
func TestReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		begun := time.Now()
		trail, k := w.open(func(c *Config) { c.MaxBytes = 1500 })
		ctx := audit.WithOperator(t.Context(), `key "ci"`)
		for i := range 10 {
			time.Sleep(time.Minute)
			e := audit.Event{Name: audit.ClientAdded, Client: fmt.Sprint("c", i%2)}
			if i == 7 {
				e = audit.Event{Name: audit.UserDeleted, Subject: "sub-7"}
			}
			on := t.Context()
			if i < 3 {
				on = ctx
			}
			if err := k.RecordDurable(on, e); err != nil {
				t.Fatal(err)
			}
		}
		w.close(trail)
		time.Sleep(time.Second)
		trail, _ = w.open(func(c *Config) { c.Server = "web-2" })
		w.close(trail)

		r := NewReader(w.dir, w.key)
		all, _ := pages(t, r, audit.Query{})
		for i, l := range all {
			if !l.Genuine || i > 0 && l.Time.After(all[i-1].Time) {
				t.Errorf("line %d: %+v", i, l)
			}
		}
		if !strings.HasPrefix(events(all), "web-2:3 web-2:2 web-2:1 web-1:") || all[len(all)-1].Seq != 1 {
			t.Errorf("all lines: %s", events(all))
		}
		for limit := 1; limit < len(all)+2; limit++ {
			paged, n := pages(t, r, audit.Query{Limit: limit})
			if events(paged) != events(all) || n > len(all)/limit+1 {
				t.Errorf("in %d pages of %d: %s", n, limit, events(paged))
			}
		}
		for name, row := range map[string]struct {
			q    audit.Query
			want int
		}{
			"an event":            {audit.Query{Events: []audit.Name{audit.ClientAdded}}, 9},
			"two events":          {audit.Query{Events: []audit.Name{audit.UserDeleted, audit.Opened}}, 3},
			"a family":            {audit.Query{Events: []audit.Name{"client."}}, 9},
			"a client":            {audit.Query{Client: "c0"}, 5},
			"another one":         {audit.Query{Client: "c"}, 0},
			"a user":              {audit.Query{Subject: "sub-7"}, 1},
			"an operator":         {audit.Query{Operator: `key "ci"`}, 3},
			"operator, client":    {audit.Query{Operator: `key "ci"`, Client: "c1"}, 1},
			"since":               {audit.Query{Since: begun.Add(8 * time.Minute), Events: []audit.Name{"client.", "user."}}, 3},
			"until":               {audit.Query{Until: begun.Add(3 * time.Minute), Events: []audit.Name{"client."}}, 2},
			"between":             {audit.Query{Since: begun.Add(3 * time.Minute), Until: begun.Add(5 * time.Minute), Client: "c0"}, 1},
			"long before":         {audit.Query{Until: begun.Add(-24 * time.Hour)}, 0},
			"since, and a client": {audit.Query{Since: begun.Add(9 * time.Minute), Client: "c0"}, 1},
		} {
			if got, _ := pages(t, r, row.q); len(got) != row.want {
				t.Errorf("%s: %d lines, want %d: %s", name, len(got), row.want, events(got))
			}
		}
		for _, cursor := range []string{"x", "e30x", formatCursor(map[string]spot{"web-1": {1, 7}}), formatCursor(map[string]spot{"web-1": {1, 1 << 40}}), formatCursor(map[string]spot{"web-1": {1, -1}})} {
			if _, err := r.Lines(t.Context(), audit.Query{Cursor: cursor}); !errors.Is(err, audit.ErrCursor) {
				t.Errorf("cursor %q: %v, want ErrCursor", cursor, err)
			}
		}
		if page, err := NewReader(w.dir+"none", w.key).Lines(t.Context(), audit.Query{}); err != nil || len(page.Lines) > 0 {
			t.Errorf("no folder: %+v, %v", page, err)
		}
	})
}

// A line that an attacker has put in is shown as such, and hides none before it.
func TestThreat_ForgedLinesAreMarked(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	w.keep(k, 2)
	w.close(trail)
	file := w.files()[0]
	forged := `{"seq":9,"time":"2001-01-01T00:00:00Z","server":"web-1","event":"client.added","client":"client-0"}` + "\n"
	text := read(t, file)
	write(t, file, append([]byte(string(text)+forged), "{not a line"...))
	lines, _ := pages(t, NewReader(w.dir, w.key), audit.Query{Client: "client-0"})
	if len(lines) != 2 || lines[0].Genuine || !lines[1].Genuine {
		t.Errorf("%+v, want the forged line and the genuine one", lines)
	}
	lines, _ = pages(t, NewReader(w.dir, w.key), audit.Query{Since: time.Now().Add(-time.Hour), Client: "client-0"})
	if len(lines) != 1 || !lines[0].Genuine {
		t.Errorf("%+v, want the genuine line", lines)
	}
}

// A page ends where looking further would take too long, and the next one goes on.
func TestAPageIsBounded(t *testing.T) {
	w := newWorld(t)
	trail, k := w.open()
	if err := k.RecordDurable(t.Context(), audit.Event{Name: audit.UserDeleted, Subject: "first"}); err != nil {
		t.Fatal(err)
	}
	w.close(trail)
	f, err := os.OpenFile(w.files()[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range mostLooked + 10 {
		f.WriteString("{}\n")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	lines, n := pages(t, NewReader(w.dir, w.key), audit.Query{Subject: "first"})
	if len(lines) != 1 || n != 2 {
		t.Errorf("%d lines in %d pages, want one in the second", len(lines), n)
	}
}

// A server that starts with a slow clock, which is put right then, hides no line before.
func TestThreat_LinesOfASlowClockHideNone(t *testing.T) {
	dir, key := t.TempDir(), newKey(t, 1)
	day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	var at place
	for _, begun := range []time.Time{day.AddDate(0, 0, -9), day, time.Unix(0, 0), day.Add(time.Hour)} {
		name := newName("web-1", begun, at.seq+1)
		var text []byte
		for _, body := range []string{fmt.Sprintf(`"event":%q,"level":"INFO","file":%q`, audit.FileBegun, name), `"event":"client.added","level":"INFO"`} {
			text, at = at.follow(text, key, "web-1", begun, []byte(body))
		}
		write(t, filepath.Join(dir, name), text)
	}
	for _, limit := range []int{0, 1} {
		lines, _ := pages(t, NewReader(dir, key), audit.Query{Since: day.Add(-time.Minute), Limit: limit})
		if got, want := events(lines), "web-1:8 web-1:7 web-1:4 web-1:3"; got != want {
			t.Errorf("pages of %d: got %s, want %s", limit, got, want)
		}
	}
}
