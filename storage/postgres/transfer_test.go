// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/storage/record"
	"calleridp/storage/transfer"

	"github.com/jackc/pgx/v5"
)

// A copy knows what every column of every table has, also of one that was added since.
func TestACopyFillsEveryColumn(t *testing.T) {
	dsn := database(t)
	target, err := OpenTarget(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	known := []string{"goose_db_version", "outcomes", "servers"} // which a copy leaves empty
	for _, k := range transfer.Kinds() {
		known = append(known, k.Name)
		names, err := target.columns(t.Context(), k)
		if err != nil || len(names) < 2 {
			t.Fatal(k.Name, names, err)
		}
		stored := transfer.Stored{Key: []byte("key"), Record: k.New()}
		stored.Value = target.s.sealer.Seal(k, stored.Key, time.Now(), stored.Record)
		for _, name := range names {
			if _, err := column(name, k, stored); err != nil {
				t.Errorf("%v; say it in transfer.go", err)
			}
		}
	}
	rows, err := target.tx.Query(t.Context(), "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range all {
		if !slices.Contains(known, table) {
			t.Errorf("a copy leaves the table %s empty: copy it, or say here that it may", table)
		}
	}
}

// Every refusal says what to do, and leaves the database as it was.
func TestACopyRefuses(t *testing.T) {
	other, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	made := func() string {
		dsn, err := server.Database(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return dsn
	}
	served := func(change string) string {
		dsn := made()
		s := open(t, Options{DSN: redact.Text(dsn)})
		if err := s.PinIssuer(ctx, "https://a.example"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		exec(t, dsn, change)
		return dsn
	}
	newer := served("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true); UPDATE meta SET value = '999' WHERE key = 'oldest_program'")
	whole, empty := served("SELECT"), made()
	killed := served("INSERT INTO servers (node, until) VALUES ('gone', now())")
	busy := served("INSERT INTO servers (node, until) VALUES ('alive', now() + interval '1 hour')")
	unfinished := served("INSERT INTO meta (key, value) VALUES ('unfinished_copy', ' ')")
	from := func(ctx context.Context, m *keys.Master, o Options) (*Source, error) { return OpenSource(ctx, m, o) }
	into := func(ctx context.Context, m *keys.Master, o Options) (*Source, error) {
		target, err := OpenTarget(ctx, m, o)
		if err != nil {
			return nil, err
		}
		return &target.Source, nil
	}
	ahead := func() time.Time { return time.Now().Add(time.Hour) }
	for _, row := range []struct {
		name   string
		open   func(context.Context, *keys.Master, Options) (*Source, error)
		dsn    string
		master *keys.Master
		now    func() time.Time
		want   error
		says   string
	}{
		{"from an empty database", from, empty, nil, nil, ErrNoStore, ""},
		{"from a newer schema", from, newer, nil, nil, ErrNewerSchema, "start that version"},
		{"from an older schema", from, whole, nil, nil, ErrOlderSchema, "calleridp migrate"},
		{"from another master key", from, whole, other, nil, ErrWrongMasterKey, "restore that key"},
		{"from one in use", from, busy, nil, nil, ErrInUse, "stop them"},
		{"from an unfinished copy", from, unfinished, nil, nil, ErrUnfinished, "store copy again"},
		{"with another clock", from, whole, nil, ahead, ErrClocks, "put it right"},
		{"from one whose server was killed", from, killed, nil, nil, nil, ""},
		{"into one that has records", into, whole, nil, nil, ErrNotEmpty, "DROP SCHEMA"},
		{"into a newer schema", into, newer, nil, nil, ErrNewerSchema, "start that version"},
		{"into another master key", into, whole, other, nil, ErrWrongMasterKey, "restore that key"},
		{"into one in use", into, busy, nil, nil, ErrInUse, "stop them"},
		{"into one without TLS", into, "postgres://u:hunter2@192.0.2.1/db", nil, nil, ErrInsecure, "verify-full"},
		{"into an empty one", into, empty, nil, nil, nil, ""},
	} {
		if row.master == nil {
			row.master = testMaster(t)
		}
		o := Options{DSN: redact.Text(row.dsn), now: row.now}
		if row.want == ErrOlderSchema { // this program is newer
			o.migrations = withMigration(t, "00002_more.sql", "SELECT 1;")
		}
		s, err := row.open(ctx, row.master, o)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, row.want) || err != nil && !strings.Contains(err.Error(), row.says) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a copy %s: %v, want %v and %q", row.name, err, row.want, row.says)
		}
	}
	// A target that was refused can still be used, and is not taken for an unfinished copy.
	open(t, Options{DSN: redact.Text(whole)}).Close()
}

// While a database is copied, from or to, no server starts with it, and none that is
// there already changes it.
func TestACopyKeepsServersAway(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn), LockTimeout: 100 * time.Millisecond, RecoverFor: time.Millisecond})
	if err := s.PinIssuer(t.Context(), "https://a.example"); err != nil {
		t.Fatal(err)
	}
	// It was not heard for a while, and still runs.
	exec(t, dsn, "UPDATE servers SET until = now()")
	source, err := OpenSource(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if err := s.CreateClient(t.Context(), newClient("late")); err == nil {
		t.Error("a server has changed a database that is copied")
	}
	if _, err := Open(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)}); !errors.Is(err, ErrCopying) {
		t.Errorf("a server starts with a database that is copied: %v", err)
	}
	if _, err := Check(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)}); !errors.Is(err, ErrCopying) {
		t.Errorf("checking a database that is copied: %v", err)
	}
	for _, err := range source.Records(t.Context(), &record.Clients, time.Now()) {
		t.Errorf("a client, %v; want none", err)
	}
	source.Close()
	if err := s.CreateClient(t.Context(), newClient("late")); err != nil {
		t.Error(err)
	}
}

