// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"

	"github.com/jackc/pgx/v5"
)

// fieldOf returns the option that a check refuses, "" for none.
func fieldOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	setup, ok := errors.AsType[*SetupError](err)
	if !ok {
		t.Errorf("%v, want an error of an option", err)
		return "?"
	}
	return setup.Field
}

// What the server will need is tried, and nothing is left of it.
func TestCheckRights(t *testing.T) {
	owned, fresh := fresh(t), fresh(t)
	open(t, Options{DSN: redact.Text(owned)}).Close()
	exec(t, owned, "CREATE ROLE partial LOGIN")
	t.Cleanup(func() { exec(t, owned, "DROP OWNED BY partial; DROP ROLE partial") })
	exec(t, owned, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO partial")
	check := func(dsn string) error {
		_, err := Check(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)})
		return err
	}
	as := func(dsn string) string { return strings.Replace(dsn, "user=calleridp", "user=partial", 1) }
	if err := check(as(owned)); err != nil {
		t.Errorf("with all rights: %v", err)
	}
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		for _, table := range tables {
			exec(t, owned, "REVOKE "+right+" ON "+table+" FROM partial")
			if field := fieldOf(t, check(as(owned))); field != "DSN" {
				t.Errorf("without %s on %s: an error of %q", right, table, field)
			}
			exec(t, owned, "GRANT "+right+" ON "+table+" TO partial")
		}
	}
	if field := fieldOf(t, check(as(fresh))); field != "DSN" {
		t.Errorf("without the right to make tables: an error of %q", field)
	}
	if err := check(fresh); err != nil {
		t.Errorf("an empty database: %v", err)
	}
	var left int
	conn, err := pgx.Connect(t.Context(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("the check has left %d tables, %v", left, err)
	}
}

// A store that belongs to another issuer would not be served.
func TestCheckIssuer(t *testing.T) {
	dsn := fresh(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	check := func(issuer string) error {
		_, err := Check(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn), Issuer: issuer})
		return err
	}
	if err := check("https://a.example"); err != nil {
		t.Errorf("a store that no server has used: %v", err)
	}
	if err := s.PinIssuer(t.Context(), "https://a.example"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for issuer, want := range map[string]error{"https://a.example": nil, "https://b.example": ErrIssuer, "": nil} {
		if err := check(issuer); !errors.Is(err, want) {
			t.Errorf("a store of https://a.example with %q: %v, want %v", issuer, err, want)
		}
	}
}

// Poolers are where they are expected.
func TestCheckPoolers(t *testing.T) {
	through, err := pooler()
	if err != nil {
		t.Fatal(err)
	}
	direct := fresh(t)
	pooled := through(direct)
	for _, row := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no pooler", Options{DSN: redact.Text(direct)}, ""},
		{"a pooler", Options{DSN: redact.Text(pooled), Pooler: true}, ""},
		{"a pooler that is not there", Options{DSN: redact.Text(direct), Pooler: true}, ""},
		{"a pooler that nobody expects", Options{DSN: redact.Text(pooled)}, "Pooler"},
		{"listening beside the pooler", Options{DSN: redact.Text(pooled), Pooler: true, ListenDSN: redact.Text(direct)}, ""},
		{"listening through the pooler", Options{DSN: redact.Text(pooled), Pooler: true, ListenDSN: redact.Text(pooled)}, "ListenDSN"},
		{"listening to another database", Options{DSN: redact.Text(pooled), Pooler: true, ListenDSN: redact.Text(fresh(t)), heardWithin: time.Second}, "ListenDSN"},
		{"listening to nobody", Options{DSN: redact.Text(direct), ListenDSN: "host=/nowhere"}, "ListenDSN"},
	} {
		_, err := Check(t.Context(), testMaster(t), row.options)
		if field := fieldOf(t, err); field != row.want {
			t.Errorf("%s: %v, want an error of %q", row.name, err, row.want)
		}
	}
	// One that lets our settings through, which then reach some connection.
	lax, err := laxPooler()
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{options: Options{DSN: redact.Text(lax(direct))}.withDefaults()}
	if err := s.checkPooler(t.Context()); fieldOf(t, err) != "Pooler" {
		t.Errorf("a pooler with which prepared statements happen to work: %v", err)
	}
	if _, err := Check(t.Context(), testMaster(t), Options{DSN: redact.Text(lax(direct))}); fieldOf(t, err) != "Pooler" {
		t.Errorf("a pooler that ignores settings: %v", err)
	}
	if _, err := Check(t.Context(), testMaster(t), Options{DSN: redact.Text(direct), ListenDSN: redact.Text(lax(direct))}); fieldOf(t, err) != "ListenDSN" {
		t.Errorf("listening through it: %v", err)
	}
}

