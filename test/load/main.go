// SPDX-License-Identifier: Apache-2.0

// Command load measures whole sign-ins against the built binary: every browser
// request, the push, the callback, the profile, the tokens and userinfo, with a
// durable store and with the simulated Truecaller in a process of its own. Then
// it measures userinfo, introspection and refresh alone. Beside the figures it
// prints the floor of this machine, measured in the same run.
//
//	go run ./test/load
//	go run ./test/load -storage postgres  # beside a PostgreSQL that it starts, or -dsn-file
//	go run ./test/load -compare OLD -runs 5   # beside another binary, and the ratio
//	go run ./test/load -profile cpu.out   # and a CPU profile of the server
//	go run ./test/load -flood 10000       # what so many bogus callbacks a second do
//	go run ./test/load -waiting 10000     # what so many pages that wait cost
//	go run ./test/load -waiting 2000 -over h2   # over HTTP/2
//	go run ./test/load -waiting 10000 -storage postgres   # at another server over one database
//	go run ./test/load -bloat 10m         # how large the tables of PostgreSQL become
//	go run ./test/load -people 1000000    # what so many people in PostgreSQL cost
//
// It talks to loopback only, and stops by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
)

type options struct {
	n, warm  int
	calls    int
	profile  string
	binary   string
	old      string
	parallel []int
	runs     int

	flood          int
	floodFor, idle time.Duration
	rate           float64

	storage, dsnFile string

	deaf   bool
	bloat  time.Duration
	people int

	waiting, approve int
	over, heap       string
}

func main() {
	if len(os.Args) > 1 { // the other processes
		switch os.Args[1] {
		case "simulator":
			simulate(os.Args[2:])
			return
		case "stub":
			stub()
			return
		}
	}
	o := options{parallel: []int{1, 8, 64}}
	flag.IntVar(&o.n, "n", 800, "sign-ins for each measurement")
	flag.IntVar(&o.warm, "warm", 100, "sign-ins before the first measurement")
	flag.IntVar(&o.calls, "calls", 4000, "calls for each measurement of a single endpoint")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the server at eight sign-ins at a time to this `file`")
	flag.IntVar(&o.runs, "runs", 1, "how often each measurement is made; the median is printed")
	flag.StringVar(&o.storage, "storage", storageBolt, storageBolt+" or "+storagePostgres+": beside "+storageBolt+", a PostgreSQL server of its own; pages then wait at another server than the one that gets the callbacks")
	flag.StringVar(&o.dsnFile, "dsn-file", "", "for -storage "+storagePostgres+", a `file` with the connection string of another, empty database")
	flag.StringVar(&o.binary, "binary", "", "the built calleridp `file`; default builds one")
	flag.StringVar(&o.old, "compare", "", "measure this calleridp `file` too, in turn with the other one, and print how many times its CPU time the other one needs; -runs makes it certain")
	flag.IntVar(&o.flood, "flood", 0, "instead, send so many bogus callbacks a second, and see what sign-ins notice")
	flag.DurationVar(&o.floodFor, "for", time.Minute, "how long the flood lasts")
	flag.DurationVar(&o.idle, "idle", 30*time.Second, "how long the same is measured without it, before and after")
	flag.Float64Var(&o.rate, "rate", 5, "sign-ins a second meanwhile")
	flag.IntVar(&o.waiting, "waiting", 0, "instead, let so many pages wait, and see what each costs and when it hears of its approval")
	flag.IntVar(&o.approve, "approve", 300, "how many of them are approved one by one, before all the others at once")
	flag.StringVar(&o.over, "over", overPlain, "how they wait: "+overPlain+", "+overTLS+" (HTTP/1.1 over TLS) or "+overHTTP2+" (a connection each)")
	flag.StringVar(&o.heap, "heap", "", "write a heap profile of the server with all pages waiting to this `file`")
	flag.BoolVar(&o.deaf, "deaf", false, "with "+storagePostgres+": the servers cannot listen to each other, as behind a pooler, and look instead")
	flag.DurationVar(&o.bloat, "bloat", 0, "instead, sign in for so long with short lifetimes, and see how large the tables of PostgreSQL become")
	flag.IntVar(&o.people, "people", 0, "instead, fill PostgreSQL with so many people, and see how large they are and what sign-ins cost")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	switch {
	case o.storage != storageBolt && o.storage != storagePostgres:
		return fmt.Errorf("-storage must be %s or %s (got %q)", storageBolt, storagePostgres, o.storage)
	case o.old != "" && o.dsnFile != "":
		return errors.New("-compare needs a database for each binary: leave out -dsn-file")
	case o.runs < 1:
		return fmt.Errorf("-runs must be at least 1 (got %d)", o.runs)
	}
	fmt.Printf("%d CPUs, %s\n\n", runtime.NumCPU(), runtime.Version())
	if o.flood > 0 {
		return flood(ctx, o)
	}
	if o.bloat > 0 {
		return bloat(ctx, o)
	}
	if o.people > 0 {
		return people(ctx, o)
	}
	if o.waiting > 0 {
		return waitingPages(ctx, o)
	}
	if err := floor(); err != nil {
		return err
	}
	return compare(ctx, o)
}
