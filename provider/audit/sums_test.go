// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counts is an Observer.
type counts struct {
	mu     sync.Mutex
	events map[Name]int
	lines  map[slog.Level]int
}

func (c *counts) Event(n Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[n]++
}

func (c *counts) Line(l slog.Level) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[l]++
}

// written is a log with sums, and what was written to it.
type written struct {
	Recorder
	*Sums
	counts

	base    *slog.Logger
	writing sync.Mutex
	log     bytes.Buffer
}

// Write implements io.Writer.
func (w *written) Write(b []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	return w.log.Write(b)
}

func newWritten(level slog.Level) *written {
	w := &written{counts: counts{events: map[Name]int{}, lines: map[slog.Level]int{}}}
	base := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	w.base, w.Sums = base, NewSums(base, &w.counts)
	w.Recorder = Log(base.With("log", "audit"), w.Sums)
	return w
}

// lines returns what was written since the last call.
func (w *written) lines() []string {
	w.writing.Lock()
	defer w.writing.Unlock()
	defer w.log.Reset()
	return strings.Split(strings.TrimSuffix(w.log.String(), "\n"), "\n")
}

func (w *written) want(t *testing.T, want ...string) {
	t.Helper()
	if got := w.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// total returns how many lines with the message the log accounts for.
func total(t *testing.T, lines []string, message string) (n int) {
	t.Helper()
	for _, text := range lines {
		var line struct {
			Msg  string
			More int
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Msg != message {
			continue
		}
		if line.More > 0 {
			n += line.More
		} else {
			n++
		}
	}
	return n
}

func from(t testing.TB, addr string) context.Context {
	return WithSender(t.Context(), netip.MustParseAddr(addr))
}

// The first event of its kind and network is written at once, the others are counted
// until the interval ends, whatever the log's level. The next interval does the same.
func TestEventsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWritten(slog.LevelError)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.Run(ctx)
		limited := func(attempt, network, lock string) {
			w.Record(ctx, Event{Name: AttemptLimited, Attempt: attempt, Network: network, Limit: lock})
		}
		line := func(attempt, network, lock string) string {
			return fmt.Sprintf(`{"level":"INFO","msg":"attempt.limited","log":"audit","attempt":%q,"method":"","number":"","client":"","network":%q,"app":"","limit":%q,"reserved":false}`, attempt, network, lock)
		}
		limited("a1", "192.0.2.7/32", "lock")
		w.want(t, line("a1", "192.0.2.7/32", "lock"))
		limited("a2", "192.0.2.7/32", "lock")
		w.want(t, "")
		limited("a3", "192.0.2.7/32", "network")
		limited("a4", "192.0.2.8/32", "lock")
		limited("a5", "2001:db8:1:2::/64", "lock")
		w.want(t, line("a3", "192.0.2.7/32", "network"), line("a4", "192.0.2.8/32", "lock"), line("a5", "2001:db8:1:2::/64", "lock"))
		limited("a6", "2001:db8:1:ffff::/64", "lock") // of the same /48
		limited("a7", "192.0.2.7/32", "lock")
		w.Record(ctx, Event{Name: KeysRotated})
		w.Record(ctx, Event{Name: KeysRotated})
		w.want(t, `{"level":"INFO","msg":"keys.rotated","log":"audit","force":false}`, `{"level":"INFO","msg":"keys.rotated","log":"audit","force":false}`)
		time.Sleep(Interval)
		synctest.Wait()
		w.want(t,
			`{"level":"INFO","msg":"attempt.limited","log":"audit","network":"192.0.2.7/32","limit":"lock","more":2}`,
			`{"level":"INFO","msg":"attempt.limited","log":"audit","network":"2001:db8:1::/48","limit":"lock","more":1}`)
		time.Sleep(Interval)
		synctest.Wait()
		w.want(t, "")
		limited("a8", "192.0.2.7/32", "lock")
		limited("a9", "192.0.2.7/32", "lock")
		w.want(t, line("a8", "192.0.2.7/32", "lock"))
		stop()
		synctest.Wait()
		w.want(t, "")
		w.Flush()
		w.want(t, `{"level":"INFO","msg":"attempt.limited","log":"audit","network":"192.0.2.7/32","limit":"lock","more":1}`)
		if w.events[AttemptLimited] != 9 || w.events[KeysRotated] != 2 {
			t.Errorf("counted %v, want each event", w.events)
		}
	})
}

