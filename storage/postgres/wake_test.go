// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"

	"github.com/jackc/pgx/v5"
)

// ears remember what a store has heard.
type ears struct {
	mu    sync.Mutex
	heard map[login.ID]int // "keys" for the signing keys
	news  chan struct{}
}

// listen makes a store listen until the end of the test.
func listen(t *testing.T, s *Store) *ears {
	t.Helper()
	e := &ears{heard: map[login.ID]int{}, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		heard := func(id login.ID, browser [32]byte) {
			if browser != ([32]byte{7}) {
				t.Errorf("heard of browser %x", browser)
			}
			e.mu.Lock()
			e.heard[id]++
			e.mu.Unlock()
			select {
			case e.news <- struct{}{}:
			default:
			}
		}
		s.Listen(ctx, Heard{Attempt: heard, Keys: func() { heard("keys", [32]byte{7}) }})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

// of waits until a change of an attempt was heard.
func (e *ears) of(t *testing.T, id login.ID) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		e.mu.Lock()
		n := e.heard[id]
		e.mu.Unlock()
		if n > 0 {
			return
		}
		select {
		case <-e.news:
		case <-deadline:
			t.Fatalf("nothing was heard of attempt %s", id)
		}
	}
}

func changed(t *testing.T, s *Store) login.ID {
	t.Helper()
	a := newAttempt()
	a.Browser = [32]byte{7}
	if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := count(t.Context(), s, a.ID); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// What one process changes is heard in the other ones: at once while they listen, and
// also if nothing was said, or a connection broke.
func TestWaking(t *testing.T) {
	dsn := database(t)
	const never = time.Hour
	here, there := open(t, Options{DSN: redact.Text(dsn), LookEvery: never}), open(t, Options{DSN: redact.Text(dsn), LookEvery: never})
	own, ears := listen(t, here), listen(t, there)
	until(t, "both listen", func() bool { return here.Listening() && there.Listening() })
	first := changed(t, here)
	ears.of(t, first)

	// A note too.
	noted := newAttempt()
	noted.Browser = [32]byte{7}
	if err := here.CreateAttempt(t.Context(), noted, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	here.NoteAttempt(t.Context(), noted.ID, login.Note{Kind: login.NoteAccepted, At: time.Now(), RequestID: "r"})
	ears.of(t, noted.ID)

	// And new attempts whose callback may have come before them, and signing keys.
	tapped := newAttempt()
	tapped.Method, tapped.Browser = login.OneTap, [32]byte{7}
	if err := here.CreateAttempt(t.Context(), tapped, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	ears.of(t, tapped.ID)
	if err := here.ReplaceSigningKeys(t.Context(), []keys.Record{{ID: "k"}}, 0); err != nil {
		t.Fatal(err)
	}
	ears.of(t, "keys")
	own.mu.Lock()
	defer own.mu.Unlock()
	if len(own.heard) != 0 {
		t.Errorf("a process hears itself: %v", own.heard)
	}
}

func TestWakingWithoutNotifications(t *testing.T) {
	dsn := database(t)
	here := open(t, Options{DSN: redact.Text(dsn)})
	for _, row := range []struct {
		name    string
		options Options
	}{
		{"through a pooler", Options{DSN: redact.Text(dsn), Pooler: true, LookEvery: time.Millisecond}},
		{"nobody can be listened to", Options{DSN: redact.Text(dsn), ListenDSN: "host=/nowhere", LookEvery: time.Millisecond}},
	} {
		there := open(t, row.options)
		listen(t, there).of(t, changed(t, here))
		if there.Listening() {
			t.Errorf("%s: it says that it listens", row.name)
		}
	}

	// While it listens, it looks for what nobody has told.
	there := open(t, Options{DSN: redact.Text(dsn), LookEvery: time.Millisecond})
	ears := listen(t, there)
	until(t, "it listens", there.Listening)
	exec(t, dsn, "INSERT INTO outcomes (at, id, committed, changed) VALUES (now(), 'dead', true, $1)",
		[]string{here.attemptChange(login.Attempt{ID: "untold", Browser: [32]byte{7}})})
	ears.of(t, "untold")

	// A connection that breaks is replaced.
	exec(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock_shared%' AND pid <> pg_backend_pid() AND datname = current_database()")
	ears.of(t, changed(t, here))
	until(t, "it listens again", there.Listening)
	ears.of(t, changed(t, here))
}

// silent is a listener that only looks, when told to.
func silent(s *Store) (*listener, *ears) {
	e := &ears{heard: map[login.ID]int{}}
	return &listener{s: s, now: make(chan struct{}, 1), heard: Heard{
		Attempt: func(id login.ID, _ [32]byte) { e.heard[id]++ },
		Keys:    func() {},
	}}, e
}

// A change is found once, however late its transaction is committed.
func TestLateCommitsAreFound(t *testing.T) {
	dsn := database(t)
	here, there := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	l, ears := silent(there)
	l.look(t.Context())
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	late, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = late.Exec(t.Context(), "INSERT INTO outcomes (at, id, committed, changed) VALUES (now() - interval '10 minutes', 'late', true, $1)",
		[]string{here.attemptChange(login.Attempt{ID: "late", Browser: [32]byte{7}})})
	if err != nil {
		t.Fatal(err)
	}
	first := changed(t, here)
	l.look(t.Context())
	second := changed(t, here)
	l.look(t.Context())
	if ears.heard["late"] != 0 {
		t.Error("a change was heard before it happened")
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.look(t.Context())
	}
	for _, id := range []login.ID{"late", first, second} {
		if n := ears.heard[id]; n != 1 {
			t.Errorf("%s was heard %d times, want once", id, n)
		}
	}
	// Another server that has started has counted otherwise, perhaps.
	l.started = l.started.Add(-time.Hour)
	l.seen = "18446744073709551000:18446744073709551000:"
	third := changed(t, here)
	l.look(t.Context())
	if ears.heard[third] == 0 {
		t.Error("a change at another server was not found")
	}
}

// countedConn counts what connections receive.
type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// Waiting costs the database nothing while nothing happens, however much has happened
// just before.
func TestLookingCostsNothing(t *testing.T) {
	dsn := database(t)
	var received atomic.Int64
	s := open(t, Options{DSN: redact.Text(dsn), LookEvery: time.Hour, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return countedConn{conn, &received}, err
	}})
	exec(t, dsn, `INSERT INTO outcomes (at, id, committed, changed)
		SELECT now(), n::text::bytea, true, ARRAY['another attempt-' || n || ' AAAA'] FROM generate_series(1, 10000) AS n`)
	l, _ := silent(s)
	l.look(t.Context())
	before := received.Load()
	if before < 10000 {
		t.Fatalf("the first look received %d bytes", before)
	}
	for range 10 {
		l.look(t.Context())
	}
	if got := received.Load() - before; got > 10*1000 {
		t.Errorf("ten looks received %d bytes, although nothing has happened", got)
	}
}

// Changes of a dump that was restored are no news, although this server has not counted
// so far yet.
func TestRestoredChangesAreNoNews(t *testing.T) {
	dsn := database(t)
	here, there := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	exec(t, dsn, `INSERT INTO outcomes (at, id, committed, changed, xid)
		SELECT now() - interval '10 minutes', n::text::bytea, true, ARRAY['another restored '||rpad('Bw', 43, 'A')], (1000000000 + n)::text::xid8 FROM generate_series(1, 10) AS n`)
	l, ears := silent(there)
	for range 3 {
		l.look(t.Context())
	}
	if n := ears.heard["restored"]; n != 0 {
		t.Errorf("changes of another server were heard %d times", n)
	}
	id := changed(t, here)
	l.look(t.Context())
	if ears.heard[id] != 1 {
		t.Errorf("a change was heard %d times, want once", ears.heard[id])
	}
}

// While nobody can be listened to, the store looks, says so once, and tries again.
func TestListeningThatFails(t *testing.T) {
	dsn := database(t)
	here := open(t, Options{DSN: redact.Text(dsn)})
	host := filepath.Join(t.TempDir(), "socket")
	later := strings.Replace(dsn, "host="+server.Socket(), "host="+host, 1)
	var log logged
	there := open(t, Options{DSN: redact.Text(dsn), ListenDSN: redact.Text(later), LookEvery: time.Millisecond, Log: log.log()})
	ears := listen(t, there)
	ears.of(t, changed(t, here))
	until(t, "it has tried several times", func() bool { return there.Stats().ListenFailures > 3 })
	if n := log.count("cannot listen"); n != 1 || there.Listening() {
		t.Errorf("%d lines about it, listening %v", n, there.Listening())
	}
	if err := os.Symlink(server.Socket(), host); err != nil {
		t.Fatal(err)
	}
	until(t, "it listens", there.Listening)
	ears.of(t, changed(t, here))
	exec(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock_shared%' AND pid <> pg_backend_pid() AND datname = current_database()")
	until(t, "the broken connection is logged", func() bool { return log.count("cannot listen") == 2 })
	until(t, "it listens again", there.Listening)
}

// A pooler in transaction mode accepts LISTEN, and delivers nothing.
func TestListeningThroughAPooler(t *testing.T) {
	through, err := laxPooler()
	if err != nil {
		t.Fatal(err)
	}
	dsn := database(t)
	here := open(t, Options{DSN: redact.Text(dsn)})
	var log logged
	there := open(t, Options{DSN: redact.Text(dsn), ListenDSN: redact.Text(through(dsn)), LookEvery: time.Millisecond, Log: log.log()})
	ears := listen(t, there)
	ears.of(t, changed(t, here))
	until(t, "it notices", func() bool { return log.count("goes around it") == 1 })
	ears.of(t, changed(t, here))
	if there.Listening() || log.count("listening to the changes") != 0 {
		t.Error("it says that it listens")
	}
}
