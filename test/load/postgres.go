// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
)

const (
	storageBolt     = "bolt"
	storagePostgres = "postgres"
)

// database returns what -storage says: a durable PostgreSQL server, or none.
func (o options) database() *pgtest.Options {
	if o.storage != storagePostgres {
		return nil
	}
	return &pgtest.Options{Durable: true}
}

// countsLate is how late the counts of an idle connection to PostgreSQL may be.
const countsLate = 12 * time.Second

// asked is how many transactions the database has had until a moment.
type asked struct {
	transactions int
	at           time.Time
}

func (s *server) asked(ctx context.Context) (a asked, err error) {
	if s.database == nil {
		return a, nil
	}
	if err := pause(ctx, countsLate); err != nil {
		return a, err
	}
	rows, err := s.database.Query(ctx, "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'")
	if err != nil {
		return a, err
	}
	a.at = time.Now()
	a.transactions, err = strconv.Atoi(rows[0][0])
	return a, err
}

// reportAsked prints how many transactions a second there were since before.
func (s *server) reportAsked(ctx context.Context, before asked, what string) error {
	now, err := s.asked(ctx)
	if err == nil && s.database != nil {
		fmt.Printf("%-28s %7.1f transactions a second at the database, of both servers\n",
			what, float64(now.transactions-before.transactions)/now.at.Sub(before.at).Seconds())
	}
	return err
}

const (
	// users is how many people sign in again and again while the tables are watched.
	users = 2000
	// bloatAtOnce is how many of them do so at a time.
	bloatAtOnce = 16
	// bloatEvery is how often the tables are measured.
	bloatEvery = 30 * time.Second
)

// bloatSettings make everything expire that can, as soon as it can.
const bloatSettings = `limits: {number: 1000000/1h, network: 1000000/1h, client: 1000000/1h, deployment: 1000000/1h, after_approval: 1s, lock: 5s, cool_down: 5s, cool_down_max: 5s}
lifetimes: {attempt: 5s, access_token: 1m, refresh_idle: 1m, refresh_max: 1m, session: 1m, code: 10s}
log: {level: error}`

// bloat lets the same people sign in again and again, with everything expiring within
// a minute or so, and prints how large the tables and indexes of PostgreSQL are. What the
// program keeps for an hour it keeps for a minute at most here: it is built so. The server
// of PostgreSQL has its usual settings of autovacuum.
func bloat(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "calleridp-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	top, err := harness.Root()
	if err != nil {
		return err
	}
	files := map[string]string{}
	for path, change := range map[string]struct{ hour, short string }{
		"storage/record/attempts.go":      {"const AttemptKept = time.Hour", "const AttemptKept = 30 * time.Second"},
		"storage/record/inbox.go":         {"const DeliveryKept = time.Hour", "const DeliveryKept = 30 * time.Second"},
		"storage/postgres/transaction.go": {"const outcomeKept = time.Hour", "const outcomeKept = 30 * time.Second"},
		"provider/lifetimes.go":           {"&l.Request, time.Hour", "&l.Request, time.Minute"},
	} {
		text, err := os.ReadFile(filepath.Join(top, path))
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), change.hour) {
			return fmt.Errorf("%s does not say %q; this measurement shortens it", path, change.hour)
		}
		files[path] = strings.Replace(string(text), change.hour, change.short, 1)
	}
	binary, err := harness.Build(dir, files)
	if err != nil {
		return err
	}
	s, err := startServer(ctx, setup{binary: binary, methods: "push", postgres: &pgtest.Options{}, more: bloatSettings})
	if err != nil {
		return err
	}
	defer s.stop()

	loading, stop := context.WithTimeout(ctx, o.bloat)
	defer stop()
	a := newApp(s, "es256")
	var done, failed, next atomic.Int64
	order := rand.Perm(users)
	var wg sync.WaitGroup
	for range bloatAtOnce {
		wg.Go(func() {
			for loading.Err() == nil {
				phone := fmt.Sprintf("+9198%08d", order[int(next.Add(1))%users])
				jar, _ := cookiejar.New(nil)
				switch err := a.signInAs(loading, jar, phone); {
				case loading.Err() != nil:
				case err != nil:
					if failed.Add(1) == 1 {
						fmt.Println("a sign-in failed:", err)
					}
				default:
					done.Add(1)
				}
			}
		})
	}
	fmt.Println("     time  sign-ins    rows     dead      tables     indexes         all  the largest, MiB")
	ticker := time.NewTicker(bloatEvery)
	defer ticker.Stop()
	for begun := time.Now(); loading.Err() == nil; {
		select {
		case <-loading.Done():
		case <-ticker.C:
			sizes, err := s.sizes(ctx)
			if err != nil {
				return err
			}
			fmt.Printf("%9s %9d %s\n", time.Since(begun).Round(time.Second), done.Load(), sizes)
		}
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d of %d sign-ins failed", n, n+done.Load())
	}
	return ctx.Err()
}

// sizes returns the rows, the sizes of tables and indexes, and the largest tables.
func (s *server) sizes(ctx context.Context) (string, error) {
	rows, err := s.database.Query(ctx, `SELECT relname, n_live_tup, pg_table_size(relid), pg_indexes_size(relid), n_dead_tup
		FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC`)
	if err != nil {
		return "", err
	}
	var live, dead, tables, indexes float64
	var largest []string
	for i, row := range rows {
		n, err1 := strconv.ParseFloat(row[1], 64)
		table, err2 := strconv.ParseFloat(row[2], 64)
		index, err3 := strconv.ParseFloat(row[3], 64)
		d, err4 := strconv.ParseFloat(row[4], 64)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return "", err
		}
		live, dead, tables, indexes = live+n, dead+d, tables+table, indexes+index
		if i < 5 {
			largest = append(largest, fmt.Sprintf("%s %.1f", row[0], (table+index)/(1<<20)))
		}
	}
	const mib = 1 << 20
	return fmt.Sprintf("%7.0f %8.0f %7.1f MiB %7.1f MiB %7.1f MiB  %s", live, dead, tables/mib, indexes/mib, (tables+indexes)/mib, strings.Join(largest, ", ")), nil
}
