// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"calleridp/storage/postgres/crowd"
	"calleridp/storage/postgres/pgtest"
)

// peopleAtOnce is how many of them do something at a time.
const peopleAtOnce = 8

// coolDown is longer than any limit of peopleSettings lasts.
const coolDown = 10 * time.Second

// peopleSettings let a number sign in again after a second.
const peopleSettings = `limits: {number: 1000000/1h, network: 1000000/1h, client: 1000000/1h, deployment: 1000000/1h, after_approval: 1s, lock: 5s, cool_down: 5s, cool_down_max: 5s}
lifetimes: {attempt: 30m}
log: {level: error}`

// peopleDatabase is a small server of a database: what a page of a table costs that is not
// in shared_buffers shows. Few checkpoints, so that filling does not write pages again and again.
var peopleDatabase = pgtest.Options{Durable: true, Settings: []string{
	"shared_buffers = 1GB", "max_wal_size = 16GB", "checkpoint_timeout = 1h", "maintenance_work_mem = 1GB",
}}

// people measures the same work over an empty database and over one with so
// many people, in turn, and prints how large their records are.
func people(ctx context.Context, o options) error {
	if o.binary == "" {
		dir, err := os.MkdirTemp("", "calleridp-load-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if o.binary, err = buildServer(dir); err != nil {
			return err
		}
	}
	var towns []*town
	for _, n := range []int{0, o.people} {
		t, err := newTown(ctx, o, n)
		if err != nil {
			return err
		}
		defer t.stop()
		towns = append(towns, t)
	}
	fmt.Printf("\n%d at a time                   people      per s  server CPU    database       p50       p99         WAL  without full pages\n", peopleAtOnce)
	for _, t := range towns {
		if err := t.welcome(ctx, o.n); err != nil {
			return err
		}
	}
	if err := pause(ctx, coolDown); err != nil {
		return err
	}
	for _, w := range []struct {
		what string
		do   func(*town) func(context.Context) error
	}{
		{"a user signs in again", func(t *town) func(context.Context) error {
			return func(ctx context.Context) error { return t.app.signInAgain(ctx, t.who()) }
		}},
		{"userinfo", func(t *town) func(context.Context) error {
			return func(ctx context.Context) error { return t.app.userinfo(ctx, t.access()) }
		}},
		{"refresh", func(t *town) func(context.Context) error {
			return func(ctx context.Context) error { return t.app.renew(ctx, t.refresh()) }
		}},
	} {
		for _, t := range towns {
			if err := t.cost(ctx, w.what, o.n, w.do(t)); err != nil {
				return err
			}
		}
	}
	for _, t := range towns {
		known, err := t.relations(ctx)
		if err != nil {
			return err
		}
		if got, want := known["people"].rows, t.after["people"].rows; got != want {
			return fmt.Errorf("%.0f known users became new ones", got-want)
		}
	}
	empty := towns[0]
	fmt.Printf("\nby how much the files grow for each of %d sign-ins of new users, until they are swept\n", empty.signedIn)
	growth(empty.before, empty.after, empty.signedIn)
	return nil
}

// town is a server whose database has people in it.
type town struct {
	*server
	people        int
	crowd         *crowd.Crowd // nil: an empty database
	app           *app
	before, after map[string]relation // new users signed in
	signedIn      int

	who, access, refresh func() string // of random users
}