// Sums writes a line for each event that differs in a key of Description.Per. An event
// that differs in other keys alone is counted.
func TestEventsAreToldApart(t *testing.T) {
	full := func(n Name, mark string) Event {
		return Event{
			Name: n, Attempt: mark, Method: mark, Network: mark, App: mark, Client: mark, Subject: mark, Session: mark, Actor: mark,
			Grant: mark, Scope: mark, Reason: mark, Err: errors.New(mark), Limit: mark, Kind: mark, Of: mark, Key: mark, Alg: mark, Endpoint: mark,
		}
	}
	for _, d := range Events {
		w := newWritten(slog.LevelError)
		for _, mark := range []string{"one", "one", "two"} {
			w.Record(t.Context(), full(d.Name, mark))
		}
		want := 3
		if len(d.Per) > 0 {
			want = 2
		}
		if got := w.lines(); len(got) != want {
			t.Errorf("%s: %d lines, want %d:\n%s", d.Name, len(got), want, strings.Join(got, "\n"))
		}
	}
}

// However many networks and clients an attacker has, lines and memory are bounded, and
// nothing goes uncounted.
func TestThreat_ManyNetworksAreBounded(t *testing.T) {
	user := func(i int) string { return fmt.Sprint("u", i) }
	for _, row := range []struct {
		what  string
		name  Name
		event func(i int) Event
		n     int
		most  int // of entries
		last  string
	}{
		{"networks", AttemptUnavailable, func(i int) Event { return Event{Network: network(i)} }, 50_000,
			mostNetworks + 1, `"network":"others"`},
		{"networks at each limit", AttemptLimited, func(i int) Event { return Event{Network: network(i), Limit: fmt.Sprint("lock", i%2)} }, 50_000,
			2 * (mostNetworks + 1), `"network":"others","limit":"lock`},
		{"networks at each client", ClientUnauthenticated, func(i int) Event { return Event{Network: network(i), Client: fmt.Sprint("c", i%3)} }, 50_000,
			3 * (mostNetworks + 1), `"network":"others","client":"c`},
		{"networks at many clients", ClientUnauthenticated, func(i int) Event { return Event{Network: network(i), Client: fmt.Sprint("c", i%1000)} }, 50_000,
			mostTold + 1000, `"network":"others","client":"c`},
		{"networks at more clients than anyone has", ClientUnauthenticated, func(i int) Event { return Event{Network: network(i), Client: fmt.Sprint("c", i)} }, mostTold + mostCombinations + 50,
			mostTold + mostCombinations + 1, `"network":"others","client":"others","endpoint":"others"`},
		{"users", AccessRevoked, func(i int) Event { return Event{Subject: user(i), Actor: user(i), Client: "c"} }, 50_000,
			mostTold + 1, `"sub":"others","by":"others","client":"c"`},
		{"sessions of a user", PersonDownloaded, func(i int) Event { return Event{Subject: "u", Actor: fmt.Sprint(i)} }, 50_000,
			mostOfOne + 1, `"sub":"others","by":"others"`},
		{"scopes of a user", ConsentGiven, func(i int) Event { return Event{Subject: "u", Scope: fmt.Sprint(i)} }, 50_000,
			mostOfOne + 1, `"scope":"others"`},
		{"grants of a user", GrantRevoked, func(i int) Event { return Event{Subject: "u", Grant: fmt.Sprint(i)} }, 50_000,
			mostOfOne + 1, `"grant":"others"`},
		{"sessions", SessionUsed, func(i int) Event { return Event{Session: fmt.Sprint(i)} }, 50_000,
			mostTold + 1, `"sid":"others"`},
		{"attempts", AttemptMismatch, func(i int) Event { return Event{Attempt: fmt.Sprint(i)} }, 50_000,
			mostTold + 1, `"attempt":"others"`},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := newWritten(slog.LevelError)
			for i := range row.n {
				e := row.event(i)
				e.Name = row.name
				w.Record(t.Context(), e)
			}
			if got := len(w.tables[kind{descriptions[row.name].Level, string(row.name)}].entries); got != row.most {
				t.Errorf("%d entries in memory, want %d", got, row.most)
			}
			w.Flush()
			lines := w.lines()
			if got := total(t, lines, string(row.name)); got != row.n || w.events[row.name] != row.n {
				t.Errorf("the log accounts for %d events and the observer for %d, want %d", got, w.events[row.name], row.n)
			}
			if len(lines) > 2*row.most {
				t.Errorf("%d lines, want at most %d", len(lines), 2*row.most)
			}
			if last := lines[len(lines)-1]; !strings.Contains(last, row.last) {
				t.Errorf("the last line is %s, want one with %s", last, row.last)
			}
			if len(w.tables) != 0 {
				t.Error("the end of the interval frees no memory")
			}
		})
	}
}

