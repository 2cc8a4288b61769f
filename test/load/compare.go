// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/storage/postgres/pgtest"
)

// contender is a server with its clients, and what it is called in the output.
type contender struct {
	*server
	name string
	apps []*app
}

// contenders returns what is measured, in the order of the output.
func contenders(o options) (names []string, setups []setup) {
	add := func(name string, of setup) {
		of.methods = "push"
		names, setups = append(names, name), append(setups, of)
	}
	if o.old != "" {
		add("old", setup{binary: o.old, postgres: durable(o)})
		add("new", setup{binary: o.binary, postgres: durable(o)})
		return names, setups
	}
	add(storageBolt, setup{binary: o.binary})
	if o.storage == storagePostgres {
		add(storagePostgres, setup{binary: o.binary, dsnFile: o.dsnFile, postgres: durable(o)})
	}
	return names, setups
}

// durable returns the PostgreSQL server to start for a measurement, nil if none is needed.
func durable(o options) *pgtest.Options {
	if o.storage != storagePostgres || o.dsnFile != "" {
		return nil
	}
	return &pgtest.Options{Durable: true, Settings: []string{"shared_buffers = 256MB"}}
}

// compare measures all contenders, one measurement after the other, so that whatever else
// the machine does falls on all of them.
func compare(ctx context.Context, o options) error {
	names, setups := contenders(o)
	var all []contender
	for i, name := range names {
		s, err := startServer(ctx, setups[i])
		if err != nil {
			return err
		}
		defer s.stop()
		time.Sleep(time.Second) // until the start is over
		idle, err := s.memory("VmRSS")
		if err != nil {
			return err
		}
		private, err := s.memory("RssAnon")
		if err != nil {
			return err
		}
		fmt.Printf("%-8s cold start %v to the first answer, idle memory %.1f MiB, of which %.1f private\n", name, s.coldStart.Round(time.Millisecond), idle, private)
		all = append(all, contender{s, name, []*app{newApp(s, "rs256"), newApp(s, "es256")}})
		if _, err := measure(ctx, s, 8, o.warm, all[len(all)-1].apps[0].signIn); err != nil {
			return err
		}
	}
	fmt.Println("\nwhole sign-ins                     per s  server CPU  database CPU      sum   transactions  round trips    written      p50      p99   peak memory")
	for i, alg := range []string{"rs256", "es256"} {
		for _, parallel := range o.parallel {
			stopProfile := func() error { return nil }
			if o.profile != "" && i == 0 && parallel == 8 {
				stopProfile = all[len(all)-1].profile(o.profile)
			}
			each, err := inTurn(o.runs, all, func(c contender) (measured, error) {
				return measure(ctx, c.server, parallel, o.n, c.apps[i].signIn)
			})
			if err := errors.Join(err, stopProfile()); err != nil {
				return err
			}
			for n, m := range each.medians {
				fmt.Printf("%-8s %-6s %3d at a time %8.0f  %7.2f ms    %7.2f ms  %7.2f ms  %7.2f       %7.2f   %6.0f KiB  %6.1f ms %6.1f ms %8.1f MiB\n",
					all[n].name, alg, parallel, m.perSecond, m.cpu*1000, m.databaseCPU*1000, m.sum()*1000, m.commits, m.trips, m.written/1024, m.p50*1000, m.p99*1000, m.peak)
			}
			each.printRatio(o)
		}
	}
	fmt.Println("\nsingle calls, 8 at a time          per s  server CPU  database CPU      sum   transactions  round trips")
	for i, alg := range []string{"rs256", "es256"} {
		for call, one := range all[0].apps[i].singles(o.calls) {
			each, err := inTurn(o.runs, all, func(c contender) (measured, error) {
				one := c.apps[i].singles(o.calls)[call]
				return measure(ctx, c.server, 8, one.n, one.do)
			})
			if err != nil {
				return err
			}
			for n, m := range each.medians {
				fmt.Printf("%-8s %-6s %-13s %8.0f  %7.3f ms    %7.3f ms  %7.3f ms  %7.2f       %7.2f\n",
					all[n].name, alg, one.what, m.perSecond, m.cpu*1000, m.databaseCPU*1000, m.sum()*1000, m.commits, m.trips)
			}
			each.printRatio(o)
		}
	}
	return nil
}

// compared is one measurement of all contenders.
type compared struct {
	medians []measured // of each contender, by CPU time
	ratio   float64    // of CPU time: the second contender to the first; the median of all runs
}

// inTurn measures the contenders in turn, so many times.
func inTurn(runs int, all []contender, measure func(contender) (measured, error)) (compared, error) {
	of := make([][]measured, len(all))
	var ratios []float64
	for range runs {
		for i, c := range all {
			m, err := measure(c)
			if err != nil {
				return compared{}, err
			}
			of[i] = append(of[i], m)
		}
		if len(all) > 1 {
			ratios = append(ratios, of[1][len(of[1])-1].sum()/of[0][len(of[0])-1].sum())
		}
	}
	var each compared
	for _, measurements := range of {
		slices.SortFunc(measurements, func(a, b measured) int { return cmp.Compare(a.sum(), b.sum()) })
		each.medians = append(each.medians, measurements[runs/2])
	}
	if len(ratios) > 0 {
		slices.Sort(ratios)
		each.ratio = ratios[runs/2]
	}
	return each, nil
}

// printRatio prints how the new binary compares with the old one.
func (c compared) printRatio(o options) {
	if o.old != "" {
		fmt.Printf("         new / old: %.2f\n", c.ratio)
	}
}
