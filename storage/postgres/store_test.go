// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/storage/record"
	"calleridp/truecaller"

	"github.com/jackc/pgx/v5"
)

// exec runs SQL in a database.
func exec(t testing.TB, dsn, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// Every refusal has an error of its own and says what to do.
func TestOpenRefuses(t *testing.T) {
	dsn := database(t)
	open(t, Options{DSN: redact.Text(dsn)}).Close()
	other, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	newer, err := server.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	open(t, Options{DSN: redact.Text(newer)}).Close()
	exec(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	open(t, Options{DSN: redact.Text(newer)}).Close() // it was only expanded
	exec(t, newer, "UPDATE meta SET value = '999' WHERE key = 'oldest_program'")
	const secret = "hunter2"
	for _, row := range []struct {
		name   string
		dsn    string
		master *keys.Master
		want   error
		says   string
	}{
		{"another master key", dsn, other, ErrWrongMasterKey, "restore that key"},
		{"a newer schema", newer, testMaster(t), ErrNewerSchema, "restore a backup"},
		{"no TLS in a network", "postgres://u:" + secret + "@192.0.2.1/db?sslmode=disable", testMaster(t), ErrInsecure, "verify-full"},
		{"perhaps no TLS", "postgres://u:" + secret + "@192.0.2.1/db", testMaster(t), ErrInsecure, "verify-full"},
		{"any certificate", "postgres://u:" + secret + "@192.0.2.1/db?sslmode=require", testMaster(t), ErrInsecure, "verify-full"},
		{"any name", "host=192.0.2.1,192.0.2.2 password=" + secret + " sslmode=verify-ca", testMaster(t), ErrInsecure, "verify-full"},
		{"nonsense", "postgres://u:" + secret + "@192.0.2.1:port/db", testMaster(t), nil, "cannot be read"},
		{"an unknown setting", "host=192.0.2.1 password=" + secret + " sslmode=perhaps", testMaster(t), nil, "cannot be read"},
	} {
		s, err := Open(t.Context(), row.master, Options{DSN: redact.Text(row.dsn), RecoverFor: time.Millisecond})
		if err == nil {
			s.Close()
			t.Errorf("%s: opened", row.name)
			continue
		}
		if row.want != nil && !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want %v and %q", row.name, err, row.want, row.says)
		}
	}
	for _, row := range []struct {
		name   string
		dsn    string
		master *keys.Master
		want   error
	}{
		{"all is well", dsn, testMaster(t), nil},
		{"another master key", dsn, other, ErrWrongMasterKey},
		{"a newer schema", newer, testMaster(t), ErrNewerSchema},
		{"nobody answers", "host=/nowhere", testMaster(t), ErrUnavailable},
	} {
		if _, err := Check(t.Context(), row.master, Options{DSN: redact.Text(row.dsn)}); !errors.Is(err, row.want) {
			t.Errorf("checking, %s: %v, want %v", row.name, err, row.want)
		}
	}

	s := open(t, Options{DSN: redact.Text(dsn)})
	if err := s.PinIssuer(t.Context(), "https://a.example"); err != nil {
		t.Fatal(err)
	}
	if err := s.PinIssuer(t.Context(), "https://b.example"); !errors.Is(err, ErrIssuer) {
		t.Errorf("another issuer: %v", err)
	}
	s.Close()
	if _, err := s.Clients(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What has expired is deleted, and nothing else; also through PgBouncer in transaction
// mode, where a lock of a session would stay behind on some connection.
func TestSweep(t *testing.T) {
	t.Run("directly", func(t *testing.T) { testSweep(t, Options{DSN: redact.Text(database(t))}) })
	t.Run("through a pooler", func(t *testing.T) {
		through, err := pooler()
		if err != nil {
			t.Fatal(err)
		}
		testSweep(t, Options{DSN: redact.Text(through(database(t))), Pooler: true})
	})
}

func testSweep(t *testing.T, o Options) {
	s := open(t, o)
	ctx := t.Context()
	old, fresh := newAttempt(), newAttempt()
	old.Expires = time.Now().Add(-2 * record.AttemptKept)
	old.Form, fresh.Form = [32]byte{1}, [32]byte{2}
	spend := limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: "gone"}, LockFor: -time.Hour}
	if err := s.CreateAttempt(ctx, old, spend, time.Now()); err != nil {
		t.Fatal(err)
	}
	spend = limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: "held"}, LockFor: time.Hour}
	if err := s.CreateAttempt(ctx, fresh, spend, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDelivery(ctx, truecaller.Delivery{ID: "old", Received: time.Now().Add(-2 * record.DeliveryKept)}); err != nil {
		t.Fatal(err)
	}
	exec(t, string(s.options.DSN), "UPDATE limits SET due = now() - interval '1 hour'")
	exec(t, string(s.options.DSN), "INSERT INTO outcomes (at, id, committed) SELECT now() - interval '2 hours', n::text::bytea, true FROM generate_series(1, 1200) AS n")
	before := rows(t, s)
	if err := s.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	after := rows(t, s)
	for table, want := range map[string]int{"attempts": 1, "forms": 1, "deliveries": 0, "limits": 1} {
		if after[table] != want {
			t.Errorf("%s: %d rows after %d, want %d", table, after[table], before[table], want)
		}
	}
	if _, err := s.Attempt(ctx, fresh.ID); err != nil {
		t.Error(err)
	}
	var stale, undue int
	err := s.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM outcomes WHERE at < now() - interval '1 hour'), (SELECT count(*) FROM limits WHERE due <> expires)`).
		Scan(&stale, &undue)
	if err != nil || stale != 0 || undue != 0 {
		t.Errorf("%d outcomes and %d places in the order of sweeping are old, %v", stale, undue, err)
	}

	// Another process that sweeps keeps this one from it.
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", sweepLock); err != nil {
		t.Fatal(err)
	}
	exec(t, string(s.options.DSN), "UPDATE attempts SET due = now(), expires = now()")
	exec(t, string(s.options.DSN), "INSERT INTO outcomes (at, id, committed) VALUES (now() - interval '2 hours', 'old', true)")
	if n, err := s.sweepOutcomes(ctx); n != 0 || err != nil {
		t.Errorf("swept %d outcomes beside another process, %v", n, err)
	}
	if n, err := s.sweepSome(ctx, "attempts"); n != 0 || err != nil {
		t.Errorf("swept %d rows beside another process, %v", n, err)
	}
	tx.Rollback(ctx)
	if n, err := s.sweepOutcomes(ctx); n != 1 || err != nil {
		t.Errorf("swept %d outcomes after the other process, %v, want 1", n, err)
	}
	if n, err := s.sweepSome(ctx, "attempts"); n != 1 || err != nil {
		t.Errorf("swept %d rows after the other process, %v, want 1", n, err)
	}
}

func rows(t *testing.T, s *Store) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, table := range swept {
		var rows int
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		n[table] = rows
	}
	return n
}

// A dump of the database has nothing in it that a thief could use: no number, no name,
// no secret of a client.
func TestThreat_StolenDump(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	ctx := t.Context()
	a := newAttempt()
	a.Request, a.Network = []byte("sealed-request"), "192.0.2.99/32"
	if err := s.CreateAttempt(ctx, a, limit.Spend{Lock: limit.Key{Kind: limit.Lock, ID: "46701740605"}, LockFor: time.Hour}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutDelivery(ctx, truecaller.Delivery{ID: "d", Received: time.Now(), Callback: truecaller.Callback{AccessToken: "bearer-token"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(ctx, client.Client{ID: "shop", Name: "The Shop", SecretHashes: []client.SecretHash{client.SecretHash([]byte("hash-of-a-secret-hash-of-a-secre"))}}); err != nil {
		t.Fatal(err)
	}
	for _, table := range append(swept, "clients", "people", "numbers", "consents", "meta") {
		all, err := s.pool.Query(ctx, "SELECT t::text FROM "+table+" t")
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(all, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			for _, secret := range []string{"46701740605", "sealed-request", "192.0.2.99", "bearer-token", "The Shop", "hash-of-a-secret"} {
				if strings.Contains(text, hex.EncodeToString([]byte(secret))) || strings.Contains(text, secret) {
					t.Errorf("%s shows %q", table, secret)
				}
			}
		}
	}
}
