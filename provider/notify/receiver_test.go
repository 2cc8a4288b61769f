// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"testing"
	"time"
)

func TestAfter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	before := Receiver{ID: "app", Failures: 2, Next: now, Delivered: now.Add(-time.Hour), Failed: now.Add(-time.Minute), Reason: "before"}
	n := Notice{ID: "n", Receiver: "app", Tries: 3}
	for _, row := range []struct {
		name     string
		res      Result
		jitter   float64
		tries    uint32
		failures uint32
		next     time.Duration // from now; 0: none
		done     bool
		reason   string
	}{
		{"delivered", Result{Outcome: Delivered}, 0, 3, 0, 0, true, "before"},
		{"refused", Result{Outcome: Refused, Reason: "no"}, 0, 3, 0, 0, true, "no"},
		{"dropped", Result{Outcome: Dropped}, 0, 3, 2, 0, true, "before"},
		{"abandoned", Result{Outcome: Abandoned}, 0, 3, 2, 0, true, "before"},
		{"failed", Result{Outcome: Failed, Reason: "why"}, 0, 4, 3, 80 * time.Second, false, "why"},
		{"failed, with jitter", Result{Outcome: Failed, Reason: "why"}, 1, 4, 3, 60 * time.Second, false, "why"},
		{"failed, and asked for more", Result{Outcome: Failed, RetryAfter: 10 * time.Minute}, 0, 4, 3, 10 * time.Minute, false, ""},
		{"failed, and asked for less", Result{Outcome: Failed, RetryAfter: time.Second}, 0, 4, 3, 80 * time.Second, false, ""},
		{"failed, and asked for too much", Result{Outcome: Failed, RetryAfter: 100 * time.Hour}, 0, 4, 3, time.Hour, false, ""},
	} {
		r, got, done := after(before, n, row.res, now, row.jitter)
		next := time.Duration(0)
		if r.Next.After(now) {
			next = r.Next.Sub(now)
		}
		if done != row.done || got.Tries != row.tries || r.Failures != row.failures || next != row.next || r.Reason != row.reason {
			t.Errorf("%s: got %+v, %d tries, done %t; want %+v", row.name, r, got.Tries, done, row)
		}
	}
	n.Tries = maxTries - 1
	if _, _, done := after(before, n, Result{Outcome: Failed}, now, 0); !done {
		t.Errorf("the last try: not done, want given up")
	}
}

func TestPause(t *testing.T) {
	for failures, want := range []time.Duration{5 * time.Second, 20 * time.Second, 80 * time.Second, 320 * time.Second, 1280 * time.Second, time.Hour, time.Hour} {
		if got := pause(uint32(failures), 0); got != want {
			t.Errorf("after %d failures: got %s, want %s", failures, got, want)
		}
	}
	if got := pause(1<<31, 0.5); got != time.Hour-time.Hour/8 {
		t.Errorf("after very many: got %s", got)
	}
}

// A signal is tried for as long as it is kept, and one that is put off is as it was.
func TestSignalsAreTriedAsLongAsTheyAreKept(t *testing.T) {
	now := time.Now()
	n := Notice{Kind: Signal, At: now.Add(-13 * 24 * time.Hour), Tries: 1000}
	if tooOld(n, now) || !tooOld(n, now.Add(24*time.Hour)) || !n.Expires().After(now.Add(24*time.Hour)) {
		t.Errorf("after 13 and 14 days: too old %v and %v", tooOld(n, now), tooOld(n, now.Add(24*time.Hour)))
	}
	if r, next, done := after(Receiver{}, n, Result{Outcome: Failed, Reason: "status 500"}, now, 0); done || next.Tries != 1001 || r.Failures != 1 {
		t.Errorf("the thousandth failure: got %+v, %+v, done %v", r, next, done)
	}
	r, next, done := after(Receiver{Failures: 2}, n, Result{Outcome: Later, RetryAfter: time.Hour}, now, 0)
	if done || next != n || r.Failures != 2 || !r.Next.Equal(now.Add(time.Hour)) || !r.Failed.IsZero() {
		t.Errorf("put off: got %+v, %+v, done %v", r, next, done)
	}
}
