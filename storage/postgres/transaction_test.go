// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
	"calleridp/storage/storagetest"

	"github.com/jackc/pgx/v5"
)

// A transaction whose connection breaks before its commit runs again.
func TestRerun(t *testing.T) {
	proxies := map[storagetest.Engine]*pgtest.Proxy{}
	fresh := func(t *testing.T) storagetest.Place {
		dsn := database(t)
		return func(t *testing.T) storagetest.Engine {
			proxy, through := proxied(t, dsn)
			s := open(t, Options{DSN: redact.Text(through)})
			proxies[s] = proxy
			return s
		}
	}
	storagetest.Rerun(t, fresh, func(e storagetest.Engine, operation func()) {
		proxies[e].CutCommits(pgtest.BeforeCommit)
		operation()
	})
}

// proxied returns a proxy to the server of all tests, and the connection string through it
// for that of a database.
func proxied(t *testing.T, direct string) (proxy *pgtest.Proxy, dsn string) {
	t.Helper()
	proxy, err := pgtest.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	proxy.To(server)
	_, name, _ := strings.Cut(direct, "dbname=")
	return proxy, proxy.DSN(name)
}

// newAttempt returns an attempt of this minute.
func newAttempt() login.Attempt {
	now := time.Now().UTC().Truncate(time.Millisecond)
	a := login.Attempt{ID: login.ID(keys.RandomText(16)), Method: login.Push, State: login.Pushing, App: "main",
		Network: "0", Created: now, Expires: now.Add(5 * time.Minute)}
	copy(a.Correlation[:], keys.RandomText(32))
	return a
}

// count changes an attempt so that each run of it shows.
func count(ctx context.Context, s *Store, id login.ID) error {
	_, err := s.UpdateAttempt(ctx, id, func(a login.Attempt) (login.Update, error) {
		n, err := strconv.Atoi(a.Network)
		a.Network = strconv.Itoa(n + 1)
		return login.Update{Attempt: a}, err
	})
	return err
}

func counted(t *testing.T, s *Store, id login.ID) int {
	t.Helper()
	a, err := s.Attempt(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(a.Network)
	return n
}

// A commit whose answer is lost is looked up: it is not repeated, and no caller is told
// that what has happened has not.
func TestInvariant9_LostAnswers(t *testing.T) {
	proxy, through := proxied(t, database(t))
	s := open(t, Options{DSN: redact.Text(through)})
	ctx := t.Context()
	a := newAttempt()
	code := grant.Code{Hash: grant.CodeHash{1}, Expires: time.Now().Add(time.Minute),
		Grant: grant.Grant{ID: "g", Sub: "s", ClientID: "c", Expires: time.Now().Add(time.Minute)}}
	for _, row := range []struct {
		name string
		run  func() error
	}{
		{"an attempt is created", func() error { return s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()) }},
		{"an attempt is changed", func() error { return count(ctx, s, a.ID) }},
		{"a client is created", func() error { return s.CreateClient(ctx, client.Client{ID: "c"}) }},
		{"the keys are replaced", func() error { return s.ReplaceSigningKeys(ctx, []keys.Record{{ID: "k"}}, 0) }},
		{"a code is created", func() error { return s.CreateCode(ctx, code) }},
		{"a code is used", func() error {
			r, err := s.UseCode(ctx, code.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
				if c.Redeemed {
					return grant.Redemption{Refused: grant.ErrReused}
				}
				c.Redeemed = true
				return grant.Redemption{Code: &c, Grant: &c.Grant}
			})
			return errors.Join(err, r.Refused)
		}},
	} {
		proxy.CutCommits(pgtest.BeforeAnswer)
		before := s.Stats()
		if err := row.run(); err != nil {
			t.Errorf("%s: %v, though it was committed", row.name, err)
		}
		if after := s.Stats(); after.Lookups != before.Lookups+1 || after.Commits != before.Commits+1 {
			t.Errorf("%s: %+v after %+v, want one commit more, which was looked up", row.name, after, before)
		}
	}
	if n := counted(t, s, a.ID); n != 1 {
		t.Errorf("the attempt was changed %d times, want once", n)
	}
}

