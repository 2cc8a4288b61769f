package postgres

import (
	"context"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
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
	exec(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
	ears.of(t, changed(t, here))
	until(t, "it listens again", there.Listening)
	ears.of(t, changed(t, here))
}
