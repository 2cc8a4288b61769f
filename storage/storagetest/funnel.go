// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"sync"
	"testing"
	"time"

	"calleridp/provider/funnel"
)

func counted(unit funnel.Unit, start time.Time, n uint64) funnel.Period {
	return funnel.Period{Unit: unit, Start: start, Tally: funnel.Tally{
		Lines: []funnel.Line{{Step: funnel.Failed, Method: "push", Reason: "unavailable", N: n}, {Step: funnel.Started, Method: "push", N: n}},
		Times: []funnel.Times{{Method: "push", Counts: append(make([]uint64, len(funnel.Bounds)), n)}},
	}}
}

func testFunnel(t *testing.T, w *world) {
	hour, day := funnel.Hour.Of(w.now), funnel.Day.Of(w.now)
	empty, err := w.Funnel(w.ctx, funnel.Hour, time.Unix(0, 0), w.now.Add(time.Hour))
	w.must(err)
	if len(empty) > 0 {
		t.Fatalf("a new store has %+v", empty)
	}
	before := hour.Add(-time.Hour)
	w.must(w.AddFunnel(w.ctx, []funnel.Period{counted(funnel.Day, day, 5), counted(funnel.Hour, hour, 2), counted(funnel.Hour, before, 3)}))
	w.must(w.AddFunnel(w.ctx, []funnel.Period{counted(funnel.Hour, hour, 7), counted(funnel.Day, day, 7)}))
	w.reopen()
	w.reads([]funnel.Period{counted(funnel.Hour, before, 3), counted(funnel.Hour, hour, 9)})(
		w.Funnel(w.ctx, funnel.Hour, before, hour.Add(time.Second)))
	w.reads([]funnel.Period{counted(funnel.Hour, before, 3)})(w.Funnel(w.ctx, funnel.Hour, before, hour))
	w.reads([]funnel.Period{counted(funnel.Hour, hour, 9)})(w.Funnel(w.ctx, funnel.Hour, before.Add(time.Second), hour.Add(time.Hour)))
	w.reads([]funnel.Period{counted(funnel.Day, day, 12)})(w.Funnel(w.ctx, funnel.Day, day, day.Add(time.Second)))

	// What was kept for as long as it should be is neither read nor added to.
	old := funnel.Hour.Of(w.now.Add(-funnel.HoursKept - 2*time.Hour))
	for range 2 {
		w.must(w.AddFunnel(w.ctx, []funnel.Period{counted(funnel.Hour, old, 1)}))
	}
	w.reads([]funnel.Period(nil))(w.Funnel(w.ctx, funnel.Hour, old, old.Add(time.Hour)))
	w.must(w.AddFunnel(w.ctx, []funnel.Period{counted(funnel.Day, funnel.Day.Of(old), 1)})) // days stay longer
	w.reads([]funnel.Period{counted(funnel.Day, funnel.Day.Of(old), 1)})(w.Funnel(w.ctx, funnel.Day, old.Add(-24*time.Hour), day))
}

// Servers that add at once lose nothing, also to a period that is not there yet.
func testParallelFunnel(t *testing.T, w *world) {
	hour, day := funnel.Hour.Of(w.now), funnel.Day.Of(w.now)
	const servers, times = 4, 5
	var wg sync.WaitGroup
	for range servers {
		wg.Go(func() {
			for range times {
				if err := w.AddFunnel(w.ctx, []funnel.Period{counted(funnel.Hour, hour, 1), counted(funnel.Day, day, 1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.reads([]funnel.Period{counted(funnel.Hour, hour, servers*times)})(w.Funnel(w.ctx, funnel.Hour, hour, hour.Add(time.Hour)))
	w.reads([]funnel.Period{counted(funnel.Day, day, servers*times)})(w.Funnel(w.ctx, funnel.Day, day, day.Add(time.Hour)))
}
