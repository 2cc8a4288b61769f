// SPDX-License-Identifier: Apache-2.0

package page

import (
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]delay{
		-time.Hour: {Minutes: 1}, 0: {Minutes: 1}, time.Minute: {Minutes: 1}, 61 * time.Second: {Minutes: 2},
		90 * time.Minute: {Minutes: 90}, 91 * time.Minute: {Hours: 2}, 24 * time.Hour: {Hours: 24},
	} {
		if got := waitUntil(now, now.Add(left)); got != want {
			t.Errorf("%s: got %+v, want %+v", left, got, want)
		}
	}
	for seconds, want := range map[int]string{0: "0:00", 9: "0:09", 70: "1:10", 3600: "60:00"} {
		if got := clock(seconds); got != want {
			t.Errorf("%d: got %s, want %s", seconds, got, want)
		}
	}
}

func TestMoments(t *testing.T) {
	now := time.Now()
	for past, want := range map[time.Duration]moment{
		-time.Hour: {}, 0: {}, 59 * time.Minute: {}, time.Hour: {Hours: 1}, 47*time.Hour + 59*time.Minute: {Hours: 47},
		48 * time.Hour: {Days: 2}, 59 * 24 * time.Hour: {Days: 59}, 60 * 24 * time.Hour: {Months: 2}, 366 * 24 * time.Hour: {Months: 12},
	} {
		got := momentOf(now, now.Add(-past))
		if got.ISO == "" {
			t.Errorf("%s: got no time for the datetime attribute", past)
		}
		if got.ISO = ""; got != want {
			t.Errorf("%s: got %+v, want %+v", past, got, want)
		}
	}
}