// Each key by which the catalogue sums up is one whose values an attacker can multiply,
// or one that the configuration bounds.
func TestKeysAreNamesOrBounded(t *testing.T) {
	bounded := map[string]bool{"client": true, "endpoint": true, "limit": true, "kind": true}
	for _, d := range Events {
		for _, key := range d.Per {
			if names[key] == bounded[key] {
				t.Errorf("%s is summed up by %s: bounded %v, a name %v; want one of the two", d.Name, key, bounded[key], names[key])
			}
		}
	}
}

// guess records n failed authentications of a network.
func (w *written) guess(t *testing.T, addr, client, endpoint string, n int) {
	for range n {
		w.Record(t.Context(), Event{Name: ClientUnauthenticated, Network: addr + "/32", Client: client, Endpoint: endpoint})
	}
}

// However many clients and endpoints one network tries, it hides neither which client
// it guesses at nor the network of another.
func TestThreat_OneNetworkHidesNothing(t *testing.T) {
	endpoints := []string{"token", "revocation", "introspection"}
	for _, clients := range []int{70, 4000} {
		w := newWritten(slog.LevelError)
		for i := range clients {
			for _, at := range endpoints {
				w.guess(t, "127.0.0.1", fmt.Sprint("c", i), at, 1)
			}
		}
		w.lines()
		w.guess(t, "127.0.0.1", "payroll", "token", 500)
		w.guess(t, "127.0.0.2", "payroll", "token", 500)
		w.Flush()
		lines := w.lines()
		all := strings.Join(lines, "\n")
		if got := total(t, lines, "client.unauthenticated"); got != 1000 {
			t.Errorf("%d clients: the log accounts for %d guesses, want 1000:\n%s", clients, got, all)
		}
		if n := strings.Count(all, `"client":"payroll"`); n != len(lines) {
			t.Errorf("%d clients: %d of %d lines name the client, want all:\n%s", clients, n, len(lines), all)
		}
		if want := `"network":"127.0.0.2/32","client":"payroll","endpoint":"token","more":499}`; !strings.Contains(all, want) {
			t.Errorf("%d clients: the log has no %s:\n%s", clients, want, all)
		}
	}
}

// A flood at one limit, or one outcome of callbacks, does not hide another.
func TestThreat_OneFloodHidesNoOther(t *testing.T) {
	w := newWritten(slog.LevelInfo)
	note := func(network, app, outcome string) {
		w.Note(from(t, network), slog.LevelInfo, "callback", []slog.Attr{slog.String("app", app), slog.String("outcome", outcome)}, func() []slog.Attr { return nil })
	}
	for i := range 1000 {
		addr := strings.TrimSuffix(network(i), "/32")
		w.Record(t.Context(), Event{Name: AttemptLimited, Network: network(i), Limit: "network"})
		note(addr, "a", "unknown")
	}
	w.lines()
	for range 2 {
		w.Record(t.Context(), Event{Name: AttemptLimited, Network: "192.0.2.7/32", Limit: "deployment"})
		note("192.0.2.7", "a", "slow")
		note("192.0.2.7", "b", "unknown")
	}
	w.Flush()
	all := strings.Join(w.lines(), "\n")
	for _, want := range []string{
		`"network":"192.0.2.7/32","limit":"deployment","more":1}`,
		`"app":"a","outcome":"slow","network":"192.0.2.7/32","more":1}`,
		`"app":"b","outcome":"unknown","network":"192.0.2.7/32","more":1}`,
		`"network":"others","limit":"network","more":899}`,
		`"app":"a","outcome":"unknown","network":"others","more":899}`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the log has no %s", want)
		}
	}
}

