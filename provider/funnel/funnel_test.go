// SPDX-License-Identifier: Apache-2.0

package funnel_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/funnel"
	"calleridp/provider/login"
	"calleridp/storage/bolt"
)

// failing is a store that fails as long as it is told to.
type failing struct {
	funnel.Store
	fails atomic.Bool
}

func (f *failing) AddFunnel(ctx context.Context, add []funnel.Period) error {
	if f.fails.Load() {
		return errors.New("the disk is full")
	}
	return f.Store.AddFunnel(ctx, add)
}

func open(t *testing.T) *failing {
	t.Helper()
	dir := t.TempDir()
	if err := keys.CreateMaster(filepath.Join(dir, "master.key")); err != nil {
		t.Fatal(err)
	}
	master, err := keys.LoadMaster(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(dir, "store.db"), master, bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &failing{Store: store}
}

// stored returns what is stored of a unit.
func stored(t *testing.T, s funnel.Store, unit funnel.Unit) []funnel.Period {
	t.Helper()
	all, err := s.Funnel(t.Context(), unit, time.Unix(0, 0), time.Now().Add(1000*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shown returns what the counter shows by the hour.
func shown(t *testing.T, c *funnel.Counter) []funnel.Period {
	t.Helper()
	all, err := c.Funnel(t.Context(), funnel.Hour, time.Unix(0, 0), time.Now().Add(1000*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func push(took time.Duration) login.Attempt {
	now := time.Now()
	return login.Attempt{Method: login.Push, Created: now.Add(-took), AuthTime: now}
}

func TestCountsAreWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := open(t)
		c := funnel.New(store, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { c.Run(ctx); close(ended) }()

		start := time.Now()
		c.Attempt(t.Context(), "attempt.started", push(0))
		c.Attempt(t.Context(), "attempt.approved", push(7*time.Second))
		c.Attempt(t.Context(), "attempt.approved", push(time.Hour))
		failed := push(0)
		failed.Reason = login.Unavailable
		c.Attempt(t.Context(), "attempt.failed", failed)
		c.Attempt(t.Context(), "attempt.resumed", push(0)) // is no step
		time.Sleep(59 * time.Second)
		if got := stored(t, store, funnel.Hour); len(got) > 0 {
			t.Fatalf("written before the minute is over: %+v", got)
		}
		early := shown(t, c)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		counts := make([]uint64, len(funnel.Bounds)+1)
		counts[3], counts[len(funnel.Bounds)] = 1, 1
		want := funnel.Tally{
			Lines: []funnel.Line{
				{Step: funnel.Approved, Method: "push", N: 2},
				{Step: funnel.Failed, Method: "push", Reason: "unavailable", N: 1},
				{Step: funnel.Started, Method: "push", N: 1},
			},
			Times: []funnel.Times{{Method: "push", Counts: counts}},
		}
		if !reflect.DeepEqual(early, []funnel.Period{{Unit: funnel.Hour, Start: funnel.Hour.Of(start), Tally: want}}) {
			t.Errorf("shown before it is written: %+v, want %+v", early, want)
		}
		for _, unit := range []funnel.Unit{funnel.Hour, funnel.Day} {
			if got := stored(t, store, unit); !reflect.DeepEqual(got, []funnel.Period{{Unit: unit, Start: unit.Of(start), Tally: want}}) {
				t.Errorf("%c: stored %+v, want %+v", unit, got, want)
			}
		}

		// A store that fails makes them wait.
		store.fails.Store(true)
		c.Attempt(t.Context(), "attempt.started", push(0))
		time.Sleep(2 * time.Hour)
		c.Attempt(t.Context(), "attempt.started", push(0))
		time.Sleep(2 * time.Minute)
		if got := shown(t, c); len(got) != 2 || got[0].N(funnel.Started, "") != 2 || got[1].N(funnel.Started, "") != 1 {
			t.Errorf("shown while the store fails: %+v, want two in the first hour, one of them written, and one in the third", got)
		}
		if got, err := c.Funnel(t.Context(), funnel.Hour, start.Add(time.Hour), start.Add(2*time.Hour)); err != nil || len(got) > 0 {
			t.Errorf("shown of an hour without counts: %+v, %v", got, err)
		}
		store.fails.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := stored(t, store, funnel.Hour); len(got) != 2 || got[0].N(funnel.Started, "push") != 2 || got[1].N(funnel.Started, "push") != 1 {
			t.Errorf("stored %+v, want two in the first hour and one in the third", got)
		}

		// The end writes what there is.
		c.Attempt(t.Context(), "attempt.done", push(0))
		stop()
		<-ended
		days := stored(t, store, funnel.Day)
		if len(days) != 1 || days[0].N(funnel.Finished, "") != 1 || days[0].N(funnel.Started, "") != 3 {
			t.Errorf("stored at the end %+v, want one finished of three", days)
		}
	})
}

// Counts that wait for a store are those of the newest hours, so that they are bounded.
func TestWaitingCountsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := open(t)
		c := funnel.New(store, slog.New(slog.DiscardHandler))
		store.fails.Store(true)
		for range 60 {
			c.Attempt(t.Context(), "attempt.started", push(0))
			c.Write(t.Context())
			time.Sleep(time.Hour)
		}
		store.fails.Store(false)
		c.Write(t.Context())
		if got := stored(t, store, funnel.Hour); len(got) != 48 || !got[47].Start.Equal(funnel.Hour.Of(time.Now().Add(-time.Hour))) {
			t.Errorf("%d hours are stored, want the newest 48", len(got))
		}
	})
}

func TestQuantile(t *testing.T) {
	counts := make([]uint64, len(funnel.Bounds)+1)
	counts[1], counts[4], counts[len(funnel.Bounds)] = 5, 4, 1
	tally := funnel.Tally{Times: []funnel.Times{{Method: "push", Counts: counts}}}
	for _, row := range []struct {
		q      float64
		within time.Duration
		ok     bool
	}{{0, 4 * time.Second, true}, {.5, 4 * time.Second, true}, {.51, 10 * time.Second, true}, {.9, 10 * time.Second, true}, {.95, 0, false}} {
		if within, ok := tally.Quantile(row.q, "push"); within != row.within || ok != row.ok {
			t.Errorf("quantile %v: %v, %v; want %v, %v", row.q, within, ok, row.within, row.ok)
		}
	}
	if _, ok := tally.Quantile(.5, "native"); ok {
		t.Error("a method without approvals has a quantile")
	}
}

func TestKeys(t *testing.T) {
	p := funnel.Period{Unit: funnel.Day, Start: funnel.Day.Of(time.Now())}
	if got, err := funnel.ParseKey(p.Key()); err != nil || got.Unit != p.Unit || !got.Start.Equal(p.Start) {
		t.Errorf("%+v is read as %+v, %v", p, got, err)
	}
	for _, key := range []string{"", "h", "x12345678", "h123456789"} {
		if _, err := funnel.ParseKey([]byte(key)); !errors.Is(err, funnel.ErrKey) {
			t.Errorf("%q: %v, want ErrKey", key, err)
		}
	}
}