func newTown(ctx context.Context, o options, n int) (*town, error) {
	t := &town{people: n}
	of := setup{binary: o.binary, methods: "push", postgres: &peopleDatabase, more: peopleSettings}
	if n > 0 {
		of.fill = func(s *server) (err error) {
			if t.crowd, err = crowd.New(filepath.Join(s.dir, "master.key"), s.issuer, "es256", n); err != nil {
				return err
			}
			return fill(ctx, s, t.crowd)
		}
	}
	var err error
	if t.server, err = startServer(ctx, of); err != nil {
		return nil, err
	}
	fmt.Printf("%d people: cold start %v to the first response\n", n, t.coldStart.Round(time.Millisecond))
	t.app = newApp(t.server, "es256")
	if _, err := measure(ctx, t.server, peopleAtOnce, o.warm, t.app.signIn); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// welcome signs new users in.
func (t *town) welcome(ctx context.Context, n int) (err error) {
	if t.before, err = t.relations(ctx); err != nil {
		return err
	}
	first := number.Load()
	if err := t.cost(ctx, "a new user signs in", n, t.app.signIn); err != nil {
		return err
	}
	if t.after, err = t.relations(ctx); err != nil {
		return err
	}
	t.signedIn = int(number.Load() - first) // each of them once
	t.who = someOf(t.signedIn, func(i int) string { return fmt.Sprintf("+9199%08d", int(first)+1+i) })
	t.access, t.refresh = oneOf(t.app.access), oneOf(t.app.refresh)
	if t.crowd != nil {
		t.who = someOf(t.people, t.crowd.Phone)
		t.access = someOf((t.people-1)/crowd.TokenEvery+1, t.crowd.AccessToken)
		t.refresh = someOf((t.people-1)/crowd.GrantEvery+1, t.crowd.RefreshToken)
	}
	return nil
}

// set changes settings of the running database.
func (s *server) set(ctx context.Context, changes ...string) error {
	for _, change := range append(changes, "") {
		sql := "ALTER SYSTEM " + change
		if change == "" {
			sql = "SELECT pg_reload_conf()"
		}
		if _, err := s.database.Query(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// fill fills the database, which is lost if the machine fails meanwhile, and then makes it
// durable again. Autovacuum would begin with all of it in the middle of a measurement.
func fill(ctx context.Context, s *server, c *crowd.Crowd) error {
	begun := time.Now()
	step := func(what string) { fmt.Printf("%9s  %s\n", time.Since(begun).Round(time.Second), what) }
	if err := s.set(ctx, "SET fsync = off", "SET full_page_writes = off", "SET autovacuum = off"); err != nil {
		return err
	}
	err := c.Fill(ctx, s.database.DSN("postgres"), func(what string, n int) { step(strings.TrimSuffix(fmt.Sprint(what, " ", n), " 0")) })
	if err != nil {
		return err
	}
	for _, sql := range []string{"VACUUM (FREEZE, ANALYZE)", "CHECKPOINT"} {
		if _, err := s.database.Query(ctx, sql); err != nil {
			return err
		}
		step(sql)
	}
	syscall.Sync()
	if err := s.set(ctx, "RESET fsync", "RESET full_page_writes", "RESET autovacuum"); err != nil {
		return err
	}
	step("durable")
	relations, err := s.relations(ctx)
	if err != nil {
		return err
	}
	fmt.Println("\nbytes a row                 rows     table       key   further indexes")
	for _, table := range []string{"people", "numbers", "consents", "sessions", "grants", "access_tokens"} {
		r := relations[table]
		of := func(bytes float64) float64 { return bytes / r.rows }
		fmt.Printf("%-15s %16.0f %9.0f %9.0f  ", table, r.rows, of(r.table), of(r.indexes[table+"_pkey"]))
		for name, bytes := range r.indexes {
			if name != table+"_pkey" {
				fmt.Printf(" %s %.0f", name, of(bytes))
			}
		}
		fmt.Println()
	}
	rows, err := s.database.Query(ctx, "SELECT pg_database_size('postgres')")
	if err == nil {
		fmt.Printf("%s bytes in all\n", rows[0][0])
	}
	return err
}

// someOf returns what gives one after the other of n, scattered, each once in n times.
func someOf(n int, of func(int) string) func() string {
	var i atomic.Int64
	stride := int(float64(n)*0.618) + 1
	for gcd(stride, n) > 1 {
		stride++
	}
	return func() string { return of(int(i.Add(1)) * stride % n) }
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func oneOf(all []string) func() string {
	return someOf(len(all), func(i int) string { return all[i] })
}

// relation is a table, in bytes.
type relation struct {
	rows, table float64
	indexes     map[string]float64
}

// relations returns the tables. Rows are counted.
func (s *server) relations(ctx context.Context) (map[string]relation, error) {
	all := map[string]relation{}
	tables, err := s.database.Query(ctx, "SELECT relname, pg_table_size(relid) FROM pg_stat_user_tables")
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		r := relation{indexes: map[string]float64{}}
		if r.table, err = strconv.ParseFloat(t[1], 64); err != nil {
			return nil, err
		}
		rows, err := s.database.Query(ctx, "SELECT count(*) FROM "+t[0])
		if err != nil {
			return nil, err
		}
		if r.rows, err = strconv.ParseFloat(rows[0][0], 64); err != nil {
			return nil, err
		}
		all[t[0]] = r
	}
	indexes, err := s.database.Query(ctx, "SELECT relname, indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes")
	if err != nil {
		return nil, err
	}
	for _, i := range indexes {
		if all[i[0]].indexes[i[1]], err = strconv.ParseFloat(i[2], 64); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// growth prints by how much each table is larger than before, for each of n sign-ins.
func growth(before, after map[string]relation, n int) {
	var tables, indexes float64
	for name, now := range after {
		then := before[name]
		table, index := now.table-then.table, 0.0
		for i, bytes := range now.indexes {
			index += bytes - then.indexes[i]
		}
		tables, indexes = tables+table, indexes+index
		if table+index > 0 {
			fmt.Printf("%-15s %5.2f rows %8.0f bytes, and %6.0f of indexes\n", name, (now.rows-then.rows)/float64(n), table/float64(n), index/float64(n))
		}
	}
	fmt.Printf("%-15s            %8.0f bytes, and %6.0f of indexes\n", "all", tables/float64(n), indexes/float64(n))
}

// cost measures work twice and prints what it costs the server and the database: first
// right after a checkpoint, when every page that changes is written to the WAL as a whole,
// then without that.
func (t *town) cost(ctx context.Context, what string, n int, do func(context.Context) error) error {
	var wal [2]float64
	var m measured
	var cpu float64
	for i, full := range []string{"on", "off"} {
		if err := t.set(ctx, "SET full_page_writes = "+full); err != nil {
			return err
		}
		if _, err := t.database.Query(ctx, "CHECKPOINT"); err != nil {
			return err
		}
		before, err := t.usage(ctx)
		if err != nil {
			return err
		}
		now, err := measure(ctx, t.server, peopleAtOnce, n, do)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		after, err := t.usage(ctx)
		if err != nil {
			return err
		}
		if wal[i] = (after.wal - before.wal) / float64(n); i == 0 {
			m, cpu = now, (after.cpu-before.cpu)/float64(n)
		}
	}
	fmt.Printf("%-24s %10d %10.0f %8.2f ms %8.2f ms %6.1f ms %6.1f ms %9.0f B %10.0f B\n", what, t.people, m.perSecond, m.cpu*1000, cpu*1000, m.p50*1000, m.p99*1000, wal[0], wal[1])
	return nil
}

// usage is what a database has used.
type usage struct{ cpu, wal float64 } // seconds, bytes

func (s *server) usage(ctx context.Context) (u usage, err error) {
	rows, err := s.database.Query(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
	if err != nil {
		return u, err
	}
	if u.wal, err = strconv.ParseFloat(rows[0][0], 64); err != nil {
		return u, err
	}
	u.cpu, err = s.databaseCPU()
	return u, err
}
