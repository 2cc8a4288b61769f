package limit

import (
	"math/rand/v2"
	"net/netip"
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

// However the tries come, no window of one period ever holds more than two
// bursts, and a refused try costs nothing.
func TestTakeNeverExceeds(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		rate := Rate{Burst: 1 + random.IntN(9), Period: time.Duration(1+random.IntN(100)) * time.Second}
		var tat time.Time
		var taken []time.Time
		now := start
		for range 300 {
			now = now.Add(time.Duration(random.Int64N(int64(rate.Period) / 4)))
			d := rate.Take(tat, now)
			if !d.Allowed {
				if again := rate.Take(tat, d.RetryAt); !again.Allowed {
					t.Fatalf("seed %d: refused at the time that RetryAt gave", seed)
				}
				continue
			}
			tat = d.TAT
			taken = append(taken, now)
			inWindow := 0
			for _, at := range taken {
				if now.Sub(at) < rate.Period {
					inWindow++
				}
			}
			if inWindow > 2*rate.Burst {
				t.Fatalf("seed %d: %d in one period of %+v", seed, inWindow, rate)
			}
		}
	}
}

func TestNetworkOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"::ffff:192.0.2.7":     "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := NetworkOf(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s -> %s, want %s", in, got, want)
		}
	}
	if got := NetworkOf(netip.Addr{}); got != "unknown" {
		t.Errorf("no address -> %s", got)
	}
}
