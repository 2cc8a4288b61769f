// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"calleridp/truecaller/phone"
)

// A line has the keys of the catalogue in their order, and whatever the log's
// level is, it is written.
func TestLog(t *testing.T) {
	number, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	attempt := Event{
		Attempt: "a1",
		Method:  "push",
		Number:  number,
		Client:  "shop",
		Network: "192.0.2.7/32",
		App:     "main",
	}
	named := func(e Event, n Name) Event { e.Name = n; return e }
	limited, failed := named(attempt, AttemptLimited), named(attempt, AttemptFailed)
	limited.Limit, failed.Reason, failed.Subject = "lock", "phone_mismatch", "s1"
	const attemptLine = "attempt=a1 method=push number=+46•••••0605 client=shop network=192.0.2.7/32 app=main"
	for _, row := range []struct {
		event Event
		want  string
	}{
		{named(attempt, AttemptStarted), "level=INFO msg=attempt.started log=audit " + attemptLine},
		{limited, "level=INFO msg=attempt.limited log=audit " + attemptLine + " limit=lock reserved=false"},
		{failed, "level=WARN msg=attempt.failed log=audit " + attemptLine + " reason=phone_mismatch sub=s1"},
		{
			Event{Name: AttemptExpired},
			`level=INFO msg=attempt.expired log=audit attempt="" method="" number="" client="" network="" app=""`,
		},
		{
			Event{Name: ChallengeUnsolved, Client: "shop", Network: "n", Err: errors.New("no solution")},
			`level=INFO msg=challenge.unsolved log=audit client=shop network=n error="no solution"`,
		},
		{
			Event{Name: SessionUsed, Session: "sid", Subject: "s1", Client: "shop"},
			"level=INFO msg=session.used log=audit sid=sid sub=s1 client=shop",
		},
		{
			Event{Name: ConsentGiven, Session: "sid", Subject: "s1", Client: "shop", Scope: "openid phone"},
			`level=INFO msg=consent.given log=audit sub=s1 sid=sid client=shop scope="openid phone"`,
		},
		{
			Event{Name: GrantReused, Kind: "code", Client: "shop", Grant: "g", Reason: "grant: used a second time", Subject: "s1"},
			`level=WARN msg=grant.reused log=audit kind=code client=shop grant=g reason="grant: used a second time" sub=s1`,
		},
		{
			Event{Name: GrantReused, Kind: "truecaller_code", Client: "shop", Attempt: "a1", Grant: "g", Subject: "s1"},
			"level=WARN msg=grant.reused log=audit kind=truecaller_code client=shop attempt=a1 grant=g sub=s1",
		},
		{
			Event{Name: SessionEnded, Session: "sid"}, // at the logout endpoint, by no client
			`level=INFO msg=session.ended log=audit sid=sid client=""`,
		},
		{
			Event{Name: SessionEnded, Session: "sid", Subject: "s1", Actor: "sid2", Client: "own"},
			"level=INFO msg=session.ended log=audit sub=s1 by=sid2 sid=sid client=own",
		},
		{Event{Name: KeysRotated}, "level=INFO msg=keys.rotated log=audit force=false"},
		{Event{Name: KeysRemoved, Key: "k"}, "level=INFO msg=keys.removed log=audit kid=k"},
		{Event{Name: LimitShown, Kind: "number", Of: "+46•••••0605"}, "level=INFO msg=limit.shown log=audit kind=number of=+46•••••0605"},
		{Event{Name: "undeclared", Client: "shop", Force: true}, "level=INFO msg=undeclared log=audit client=shop force=true"},
	} {
		t.Run(row.want, func(t *testing.T) {
			var b bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelError}))
			Log(logger.With("log", "audit"), nil).Record(t.Context(), row.event)
			_, got, _ := strings.Cut(strings.TrimSuffix(b.String(), "\n"), " ") // after the time
			if got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// Every event is described once, with keys that a line can have.
func TestCatalogue(t *testing.T) {
	seen := map[Name]bool{}
	for _, d := range Events {
		if seen[d.Name] {
			t.Errorf("%s is described twice", d.Name)
		}
		seen[d.Name] = true
		if d.Text == "" {
			t.Errorf("%s has no text", d.Name)
		}
		for _, key := range d.Keys {
			name := strings.TrimSuffix(key, "?")
			if !slices.Contains(everyKey, name+"?") {
				t.Errorf("%s has the key %s, which is not among %v", d.Name, key, everyKey)
			}
			(Event{}).value(name) // panics at an unknown key
		}
		for _, key := range d.Per {
			if !slices.ContainsFunc(d.Keys, func(k string) bool { return strings.TrimSuffix(k, "?") == key }) {
				t.Errorf("%s is summed up by %s, which is not among its keys", d.Name, key)
			}
		}
	}
}

// Every declared name is described.
func TestEveryNameIsDescribed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	names := 0
	for line := range strings.Lines(source.String()) {
		_, value, declared := strings.Cut(line, " Name = ")
		if !declared {
			continue
		}
		names++
		name := Name(strings.Trim(strings.TrimSpace(value), `"`))
		own := slices.ContainsFunc(TrailEvents, func(d Description) bool { return d.Name == name })
		if _, described := descriptions[name]; !described && !own {
			t.Errorf("%s is not in the catalogue", name)
		}
	}
	if names != len(Events)+len(TrailEvents) {
		t.Errorf("got %d names, want %d", names, len(Events)+len(TrailEvents))
	}
}

var update = flag.Bool("update", false, "write the list of events in docs/operators/audit.md")

// The operators' manual has every event.
func TestDocumentHasEveryEvent(t *testing.T) {
	const (
		document = "../../docs/operators/audit.md"
		begin    = "<!-- audit -->\n"
		end      = "<!-- /audit -->"
	)
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no list between %q and %q", document, begin, end)
	}
	var rows strings.Builder
	for _, d := range slices.Concat(Events, TrailEvents) {
		keys := strings.ReplaceAll(strings.Join(d.Keys, ", "), "?", "")
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", d.Name, keys, strings.Join(d.Per, ", "), d.Text)
	}
	want := "\n| event | keys | summed up by | what it says |\n|---|---|---|---|\n" + rows.String() + "\n"
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the program; update it with: go test ./provider/audit -run Document -update", document)
	}
	if err := os.WriteFile(document, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
