// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres/pgtest"
	"calleridp/storage/record"
	"calleridp/storage/transfer"
	"calleridp/truecaller/phone"
)

var people = flag.Int("copy.people", 10_000, "users of the store that BenchmarkCopy copies")

// BenchmarkCopy copies a store to PostgreSQL and back, both durable. Each user has a
// number, every second one a consent and every fifth a session and a grant. docs/performance.md
// has the figures for a million:
//
//	go test ./storage/transfer -run - -bench Copy -benchtime 1x -copy.people 1000000 -timeout 1h
func BenchmarkCopy(b *testing.B) {
	durable, err := pgtest.Start(pgtest.Options{Durable: true, Settings: []string{"shared_buffers = 128MB"}})
	if err != nil {
		b.Fatal(err)
	}
	defer durable.Stop()
	defer func(before *pgtest.Server) { server = before }(server)
	server = durable
	first := manyPeople(b, *people)
	for b.Loop() {
		database, back := inDatabase(b, nil), inFile(b)
		for _, row := range []struct {
			name     string
			from, to place
		}{{"to-postgres", first, database}, {"to-bolt", database, back}} {
			begun, cpu, peak := time.Now(), ownCPU(b), watchHeap()
			result, err := copied(b, row.from, row.to, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(begun).Seconds(), "s-"+row.name)
			b.ReportMetric((ownCPU(b) - cpu).Seconds(), "cpu-s-"+row.name)
			b.ReportMetric(float64(peak())/(1<<20), "MiB-heap-"+row.name)
			b.ReportMetric(float64(result.Records), "records")
		}
	}
}

// ownCPU returns the CPU time of this process, without the database's.
func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchHeap returns what ends the watch, and returns the most memory that the heap had.
func watchHeap() func() uint64 {
	var most atomic.Uint64
	done := make(chan struct{})
	go func() {
		for tick := time.Tick(100 * time.Millisecond); ; {
			select {
			case <-done:
				return
			case <-tick:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapInuse))
			}
		}
	}()
	return func() uint64 { close(done); return most.Load() }
}

// manyPeople makes a store of n users.
func manyPeople(b *testing.B, n int) place {
	path := filepath.Join(b.TempDir(), "many.db")
	o := bolt.Options{AllowNetworkFS: true}
	target, err := bolt.CreateTarget(path, master(b, 'k'), o)
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	sealer, now := record.NewSealer(master(b, 'k')), time.Now()
	ctx := context.Background()
	write := func(k *record.Kind, every int, of func(w *world) (key []byte, until time.Time, r record.Record)) {
		var all iter.Seq2[transfer.Stored, error] = func(yield func(transfer.Stored, error) bool) {
			for i := 0; i < n; i += every {
				key, until, r := of(newWorldOf(i, now))
				if !yield(transfer.Stored{Key: key, Value: sealer.Seal(k, key, until, r), Record: r}, nil) {
					return
				}
			}
		}
		if err := target.Write(ctx, k, all); err != nil {
			b.Fatal(err)
		}
	}
	text := record.Text(issuer)
	write(&record.Meta, n, func(*world) ([]byte, time.Time, record.Record) { return record.IssuerKey, now, &text })
	write(&record.Clients, n, func(*world) ([]byte, time.Time, record.Record) {
		return []byte("shop"), now, (*record.Client)(&client.Client{ID: "shop"})
	})
	write(&record.People, 1, func(w *world) ([]byte, time.Time, record.Record) {
		return []byte(w.person.Sub), now, (*record.Person)(&w.person)
	})
	write(&record.Numbers, 1, func(w *world) ([]byte, time.Time, record.Record) {
		key := sealer.NumberKeys(w.person.Number)[0]
		return key[:], now, (*record.Text)(&w.person.Sub)
	})
	later := now.Add(time.Hour)
	write(&record.Sessions, 5, func(w *world) ([]byte, time.Time, record.Record) {
		return w.session.Secret[:], later, (*record.Session)(&w.session)
	})
	write(&record.Grants, 5, func(w *world) ([]byte, time.Time, record.Record) {
		return []byte(w.code.Grant.ID), later, (*record.Grant)(&w.code.Grant)
	})
	write(&record.Consents, 2, func(w *world) ([]byte, time.Time, record.Record) {
		return []byte(w.person.Sub + " shop"), now, (*record.Consent)(&w.consent)
	})
	if _, err := target.Written(ctx); err != nil {
		b.Fatal(err)
	}
	if err := target.Commit(ctx); err != nil {
		b.Fatal(err)
	}
	return place{source: func() (source, error) { return some(bolt.OpenSource(path, master(b, 'k'), o)) }}
}

// newWorldOf is newWorld with a number for each of ten million users.
func newWorldOf(n int, now time.Time) *world {
	w := newWorld(n%10_000, now)
	number, err := phone.FromDigits(fmt.Sprintf("4670%07d", n))
	if err != nil {
		panic(err)
	}
	w.n = n
	w.person.Sub, w.person.Number = w.id("sub"), number
	w.session.ID, w.session.Secret, w.session.Sub = w.id("sid"), w.hash("cookie"), w.person.Sub
	w.code.Grant.ID, w.code.Grant.Sub, w.code.Grant.SID = w.id("grant"), w.person.Sub, w.session.ID
	w.consent.Sub = w.person.Sub
	return w
}