// A server that is suspended says nothing, and its connection is still there.
func TestACopyNoticesASuspendedServer(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	if err := s.PinIssuer(t.Context(), "https://a.example"); err != nil {
		t.Fatal(err)
	}
	listening, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { s.Listen(listening, Heard{}) })
	until(t, "it listens", s.Listening)
	openSource := func() (source *Source, err error) {
		until(t, "it has not said just now that it is there", func() bool {
			exec(t, dsn, "UPDATE servers SET until = now()")
			source, err = OpenSource(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn), LockTimeout: time.Second})
			return err == nil || !strings.Contains(err.Error(), "of them)")
		})
		return source, err
	}
	if source, err := openSource(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "connections are of") || !strings.Contains(err.Error(), "): pid ") {
		t.Errorf("a copy from a database that a suspended server has open: %v", err)
		if err == nil {
			source.Close()
		}
	}
	stop()
	ended.Wait()
	source, err := openSource()
	if err != nil {
		t.Fatal(err)
	}
	// One that listens again now is told why it cannot.
	conn := pgxConnect(t, dsn)
	if err := holdServer(t.Context(), conn); !errors.Is(err, ErrCopying) {
		t.Errorf("listening during a copy: %v", err)
	}
	source.Close()
	if err := holdServer(t.Context(), conn); err != nil {
		t.Error(err)
	}
}

// A server says that it uses the database as long as it does.
func TestServersSayThatTheyAreThere(t *testing.T) {
	dsn := database(t)
	first, second := open(t, Options{DSN: redact.Text(dsn)}), open(t, Options{DSN: redact.Text(dsn)})
	inUse := func() bool {
		source, err := OpenSource(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)})
		if err == nil {
			source.Close()
		} else if !errors.Is(err, ErrInUse) {
			t.Fatal(err)
		}
		return err != nil
	}
	exec(t, dsn, "UPDATE servers SET until = '-infinity'")
	until(t, "both have said it again", func() bool {
		var n int
		if err := first.pool.QueryRow(t.Context(), "SELECT count(*) FROM servers WHERE until > now()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 2
	})
	if !inUse() {
		t.Error("two servers are there, and none counts")
	}
	first.Close()
	if !inUse() {
		t.Error("one of two servers has left, and no other one counts")
	}
	second.Close()
	if inUse() {
		t.Error("all servers have left, and one counts")
	}
}