// warned returns the reasons of warnings.
func warned(t *testing.T, o Options) string {
	t.Helper()
	warnings, err := Check(t.Context(), testMaster(t), o)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, w := range warnings {
		all = append(all, w.Field+": "+w.Reason)
	}
	return strings.Join(all, "\n")
}

// What may lose acknowledged changes is a warning; with a standby, one connects to the
// primary.
func TestFailover(t *testing.T) {
	primary := started(t, pgtest.Options{TCP: true, Durable: true, Settings: []string{"max_connections = 20"}})
	ctx := t.Context()
	alone := Options{DSN: redact.Text(primary.DSN("postgres")), MaxConnections: 5}
	if got := warned(t, alone); got != "" {
		t.Errorf("a database as it should be: %s", got)
	}
	few := alone
	few.MaxConnections = 30
	if got := warned(t, few); !strings.Contains(got, "MaxConnections: the database allows this user 17 connections, and this server alone may open 32") {
		t.Errorf("too few connections: %q", got)
	}
	exec(t, string(alone.DSN), "ALTER ROLE calleridp CONNECTION LIMIT 5")
	if got := warned(t, alone); !strings.Contains(got, "allows this user 5 connections, and this server alone may open 7") {
		t.Errorf("a limit of the role: %q", got)
	}
	exec(t, string(alone.DSN), "ALTER ROLE calleridp CONNECTION LIMIT -1")
	exec(t, string(alone.DSN), "ALTER ROLE calleridp SET synchronous_commit = 'off'")
	if got := warned(t, alone); !strings.Contains(got, "synchronous_commit off") {
		t.Errorf("commits that do not wait for the disk: %q", got)
	}
	exec(t, string(alone.DSN), "ALTER ROLE calleridp RESET ALL")
	if got := warned(t, Options{DSN: redact.Text(fresh(t))}); !strings.Contains(got, "fsync") {
		t.Errorf("without fsync: %q", got)
	}

	replica, err := primary.Replica(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Stop)
	until(t, "the replica streams", func() bool { return strings.Contains(warned(t, alone), "asynchronously") })
	both := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=calleridp dbname=postgres sslmode=disable", replica.Port(), primary.Port())
	if _, err := Check(ctx, testMaster(t), Options{DSN: redact.Text(replica.DSN("postgres"))}); fieldOf(t, err) != "DSN" || !strings.Contains(err.Error(), "must be the primary") {
		t.Errorf("a replica: %v", err)
	}
	if _, err := Check(ctx, testMaster(t), Options{DSN: redact.Text(replica.DSN("postgres") + " target_session_attrs=prefer-standby")}); fieldOf(t, err) != "DSN" {
		t.Errorf("a replica on purpose: %v", err)
	}

	// The primary dies, and the replica is promoted, synchronous until then.
	if err := primary.WaitForReplica(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, "replication is synchronous", func() bool { return warned(t, alone) == "" })
	s := open(t, Options{DSN: redact.Text(both), RecoverFor: time.Minute})
	impatient := open(t, Options{DSN: redact.Text(both), RecoverFor: time.Millisecond})
	a := newAttempt()
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	check := load(t, s, 4, 20, func() {
		if primary.Running() {
			primary.Kill()
			// The replica would answer, and may lack the newest.
			if _, err := impatient.Attempt(ctx, a.ID); !errors.Is(err, ErrUnavailable) {
				t.Errorf("reading without a primary: %v, want %v", err, ErrUnavailable)
			}
			if err := replica.Promote(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	check(0)
	if primary.Running() {
		t.Error("there was no failover")
	}
	if err := count(ctx, s, a.ID); err != nil || counted(t, s, a.ID) != 1 {
		t.Errorf("what was stored before: %v", err)
	}
}
