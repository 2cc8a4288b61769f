// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
	"calleridp/storage/postgres/pgtest"
	"calleridp/storage/record"
	"calleridp/storage/storagetest"

	"github.com/jackc/pgx/v5"
)

var _ storagetest.Engine = (*Store)(nil)

// server is the one for all tests that do not break it.
var server *pgtest.Server

var programs = flag.String("postgres.programs", "", "the folder of PostgreSQL's programs for the tests that do not break the server; \"\": Debian's")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withServer(m.Run))
}

func withServer(run func() int) int {
	var err error
	if server, err = pgtest.Start(pgtest.Options{Programs: *programs}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	return run()
}

var masterKey = []byte("0123456789abcdef0123456789abcdef")

func testMaster(t testing.TB) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster(masterKey)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// databases are those that no test uses. Emptying one is faster than making one.
var databases struct {
	sync.Mutex
	free []string
}

// database returns the connection string of a database without records, for one test.
func database(t testing.TB) string {
	t.Helper()
	databases.Lock()
	defer databases.Unlock()
	var dsn string
	if n := len(databases.free); n > 0 {
		dsn, databases.free = databases.free[n-1], databases.free[:n-1]
	} else {
		var err error
		if dsn, err = server.Database(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		empty(t, dsn)
		databases.Lock()
		defer databases.Unlock()
		databases.free = append(databases.free, dsn)
	})
	return dsn
}

// empty deletes all records of a database.
func empty(t testing.TB, dsn string) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	deletes := []string{"DELETE FROM meta WHERE key <> 'oldest_program'", "DELETE FROM outcomes"}
	for _, k := range record.Kinds() {
		switch k {
		case &record.Meta, &record.Correlations, &record.SessionIDs: // columns of other tables
		default:
			deletes = append(deletes, "DELETE FROM "+k.Name)
		}
	}
	if _, err := conn.Exec(ctx, strings.Join(deletes, "; ")); err != nil {
		t.Fatal(err)
	}
}

// open opens a store and closes it at the end of the test. A slow machine gets more time
// than a server's users have.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	for _, d := range []*time.Duration{&o.RecoverFor, &o.LockTimeout, &o.StatementTimeout} {
		*d = cmp.Or(*d, time.Minute)
	}
	s, err := Open(context.Background(), testMaster(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// pooler returns the connection string through a pooler for that of a database.
var pooler = sync.OnceValues(func() (func(dsn string) string, error) { return server.Pooler() })

// laxPooler is pooler with one that ignores the settings of the store's connections.
var laxPooler = sync.OnceValues(func() (func(dsn string) string, error) { return server.LaxPooler() })

// Through PgBouncer in transaction mode, each transaction may run on another
// connection.
func TestContractThroughAPooler(t *testing.T) {
	through, err := pooler()
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Run(t, func(t *testing.T) storagetest.Place {
		dsn := database(t)
		return func(t *testing.T) storagetest.Engine {
			return open(t, Options{DSN: redact.Text(through(dsn)), Pooler: true, Tells: storagetest.Tells})
		}
	})
}

func TestContract(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storagetest.Place {
				dsn := database(t)
				return func(t *testing.T) storagetest.Engine {
					return open(t, Options{DSN: redact.Text(dsn), Isolation: isolation, Tells: storagetest.Tells})
				}
			})
		})
	}
}

// Codes, refresh tokens and locks are used one after the other, also by several
// processes (invariants 7 and 9).
func TestLinearizable(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			o := Options{DSN: redact.Text(database(t)), Isolation: isolation}
			storagetest.Linearizable(t, open(t, o), open(t, o), open(t, o))
		})
	}
}