func network(i int) string { return fmt.Sprintf("10.%d.%d.%d/32", i>>16&255, i>>8&255, i&255) }

// Any warning and error that requests cause is summed up, by message and network, in
// every part of the program. Other lines are not.
func TestThreat_WarningsAndErrorsAreBounded(t *testing.T) {
	w := newWritten(slog.LevelInfo)
	log := w.Logger()
	part := log.With("part", "p").WithGroup("g")
	for i := range 1000 {
		log.ErrorContext(from(t, "2001:db8::1"), "a page failed", "i", i)
		log.ErrorContext(from(t, "2001:db8:0:1::1"), "a page failed", "i", i) // the same /48
		log.ErrorContext(from(t, "192.0.2.7"), "a page failed", "i", i)
		part.WarnContext(from(t, "192.0.2.7"), "other", "i", i)
		log.Error("no request")
	}
	for range 20 {
		log.InfoContext(from(t, "192.0.2.7"), "information")
		log.DebugContext(from(t, "192.0.2.7"), "detail")
	}
	if got, want := len(w.lines()), 4*mostAlike+20; got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	w.Flush()
	w.want(t,
		`{"level":"ERROR","msg":"a page failed","network":"2001:db8::/48","more":1990}`,
		`{"level":"ERROR","msg":"a page failed","network":"192.0.2.7/32","more":990}`,
		`{"level":"WARN","msg":"other","part":"p","g":{"network":"192.0.2.7/32","more":990}}`,
		`{"level":"ERROR","msg":"no request","more":990}`)
	if w.counts.lines[slog.LevelError] != 4000 || w.counts.lines[slog.LevelWarn] != 1000 || len(w.counts.lines) != 2 {
		t.Errorf("counted %v, want 4000 errors and 1000 warnings", w.counts.lines)
	}
}

// A warning below the log's level has no line and no sum. It is counted all the same.
func TestWarningsBelowTheLevelAreCounted(t *testing.T) {
	w := newWritten(slog.LevelError)
	for _, log := range []*slog.Logger{w.Logger(), w.Logger().With("a", 1), w.Logger().WithGroup("g")} {
		for range 2 * mostAlike {
			log.Warn("below the level")
			log.Info("information")
		}
	}
	w.Note(t.Context(), slog.LevelWarn, "callback", nil, nil)
	w.Flush()
	w.want(t, "")
	if w.counts.lines[slog.LevelWarn] != 6*mostAlike+1 || len(w.counts.lines) != 1 {
		t.Errorf("counted %v, want %d warnings", w.counts.lines, 6*mostAlike+1)
	}
}

