package main

import (
	"context"
	"fmt"
	"time"

	"calleridp/storage/postgres/pgtest"
)

// contender is a server over one store, with its clients.
type contender struct {
	*server
	storage string
	apps    []*app
}

// compare measures servers over each of the stores, one measurement after the other, so
// that whatever else the machine does falls on all of them.
func compare(ctx context.Context, o options) error {
	setups := map[string]setup{storageBolt: {binary: o.binary, methods: "push"}}
	names := []string{storageBolt}
	switch o.storage {
	case storageBolt:
	case storagePostgres:
		of := setup{binary: o.binary, methods: "push", dsnFile: o.dsnFile}
		if o.dsnFile == "" {
			of.postgres = &pgtest.Options{Durable: true, Settings: []string{"shared_buffers = 256MB"}}
		}
		setups[storagePostgres], names = of, append(names, storagePostgres)
	default:
		return fmt.Errorf("-storage is %s or %s", storageBolt, storagePostgres)
	}
	var all []contender
	for _, storage := range names {
		s, err := startServer(ctx, setups[storage])
		if err != nil {
			return err
		}
		defer s.stop()
		idle, err := s.memory("VmRSS")
		if err != nil {
			return err
		}
		fmt.Printf("%-8s cold start %v to the first answer, idle memory %.1f MiB\n", storage, s.coldStart.Round(time.Millisecond), idle)
		all = append(all, contender{s, storage, []*app{newApp(s, "rs256"), newApp(s, "es256")}})
		if _, err := measure(ctx, s, 8, o.warm, all[len(all)-1].apps[0].signIn); err != nil {
			return err
		}
	}
	fmt.Println("\nwhole sign-ins                     per s  server CPU  database CPU      sum   transactions  round trips      p50      p99   peak memory")
	for i, alg := range []string{"rs256", "es256"} {
		for _, parallel := range o.parallel {
			for _, c := range all {
				var stopProfile func() error
				if o.profile != "" && i == 0 && parallel == 8 && c.storage == names[len(names)-1] {
					stopProfile = c.profile(o.profile)
				}
				m, err := median(o.runs, func() (measured, error) { return measure(ctx, c.server, parallel, o.n, c.apps[i].signIn) })
				if err != nil {
					return err
				}
				if stopProfile != nil {
					if err := stopProfile(); err != nil {
						return err
					}
				}
				fmt.Printf("%-8s %-6s %3d at a time %8.0f  %7.2f ms    %7.2f ms  %7.2f ms  %7.2f       %7.2f    %6.1f ms %6.1f ms %8.1f MiB\n",
					c.storage, alg, parallel, m.perSecond, m.cpu*1000, m.databaseCPU*1000, (m.cpu+m.databaseCPU)*1000, m.commits, m.trips, m.p50*1000, m.p99*1000, m.peak)
			}
		}
	}
	fmt.Println("\nsingle calls, 8 at a time          per s  server CPU  database CPU      sum   transactions  round trips")
	for i, alg := range []string{"rs256", "es256"} {
		for call := range all[0].apps[i].singles(o.calls) {
			for _, c := range all {
				one := c.apps[i].singles(o.calls)[call]
				m, err := median(o.runs, func() (measured, error) { return measure(ctx, c.server, 8, one.n, one.do) })
				if err != nil {
					return err
				}
				fmt.Printf("%-8s %-6s %-13s %8.0f  %7.3f ms    %7.3f ms  %7.3f ms  %7.2f       %7.2f\n",
					c.storage, alg, one.what, m.perSecond, m.cpu*1000, m.databaseCPU*1000, (m.cpu+m.databaseCPU)*1000, m.commits, m.trips)
			}
		}
	}
	return nil
}
