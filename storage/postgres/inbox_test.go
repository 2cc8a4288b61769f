// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"

	"github.com/jackc/pgx/v5"
)

// logged is what a store logs.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *logged) log() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestOneProcessHoldsADelivery(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			o := Options{DSN: redact.Text(database(t)), Isolation: isolation}
			storagetest.OneHoldsADelivery(t, open(t, o), open(t, o), open(t, o))
		})
	}
}

func put(t *testing.T, s *Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if held, err := s.PutDelivery(t.Context(), truecaller.Delivery{ID: id, Received: time.Now()}); err != nil || !held {
			t.Fatalf("delivery %s: held %v, %v", id, held, err)
		}
	}
}

func has(t *testing.T, s *Store, want int) {
	t.Helper()
	got, err := s.Deliveries(t.Context(), 10)
	if err != nil || len(got) != want {
		t.Errorf("%d deliveries, %v, want %d", len(got), err, want)
	}
}

// renewed waits until the process has said that it works on a delivery, after it had
// almost lost it.
func renewed(t *testing.T, s *Store, id string) {
	t.Helper()
	const soon = "UPDATE deliveries SET until = now() + interval '1 hour' WHERE key = $1"
	exec(t, string(s.options.DSN), soon, []byte(id))
	conn, err := pgx.Connect(t.Context(), string(s.options.DSN))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	until(t, "the process says that it works on "+id, func() bool {
		var marked bool
		err := conn.QueryRow(t.Context(), "SELECT until > now() + interval '30 minutes' FROM deliveries WHERE key = $1", []byte(id)).Scan(&marked)
		return err == nil && !marked
	})
}

// One process works on a delivery; if it dies, another one takes it, and if it stops,
// at once.
func TestDeliveriesOfAnotherProcess(t *testing.T) {
	dsn := database(t)
	a, b := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	put(t, a, "1", "2")
	has(t, a, 2)
	has(t, b, 0)
	for _, id := range []string{"1", "2"} {
		if held, err := a.HoldDelivery(t.Context(), id); !held || err != nil {
			t.Errorf("delivery %s is held: %v, %v", id, held, err)
		}
	}
	renewed(t, a, "1") // it still says so after a while
	has(t, b, 0)

	exec(t, dsn, "UPDATE deliveries SET node = 'dead', until = now() WHERE key = '1'")
	has(t, b, 1)
	has(t, a, 1)
	exec(t, dsn, "UPDATE deliveries SET node = 'dead', until = now() WHERE key = '2'")
	put(t, b, "2") // also if Truecaller sends it again
	has(t, b, 2)
	has(t, a, 0)
	if held, err := a.HoldDelivery(t.Context(), "2"); held || err != nil {
		t.Errorf("a delivery of another process is held: %v, %v", held, err)
	}
	b.Close()
	has(t, a, 2)
}

// Whoever has just stored a delivery goes on without asking whether it holds it, once, and
// not if it has dropped or settled it, or another process holds it.
func TestADeliveryThatWasJustStored(t *testing.T) {
	dsn := database(t)
	s, other := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	a := newAttempt()
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	just := time.Now().Add(time.Hour) // however slow the machine is
	holds := func(what string, want bool, wantTrips int) {
		t.Helper()
		trips := 0
		held, err := s.HoldDelivery(Traced(ctx, func() { trips++ }), "1")
		if held != want || err != nil || trips != wantTrips {
			t.Errorf("%s: held %v, %v, in %d round trips; want %v in %d", what, held, err, trips, want, wantTrips)
		}
	}
	put(t, s, "1")
	if since := s.claims.took["1"]; time.Since(since) > time.Minute {
		t.Errorf("what was stored is held since %s", since)
	}
	s.claims.take("1", just)
	holds("stored", true, 0)
	holds("asked for again", true, 1)
	s.claims.take("1", time.Now().Add(-deliveryFresh))
	holds("stored a while ago", true, 1)

	s.claims.take("1", just)
	if err := s.DropDelivery(ctx, "1"); err != nil {
		t.Fatal(err)
	}
	holds("dropped", false, 1)

	put(t, s, "1")
	s.claims.take("1", just)
	if _, err := s.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
		return login.Update{Attempt: a, Effects: login.Effects{Drop: "1"}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	holds("settled", false, 1)

	put(t, other, "1")
	s.claims.take("1", just)
	if held, err := s.PutDelivery(ctx, truecaller.Delivery{ID: "1", Received: time.Now()}); held || err != nil {
		t.Errorf("another's delivery is held: %v, %v", held, err)
	}
	holds("another's", false, 1)
}

// Who stores a callback that another process has had already learns that the attempt does
// not wait any more, although it remembers that it does (invariant 8).
func TestInvariant8_ACallbackThatAnotherProcessHadBefore(t *testing.T) {
	dsn := database(t)
	s, other := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	a := newAttempt()
	a.Correlation = sha256.Sum256([]byte("state"))
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	d := truecaller.Delivery{ID: "d", Received: time.Now(), Callback: truecaller.Callback{State: "state", AccessToken: "token"}}
	had := func(to login.State, learn func() (bool, error)) {
		t.Helper()
		if _, err := other.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
			a.State = to
			return login.Update{Attempt: a}, nil
		}); err != nil {
			t.Fatal(err)
		}
		if held, err := learn(); !held || err != nil {
			t.Fatalf("held %v, %v", held, err)
		}
		if got, err := s.RecallByCorrelation(ctx, a.Correlation); err != nil || got.State != to {
			t.Errorf("the attempt is %s, %v, want %s", got.State, err, to)
		}
	}
	had(login.Waiting, func() (bool, error) { return s.PutDelivery(ctx, d) })
	s.claims.lose(d.ID)
	had(login.Approved, func() (bool, error) { return s.HoldDelivery(ctx, d.ID) })
}

