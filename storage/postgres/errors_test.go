// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
)

// failing makes each transaction fail with an SQLSTATE, in the language of the server,
// or so many only.
const failing = `CREATE SEQUENCE IF NOT EXISTS failed;
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF TG_ARGV[1] <> '' AND nextval('failed') > TG_ARGV[1]::int THEN RETURN NEW; END IF;
		PERFORM 1/0;
	EXCEPTION WHEN division_by_zero THEN RAISE EXCEPTION USING ERRCODE = TG_ARGV[0], MESSAGE = SQLERRM;
	END $$;
SELECT setval('failed', 1, false);
CREATE OR REPLACE TRIGGER fail BEFORE INSERT ON outcomes FOR EACH ROW EXECUTE FUNCTION `

// What goes by is ErrUnavailable and never an error of the server's own (500), and the
// server is not ready while it is the database's state. The database's language does
// not matter.
func TestErrorsThatGoBy(t *testing.T) {
	german, err := pgtest.Start(pgtest.Options{Language: "de"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(german.Stop)
	dsn := german.DSN("postgres")
	s := open(t, Options{DSN: redact.Text(dsn), RecoverFor: 20 * time.Millisecond})
	patient := open(t, Options{DSN: redact.Text(dsn)})
	for _, row := range []struct {
		name, code string
		ready      bool
		again      bool
	}{
		{"a conflict", "40001", true, true},
		{"a deadlock", "40P01", true, true},
		{"a rollback", "40000", true, true},
		{"a lock timeout", "55P03", true, true},
		{"a statement timeout", "57014", true, false},
		{"no space on the disk", "53100", false, false},
		{"no memory", "53200", false, false},
		{"a quota", "53400", false, false},
		{"a broken disk", "58030", false, false},
		{"a database that only reads", "25006", false, true},
		{"too many connections", "53300", false, true},
		{"a shutdown", "57P01", false, true},
		{"a right that was revoked", "42501", false, false},
	} {
		exec(t, dsn, failing+"fail('"+row.code+"', '')")
		before := s.Stats()
		err := s.CreateAttempt(t.Context(), newAttempt(), limit.Spend{}, time.Now())
		after := s.Stats()
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v, want %v", row.name, err, ErrUnavailable)
		}
		if ready := s.Healthy() == nil; ready != row.ready {
			t.Errorf("%s: ready %v", row.name, ready)
		}
		if after.Lookups != before.Lookups {
			t.Errorf("%s: the outcome was looked up, though it is known", row.name)
		}
		// Another run helps, or is not tried.
		exec(t, dsn, failing+"fail('"+row.code+"', '1')")
		if err := patient.CreateAttempt(t.Context(), newAttempt(), limit.Spend{}, time.Now()); (err == nil) != row.again {
			t.Errorf("%s: another run: %v, want %v", row.name, err == nil, row.again)
		}
		exec(t, dsn, "DROP TRIGGER fail ON outcomes")
		// Reading alone does not show that the database has room again.
		if _, err := s.Clients(t.Context()); err != nil {
			t.Errorf("%s: reading afterwards: %v", row.name, err)
		}
		if s.tryAgain(t.Context()); s.Healthy() != nil {
			t.Errorf("%s: not ready afterwards: %v", row.name, s.Healthy())
		}
	}

	exec(t, dsn, failing+"fail('53100', '')")
	s.CreateAttempt(t.Context(), newAttempt(), limit.Spend{}, time.Now())
	s.tryAgain(t.Context())
	if _, err := s.Clients(t.Context()); err != nil || s.Healthy() == nil {
		t.Errorf("ready, though the disk is still full (%v)", err)
	}
	exec(t, dsn, failing+"fail('22012', '')")
	if err := s.CreateAttempt(t.Context(), newAttempt(), limit.Spend{}, time.Now()); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("a fault of ours: %v, want an error that does not go by", err)
	}
	// The database says itself that it does not know.
	for _, code := range []string{"40003", "08007"} {
		exec(t, dsn, failing+"fail('"+code+"', '')")
		before := s.Stats().Lookups
		if err := s.CreateAttempt(t.Context(), newAttempt(), limit.Spend{}, time.Now()); !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", code, err)
		}
		if s.Stats().Lookups == before {
			t.Errorf("%s: the outcome was not looked up", code)
		}
	}
	exec(t, dsn, "DROP TRIGGER fail ON outcomes")
	s.tryAgain(t.Context())
	s.tryAgain(t.Context())

	// A plan that is no longer good is made again.
	if _, err := patient.Clients(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, "ALTER TABLE clients ALTER value TYPE text USING encode(value, 'escape')")
	for range 50 { // on each connection
		if _, err := patient.Clients(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, dsn, "ALTER TABLE clients ALTER value TYPE bytea USING decode(value, 'escape')")
}

// What was read in a transaction that failed to commit is not used.
func TestReadingTransactionFails(t *testing.T) {
	proxy, through := proxied(t, database(t))
	s := open(t, Options{DSN: redact.Text(through)})
	runs := 0
	proxy.CutCommits(pgtest.BeforeCommit)
	err := s.write(t.Context(), func(t *txn) error {
		runs++
		return t.look()
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v, want another one after the connection broke", runs, err)
	}
}