// Once a transaction was said not to have happened, it never happens, although it was
// only late.
func TestOutcomeIsFinal(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	ctx := t.Context()
	broken := errors.New("broken")
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	late := &txn{batch: batch{s: s}, conn: conn, caller: ctx, ctx: ctx, cancel: func() {}, mode: "READ COMMITTED"}
	defer late.end()
	late.put("INSERT INTO clients (key, value) VALUES ('late', 'late')")
	if err := late.look(); err != nil {
		t.Fatal(err)
	}
	id := []byte("id")
	if err := s.outcome(late.at, id, broken); !errors.As(err, new(errLost)) {
		t.Errorf("a transaction that is not committed: %v, want that it runs again", err)
	}
	if unknown, err := late.commit(id); err == nil || unknown {
		t.Errorf("it was committed afterwards: %v, %v", unknown, err)
	}
	if err := s.outcome(late.at, id, broken); !errors.As(err, new(errLost)) {
		t.Errorf("asked again: %v, want the same", err)
	}
}

// Acknowledged changes are there once, whatever happens to the connections.
func TestTerminatedConnections(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			dsn := database(t)
			s := open(t, Options{DSN: redact.Text(dsn), Isolation: isolation})
			admin, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close(context.Background())
			acknowledged := load(t, s, 8, 25, func() {
				if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
					t.Error(err)
				}
			})
			acknowledged(0)
		})
	}
}

// load changes attempts in several goroutines, and calls harm after every tenth change.
// The function that it returns checks that each change was made once; so many more may
// be there whose outcome was unknown.
func load(t *testing.T, s *Store, goroutines, changes int, harm func()) (check func(unknownAtMost int)) {
	t.Helper()
	ids := make([]login.ID, goroutines)
	for i := range ids {
		a := newAttempt()
		if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		ids[i] = a.ID
	}
	made := make([]atomic.Int64, goroutines)
	var unknown, all atomic.Int64
	var harming sync.Mutex
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for range changes {
				to := (i + 1) % goroutines // two goroutines change each attempt
				if all.Load()%2 == 0 {
					to = i
				}
				switch err := count(context.Background(), s, ids[to]); {
				case err == nil:
					made[to].Add(1)
				case errors.Is(err, ErrUnknown):
					unknown.Add(1)
				case !errors.Is(err, ErrUnavailable):
					t.Error(err)
				}
				if all.Add(1)%10 == 0 && harming.TryLock() {
					harm()
					harming.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return func(unknownAtMost int) {
		t.Helper()
		if n := int(unknown.Load()); n > unknownAtMost {
			t.Errorf("%d changes of unknown outcome, want at most %d", n, unknownAtMost)
		}
		more := 0
		for i, id := range ids {
			n, want := counted(t, s, id), int(made[i].Load())
			if n < want {
				t.Errorf("attempt %d was changed %d times, acknowledged were %d", i, n, want)
			}
			more += n - want
		}
		if more > int(unknown.Load()) {
			t.Errorf("%d changes more than were acknowledged, and %d of unknown outcome", more, unknown.Load())
		}
	}
}

// A server that crashes and recovers loses no acknowledged change, and the store goes
// on by itself.
func TestServerCrash(t *testing.T) {
	crashing, err := pgtest.Start(pgtest.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(crashing.Stop) // after the store is closed
	s := open(t, Options{DSN: redact.Text(crashing.DSN("postgres")), RecoverFor: time.Minute})
	crashes := 0
	check := load(t, s, 4, 15, func() {
		if crashes++; crashes > 2 {
			return
		}
		crashing.Kill()
		if err := crashing.Restart(); err != nil {
			t.Error(err)
		}
	})
	check(0)
	if crashes == 0 {
		t.Error("the server never crashed")
	}
}

// While the database is away, operations fail in time and say so, and the store is not
// healthy; afterwards both are as before.
func TestUnavailable(t *testing.T) {
	away, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(away.Stop)
	s := open(t, Options{DSN: redact.Text(away.DSN("postgres")), RecoverFor: 50 * time.Millisecond})
	a := newAttempt()
	if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	away.Kill()
	if _, err := s.Attempt(t.Context(), a.ID); !errors.Is(err, ErrUnavailable) {
		t.Errorf("reading: %v, want %v", err, ErrUnavailable)
	}
	if err := count(t.Context(), s, a.ID); !errors.Is(err, ErrUnavailable) {
		t.Errorf("changing: %v, want %v", err, ErrUnavailable)
	}
	if s.Healthy() == nil {
		t.Error("the store is healthy without its database")
	}
	if err := away.Restart(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for s.tryAgain(t.Context()); s.Healthy() != nil; s.tryAgain(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatal(s.Healthy())
		}
	}
}