// Servers that could not say that they are there, because the database was away, are not
// taken for gone as soon as it is back.
func TestServersMayBeThereAfterADatabaseWasAway(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	s.Close()
	check := func(kept time.Duration) error {
		tx, err := pgxConnect(t, dsn).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		return checkUnused(t.Context(), tx, kept)
	}
	if err := check(time.Hour); err != nil {
		t.Errorf("all servers have left: %v", err)
	}
	exec(t, dsn, "INSERT INTO servers (node, until) VALUES ('silenced', pg_postmaster_start_time() - interval '1 second')")
	defer exec(t, dsn, "DELETE FROM servers")
	if err := check(time.Hour); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "stop them, wait so long") {
		t.Errorf("the database has just started: %v", err)
	}
	if err := check(time.Microsecond); err != nil {
		t.Errorf("the database has been there long enough: %v", err)
	}
	exec(t, dsn, "UPDATE servers SET until = now()")
	if err := check(time.Hour); err != nil {
		t.Errorf("a server was killed while the database was there: %v", err)
	}
}

func pgxConnect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func newClient(id string) client.Client { return client.Client{ID: id} }

// An attempt that cannot be read is left out with its form, and so is the row of a form
// whose attempt serves another one's request now.
func TestACopyOfForms(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	for i, form := range []byte{1, 2, 3} {
		a := newAttempt()
		a.ID, a.Form, a.Correlation = login.ID([]string{"good", "damaged", "resumed"}[i]), [32]byte{form}, [32]byte{form}
		if err := s.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.ResumeAttempt(t.Context(), "resumed", [32]byte{4}, limit.Spend{}, time.Now(), func(a login.Attempt) (login.Attempt, error) {
		a.Form = [32]byte{4}
		return a, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	exec(t, dsn, "UPDATE attempts SET value = set_byte(value, 40, 255 - get_byte(value, 40)) WHERE key = 'damaged'")
	source, err := OpenSource(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	leads := map[byte]string{}
	for stored, err := range source.Records(t.Context(), &record.Forms, time.Now()) {
		var id record.Text
		if err = errors.Join(err, source.s.sealer.Open(&record.Forms, stored.Key, stored.Value, &id)); err != nil {
			t.Fatal(err)
		}
		leads[stored.Key[0]] = string(id)
	}
	if len(leads) != 2 || leads[1] != "good" || leads[4] != "resumed" {
		t.Errorf("forms lead to %v", leads)
	}
}

// What is copied is swept when it expires: a form with its attempt, and a delivery is free
// to be taken.
func TestACopyExpires(t *testing.T) {
	dsn := database(t)
	target, err := OpenTarget(t.Context(), testMaster(t), Options{DSN: redact.Text(dsn)})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	until := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	a := record.Attempt{Attempt: newAttempt()}
	a.Form = [32]byte{1}
	id := record.Text(a.ID)
	for _, row := range []struct {
		kind *record.Kind
		key  []byte
		r    record.Record
	}{
		{&record.Attempts, []byte(a.ID), &a},
		{&record.Forms, a.Form[:], &id},
		{&record.Deliveries, []byte("d"), &record.Delivery{ID: "d"}},
		{&record.Sessions, []byte("s"), &record.Session{ID: "sid"}},
	} {
		stored := transfer.Stored{Key: row.key, Value: target.s.sealer.Seal(row.kind, row.key, until, row.r), Record: row.r}
		err := target.Write(t.Context(), row.kind, func(yield func(transfer.Stored, error) bool) { yield(stored, nil) })
		if err != nil {
			t.Fatal(err)
		}
		var expires, due time.Time
		if err := target.tx.QueryRow(t.Context(), "SELECT expires, due FROM "+row.kind.Name).Scan(&expires, &due); err != nil {
			t.Fatal(err)
		}
		if !expires.Equal(until) || !due.Equal(until) {
			t.Errorf("%s: expires at %s, due at %s, want %s", row.kind.Name, expires, due, until)
		}
	}
	if err := target.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	target.Close()
	s := open(t, Options{DSN: redact.Text(dsn)})
	if got, err := s.Deliveries(t.Context(), 10); err != nil || len(got) != 1 {
		t.Errorf("%d deliveries, %v", len(got), err)
	}
}
