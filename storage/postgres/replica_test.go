package postgres

import (
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"

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
	s := open(t, Options{DSN: redact.Text(primary.DSN("postgres"))})
	a := newAttempt()
	if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}

	release := replication.Hold()
	done := make(chan error, 1)
	go func() { done <- count(t.Context(), s, a.ID) }()
	before := waitsForReplica(t, primary, done, 0)
	if err := primary.Terminate(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if again := waitsForReplica(t, primary, done, before); again == 0 {
		t.Error("a commit was acknowledged that the replica does not have")
		release()
		return
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := counted(t, s, a.ID); n != 1 {
		t.Errorf("the attempt was changed %d times, want once", n)
	}
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
