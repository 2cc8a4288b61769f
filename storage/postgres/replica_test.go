// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
	"calleridp/truecaller"

	"github.com/jackc/pgx/v5"
)

// A commit is acknowledged when the synchronous replica has it, also if the connection
// ends that waited for it: PostgreSQL then shows the commit before the replica has it.
func TestTheOutcomeWaitsForTheReplica(t *testing.T) {
	primary, err := pgtest.Start(pgtest.Options{Settings: []string{"synchronous_commit = on"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(primary.Stop)
	replication, err := pgtest.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replication.Close)
	replication.To(primary)
	replica, err := primary.Replica(replication)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Stop)
	if err := primary.WaitForReplica(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{DSN: redact.Text(primary.DSN("postgres"))})
	a := newAttempt()
	if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}

	token := grant.TokenHash{1}
	_, err = s.UseGrant(t.Context(), storedGrant(t, s), func(g grant.Grant) grant.Redemption {
		return grant.Redemption{Grant: &g, Access: &grant.AccessToken{Hash: token, GrantID: g.ID, Expires: g.Expires}}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		run  func() error
	}{
		{"an attempt is changed", func() error { return count(t.Context(), s, a.ID) }},
		{"an access token is revoked", func() error { return s.DropAccessToken(t.Context(), token) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			release := replication.Hold()
			defer release()
			done := make(chan error, 1)
			go func() { done <- row.run() }()
			before := waitsForReplica(t, primary, done, 0)
			if err := primary.Terminate(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			if again := waitsForReplica(t, primary, done, before); again == 0 {
				t.Fatal("a commit was acknowledged that the replica does not have")
			}
			release()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a callback that another process has got", func(t *testing.T) {
		other := open(t, Options{DSN: redact.Text(primary.DSN("postgres"))})
		d := truecaller.Delivery{ID: "d", Received: time.Now()}
		release := replication.Hold()
		defer release()
		first, gone := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := other.PutDelivery(first, d); ended <- err }()
		before := waitsForReplica(t, primary, ended, 0)
		gone() // so that it is not tried again
		if err := primary.Terminate(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		<-ended
		done := make(chan error, 1)
		go func() {
			held, err := s.PutDelivery(t.Context(), d)
			if held {
				err = errors.New("two processes hold a delivery")
			}
			done <- err
		}()
		if again := waitsForReplica(t, primary, done, before); again == 0 {
			t.Fatal("a callback was acknowledged that the replica does not have")
		}
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if n := counted(t, s, a.ID); n != 1 {
		t.Errorf("the attempt was changed %d times, want once", n)
	}
	if _, _, err := s.AccessToken(t.Context(), token); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the revoked token: %v, want that there is none", err)
	}
}

// storedGrant stores a grant, and returns its ID.
func storedGrant(t *testing.T, s *Store) string {
	t.Helper()
	g := grant.Grant{ID: "g", ClientID: "c", Expires: time.Now().Add(time.Hour)}
	code := grant.Code{Hash: grant.CodeHash{1}, Expires: g.Expires, Grant: g}
	if err := s.CreateCode(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	_, err := s.UseCode(t.Context(), code.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
		c.Redeemed = true
		return grant.Redemption{Code: &c, Grant: &c.Grant}
	})
	if err != nil {
		t.Fatal(err)
	}
	return g.ID
}

// waitsForReplica returns the backend whose commit waits for the replica, another than
// but; 0 if done was faster.
func waitsForReplica(t *testing.T, primary *pgtest.Server, done chan error, but int) (backend int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), primary.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for {
		err := conn.QueryRow(t.Context(), `SELECT coalesce(max(pid), 0) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND wait_event = 'SyncRep' AND pid <> $1`, but).Scan(&backend)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Logf("the change has ended: %v", err)
			return 0
		case <-time.After(time.Millisecond):
		}
		if backend > 0 {
			return backend
		}
	}
}