// A sum has the attributes of its own lines, and never those of others with the same
// message. Attributes that a stranger could multiply keep memory bounded.
func TestSumsHaveTheirOwnAttributes(t *testing.T) {
	w := newWritten(slog.LevelInfo)
	log := w.Logger()
	for range mostAlike + 1 {
		log.With("host", "a").Warn("no answer")
		log.With("host", "b").Warn("no answer")
		log.WithGroup("host").With("a", "").Warn("no answer")
		log.WithGroup("host").Warn("no answer", "a", "")
		log.Warn("no answer")
	}
	w.lines()
	w.Flush()
	w.want(t,
		`{"level":"WARN","msg":"no answer","host":"a","more":1}`,
		`{"level":"WARN","msg":"no answer","host":"b","more":1}`,
		`{"level":"WARN","msg":"no answer","host":{"a":"","more":1}}`,
		`{"level":"WARN","msg":"no answer","host":{"more":1}}`,
		`{"level":"WARN","msg":"no answer","more":1}`)

	other := Log(w.base.With("log", "other"), w.Sums)
	for range 2 {
		w.Record(t.Context(), Event{Name: ConsentDenied})
		other.Record(t.Context(), Event{Name: ConsentDenied})
	}
	w.lines()
	w.Flush()
	w.want(t,
		`{"level":"INFO","msg":"consent.denied","log":"audit","sub":"","client":"","more":1}`,
		`{"level":"INFO","msg":"consent.denied","log":"other","sub":"","client":"","more":1}`)

	for i := range 1000 {
		for range mostAlike + 1 {
			log.With("host", i).Warn("no answer")
		}
	}
	if got, most := len(w.tables[kind{slog.LevelWarn, "no answer"}].entries), mostHandlers+1; got != most {
		t.Errorf("%d entries in memory, want %d", got, most)
	}
	w.lines()
	w.Flush()
	lines := w.lines()
	if got, want := lines[len(lines)-1], fmt.Sprintf(`{"level":"WARN","msg":"no answer","more":%d}`, (1000-mostHandlers)*(mostAlike+1)-mostAlike); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Callbacks are told apart by what the receiver says and by the sender's network.
func TestNote(t *testing.T) {
	w := newWritten(slog.LevelInfo)
	details := 0
	note := func(addr, outcome string) {
		w.Note(from(t, addr), slog.LevelWarn, "callback", []slog.Attr{slog.String("outcome", outcome)}, func() []slog.Attr {
			details++
			return []slog.Attr{slog.String("from", addr)}
		})
	}
	for range 3 {
		note("192.0.2.7", "slow")
		note("192.0.2.7", "malformed")
		note("192.0.2.8", "slow")
	}
	w.want(t,
		`{"level":"WARN","msg":"callback","outcome":"slow","from":"192.0.2.7"}`,
		`{"level":"WARN","msg":"callback","outcome":"malformed","from":"192.0.2.7"}`,
		`{"level":"WARN","msg":"callback","outcome":"slow","from":"192.0.2.8"}`)
	w.Flush()
	w.want(t,
		`{"level":"WARN","msg":"callback","outcome":"slow","network":"192.0.2.7/32","more":2}`,
		`{"level":"WARN","msg":"callback","outcome":"malformed","network":"192.0.2.7/32","more":2}`,
		`{"level":"WARN","msg":"callback","outcome":"slow","network":"192.0.2.8/32","more":2}`)
	w.Note(t.Context(), slog.LevelInfo, "callback", nil, func() []slog.Attr { return nil })
	w.want(t, `{"level":"INFO","msg":"callback"}`)
	if details != 3 || w.counts.lines[slog.LevelWarn] != 9 || len(w.counts.lines) != 1 {
		t.Errorf("%d details and %v lines, want 3 and 9 warnings", details, w.counts.lines)
	}
	w.Note(t.Context(), slog.LevelDebug, "callback", nil, nil)
	w.Flush()
	w.want(t, "")
}

func TestSumsWithoutAnObserver(t *testing.T) {
	sums := NewSums(slog.New(slog.DiscardHandler), nil)
	sums.Logger().Warn("a warning")
	Log(slog.New(slog.DiscardHandler), sums).Record(t.Context(), Event{Name: KeysRotated})
}

// The log has every line exactly once, as itself or in a number, when many goroutines
// write and an interval ends meanwhile.
func TestSumsAreSafeForConcurrentUse(t *testing.T) {
	w := newWritten(slog.LevelError)
	const senders, each = 8, 500
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for range each {
				w.Record(t.Context(), Event{Name: ChallengeUnsolved, Network: network(i)})
			}
		})
	}
	for range 20 {
		w.Flush()
	}
	wg.Wait()
	w.Flush()
	if got := total(t, w.lines(), "challenge.unsolved"); got != senders*each {
		t.Errorf("the log accounts for %d events, want %d", got, senders*each)
	}
}