// A live process keeps what it works on: although a row is locked, although its pool is
// busy, and although it looked while a delivery was being stored.
func TestALiveProcessKeepsItsDeliveries(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn), MaxConnections: 2})
	ctx := t.Context()
	other, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())

	t.Run("while one is being stored", func(t *testing.T) {
		tx, err := other.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(ctx, "INSERT INTO deliveries (key, value, node, until, expires, due, attempt) VALUES ('slow', '', 'other', now(), now(), now(), '')")
		if err != nil {
			t.Fatal(err)
		}
		stored := make(chan struct{})
		go func() {
			defer close(stored)
			put(t, s, "slow") // waits for the other transaction
		}()
		var waiting bool
		until(t, "it waits", func() bool {
			err := other.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").Scan(&waiting)
			return err == nil && waiting
		})
		if held, err := s.holdAll(); held || err != nil {
			t.Fatalf("held %v, %v", held, err)
		}
		s.claims.some.Store(false) // as after a look that found nothing
		tx.Rollback(ctx)
		<-stored
		renewed(t, s, "slow")
	})

	t.Run("while a row is locked", func(t *testing.T) {
		put(t, s, "locked", "free")
		tx, err := other.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(ctx)
		if _, err := tx.Exec(ctx, "SELECT FROM deliveries WHERE key = 'locked' FOR UPDATE"); err != nil {
			t.Fatal(err)
		}
		renewed(t, s, "free")
	})

	t.Run("while all connections are in use", func(t *testing.T) {
		put(t, s, "busy")
		for range 2 {
			conn, err := s.pool.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
		}
		renewed(t, s, "busy")
	})

	if o := (Options{}).withDefaults(); deliveryTaken <= o.RecoverFor+deliveryHeld {
		t.Errorf("a delivery is held for %s, and an operation tries for %s to reach the database", deliveryTaken, o.RecoverFor)
	}
}

// A delivery that cannot be read hides no other. It is logged once, and another process
// may try it: one of a newer version, for example.
func TestThreat_DamagedDelivery(t *testing.T) {
	var log logged
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn), Log: log.log()})
	put(t, s, "1", "2", "3", "4")
	exec(t, dsn, "UPDATE deliveries SET value = '\\x01' WHERE key = '1'")
	exec(t, dsn, "UPDATE deliveries SET value = '' WHERE key = '2'")
	exec(t, dsn, "UPDATE deliveries SET value = (SELECT value FROM deliveries WHERE key = '4') WHERE key = '3'")
	exec(t, dsn, "UPDATE deliveries SET due = '-infinity', expires = 'infinity' WHERE key = '4'")
	for range 3 {
		has(t, s, 1)
		if got, err := s.Deliveries(t.Context(), 1); err != nil || len(got) != 1 || got[0].ID != "4" {
			t.Errorf("the first delivery: %v, %v, want 4", got, err)
		}
	}
	if n := log.count("a record cannot be read"); n != 3 {
		t.Errorf("%d lines about three records", n)
	}
	if held, err := s.HoldDelivery(t.Context(), "1"); held || err != nil {
		t.Errorf("a delivery that cannot be read is held: %v, %v", held, err)
	}
	put(t, s, "1", "2", "3") // Truecaller sends them again
	has(t, s, 4)
}

// Two callbacks of one attempt may bring two tokens to two processes. That one of them
// fetches no profile does not fail the attempt while the other is tried: each process
// sees what the other one holds.
func TestInvariant8_TokensAtTwoProcesses(t *testing.T) {
	dsn := database(t)
	a, b := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	attempt := newAttempt()
	attempt.State, attempt.Correlation = login.TokenReceived, sha256.Sum256([]byte("state"))
	if err := a.CreateAttempt(ctx, attempt, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for id, s := range map[string]*Store{"first": a, "second": b} {
		d := truecaller.Delivery{ID: id, Received: time.Now(), Callback: truecaller.Callback{State: "state", AccessToken: id}}
		if held, err := s.PutDelivery(ctx, d); err != nil || !held {
			t.Fatalf("held %v, %v", held, err)
		}
	}
	put(t, a, "of another attempt")
	trying := func(s *Store, want ...string) {
		t.Helper()
		var got []string
		_, err := s.UpdateAttempt(ctx, attempt.ID, func(a login.Attempt) (login.Update, error) {
			got = slices.Sorted(slices.Values(a.Trying))
			return login.Update{}, login.ErrState
		})
		if !errors.Is(err, login.ErrState) || !slices.Equal(got, want) {
			t.Errorf("trying %v, %v, want %v", got, err, want)
		}
	}
	trying(a, "first", "second")
	trying(b, "first", "second")
	if err := a.DropDelivery(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	trying(b, "second")
}
