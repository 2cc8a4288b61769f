// SPDX-License-Identifier: Apache-2.0

package funnel

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// WriteEvery is how often counts are written: what a server that is killed loses.
const WriteEvery = time.Minute

// mostWaiting is of how many hours counts wait in memory for a store that fails.
const mostWaiting = 48

// Counter counts in memory what the engine observes, and writes it. It is safe for
// concurrent use.
type Counter struct {
	store Store
	log   *slog.Logger

	mu      sync.Mutex
	waiting map[time.Time]Tally // by the start of the hour: what is not written yet

	writing sync.Mutex // held while counts are on their way to the store
}

var _ login.Observer = (*Counter)(nil)

// New returns a counter that has counted nothing. Run must run for it to write.
func New(store Store, log *slog.Logger) *Counter {
	return &Counter{store: store, log: log, waiting: map[time.Time]Tally{}}
}

// steps are the events of an attempt that count, and whether they count by reason.
var steps = map[string]struct {
	step     Step
	reasoned bool
}{
	string(audit.AttemptStarted):     {Started, false},
	login.Pushed:                     {Pushed, false},
	string(audit.AttemptInvoked):     {Opened, false},
	login.Returned:                   {Returned, false},
	string(audit.AttemptApproved):    {Approved, false},
	string(audit.AttemptDone):        {Finished, false},
	string(audit.AttemptRejected):    {Declined, true},
	string(audit.AttemptFailed):      {Failed, true},
	string(audit.AttemptExpired):     {Expired, false},
	string(audit.AttemptLimited):     {Limited, false},
	string(audit.AttemptUnavailable): {Unavailable, false},
}

// Attempt implements login.Observer.
func (c *Counter) Attempt(_ context.Context, event string, a login.Attempt) {
	reached, counts := steps[event]
	if !counts {
		return
	}
	line := Line{Step: reached.step, Method: string(a.Method), N: 1}
	if reached.reasoned {
		line.Reason = string(a.Reason)
	}
	one := Tally{Lines: []Line{line}}
	if reached.step == Approved {
		times := Times{Method: string(a.Method), Counts: make([]uint64, len(Bounds)+1)}
		times.Counts[bucketOf(a.AuthTime.Sub(a.Created))] = 1
		one.Times = []Times{times}
	}
	hour := Hour.Of(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[hour] = c.waiting[hour].Plus(one)
}

// Limited implements login.Observer. The attempt that was limited is counted already.
func (c *Counter) Limited(limit.Kind) {}

// Answered implements login.Observer. How long the profile took is no step.
func (c *Counter) Answered(context.Context, login.Attempt, time.Time) {}

// Run writes every WriteEvery, and once more when ctx is done. The store must stay open
// until it returns.
func (c *Counter) Run(ctx context.Context) {
	ticker := time.NewTicker(WriteEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			c.Write(last)
			return
		case <-ticker.C:
			c.Write(ctx)
		}
	}
}

// Write writes what was counted since the last time. If that fails, it is logged, and
// the counts wait for the next time.
func (c *Counter) Write(ctx context.Context) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	counted := c.waiting
	c.waiting = map[time.Time]Tally{}
	c.mu.Unlock()
	if len(counted) == 0 {
		return
	}
	if err := c.store.AddFunnel(ctx, periods(counted)); err != nil {
		c.log.WarnContext(ctx, "counts of the funnel are not written yet; they wait in memory", "error", err)
		c.putBack(counted)
	}
}

// Funnel returns what the store has, as Store.Funnel does, and what this server has counted
// and not written yet.
func (c *Counter) Funnel(ctx context.Context, unit Unit, from, to time.Time) ([]Period, error) {
	c.writing.Lock() // what is on its way to the store counts once
	defer c.writing.Unlock()
	all, err := c.store.Funnel(ctx, unit, from, to)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	unwritten := periods(c.waiting)
	c.mu.Unlock()
	for _, p := range unwritten {
		if p.Unit != unit || p.Start.Before(from) || !p.Start.Before(to) {
			continue
		}
		i, known := slices.BinarySearchFunc(all, p.Start, func(p Period, at time.Time) int { return p.Start.Compare(at) })
		if !known {
			all = slices.Insert(all, i, Period{Unit: unit, Start: p.Start})
		}
		all[i].Tally = all[i].Tally.Plus(p.Tally)
	}
	return all, nil
}

// periods returns the hours and their days.
func periods(counted map[time.Time]Tally) []Period {
	var all []Period
	days := map[time.Time]Tally{}
	for _, hour := range slices.SortedFunc(maps.Keys(counted), time.Time.Compare) {
		all = append(all, Period{Unit: Hour, Start: hour, Tally: counted[hour]})
		day := Day.Of(hour)
		days[day] = days[day].Plus(counted[hour])
	}
	for _, day := range slices.SortedFunc(maps.Keys(days), time.Time.Compare) {
		all = append(all, Period{Unit: Day, Start: day, Tally: days[day]})
	}
	return all
}

// putBack makes counts wait again, of the newest hours.
func (c *Counter) putBack(counted map[time.Time]Tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for hour, tally := range counted {
		c.waiting[hour] = c.waiting[hour].Plus(tally)
	}
	hours := slices.SortedFunc(maps.Keys(c.waiting), time.Time.Compare)
	for len(hours) > mostWaiting {
		delete(c.waiting, hours[0])
		hours = hours[1:]
	}
}
