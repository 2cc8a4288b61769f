// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTake(t *testing.T) {
	rate := Rate{Burst: 3, Period: 30 * time.Second}
	var tat time.Time
	take := func(at time.Duration) Decision {
		d := rate.Take(tat, start.Add(at))
		if d.Allowed {
			tat = d.TAT
		}
		return d
	}
	for i, want := range []int{2, 1, 0} {
		if d := take(0); !d.Allowed || d.Remaining != want {
			t.Fatalf("event %d: %+v, want %d remaining", i, d, want)
		}
	}
	if d := take(0); d.Allowed || !d.RetryAt.Equal(start.Add(10*time.Second)) {
		t.Errorf("the fourth at once: %+v", d)
	}
	if d := take(10*time.Second - 1); d.Allowed {
		t.Errorf("a nanosecond early: %+v", d)
	}
	if d := take(10 * time.Second); !d.Allowed {
		t.Errorf("when RetryAt said: %+v", d)
	}
	if d := take(time.Hour); !d.Allowed || d.Remaining != 2 {
		t.Errorf("after a rest the whole burst is back: %+v", d)
	}
}

func TestTakeFailsClosed(t *testing.T) {
	for _, rate := range []Rate{{}, {Burst: -1, Period: time.Second}, {Burst: 1}, {Burst: 1, Period: -time.Second}} {
		if d := rate.Take(time.Time{}, start); d.Allowed {
			t.Errorf("%+v allows", rate)
		}
	}
}

// However the tries come, every stretch of time holds at most one burst and
// what the rate gives back in it. A refused try costs nothing, is told the
// truth about when to come back, and no earlier time would do.
func TestTakeNeverExceeds(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		rate := Rate{Burst: 1 + random.IntN(9), Period: time.Duration(1+random.IntN(100)) * time.Second}
		interval := rate.Period / time.Duration(rate.Burst)
		var tat time.Time
		var taken []time.Time
		now := start
		for range 300 {
			now = now.Add(time.Duration(random.Int64N(int64(rate.Period) / 4)))
			d := rate.Take(tat, now)
			if !d.Allowed {
				if !rate.Take(tat, d.RetryAt).Allowed {
					t.Fatalf("seed %d: refused at the time that RetryAt gave", seed)
				}
				if rate.Take(tat, d.RetryAt.Add(-1)).Allowed {
					t.Fatalf("seed %d: RetryAt is later than it must be", seed)
				}
				if !d.TAT.Equal(tat) {
					t.Fatalf("seed %d: a refusal changed the state", seed)
				}
				continue
			}
			tat = d.TAT
			taken = append(taken, now)
			for i, at := range taken {
				held := len(taken) - i
				if most := rate.Burst + int(now.Sub(at)/interval); held > most {
					t.Fatalf("seed %d: %d in %s of %+v, at most %d are allowed", seed, held, now.Sub(at), rate, most)
				}
			}
		}
	}
}

// A charge that leaves a reserve alone takes what is above it and no more, and
// who may have the reserve finds it whole.
func TestReserve(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		rate := Rate{Burst: 2 + random.IntN(9), Period: time.Duration(1+random.IntN(100)) * time.Second}
		others := Charge{Rate: rate, Reserve: 1 + random.IntN(rate.Burst-1)}
		whole := Charge{Rate: rate}
		var tat time.Time
		now := start
		for range 300 {
			now = now.Add(time.Duration(random.Int64N(int64(rate.Period) / 4)))
			d := others.Take(tat, now)
			left, next := others.Left(tat, now)
			all, _ := whole.Left(tat, now)
			if d.Allowed != (left > 0) || d.Allowed && d.Remaining != left-1 || left != max(0, all-others.Reserve) {
				t.Fatalf("seed %d: %+v, %d left of %d", seed, d, left, all)
			}
			if !d.Allowed {
				if !d.RetryAt.Equal(next) || !others.Take(tat, d.RetryAt).Allowed || others.Take(tat, d.RetryAt.Add(-1)).Allowed || !d.TAT.Equal(tat) {
					t.Fatalf("seed %d: refused, %+v", seed, d)
				}
				if random.IntN(2) == 0 { // somebody who may
					if d := whole.Take(tat, now); d.Allowed {
						tat = d.TAT
					}
				}
				continue
			}
			tat = d.TAT
			if all, _ := whole.Left(tat, now); all < others.Reserve {
				t.Fatalf("seed %d: the reserve was touched: %d of %d are left", seed, all, others.Reserve)
			}
		}
	}
	for _, reserve := range []int{-1, 3, 4} { // fail closed
		if (Charge{Rate: Rate{Burst: 3, Period: time.Hour}, Reserve: reserve}).Take(time.Time{}, start).Allowed {
			t.Errorf("a reserve of %d of 3 allows something", reserve)
		}
	}
}
