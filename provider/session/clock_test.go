// SPDX-License-Identifier: Apache-2.0

package session

import (
	"testing"
	"time"
)

// A session of a clock that was fast is not fresh, and does not live longer than one
// of a right clock.
func TestASessionFromTheFutureIsNotFresh(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	const lifetime = time.Hour
	for _, row := range []struct {
		what        string
		ahead       time.Duration
		fresh, live bool
	}{
		{"just now", 0, true, true},
		{"the clock was corrected by two seconds", 2 * time.Second, false, true},
		{"a minute", time.Minute, false, true},
		{"more", time.Minute + 1, false, false},
		{"a day", 24 * time.Hour, false, false},
	} {
		at := now.Add(row.ahead)
		s := Session{AuthTime: at, Created: at, Expires: at.Add(lifetime)}
		if got := s.Fresh(10*time.Minute, now); got != row.fresh {
			t.Errorf("%s: fresh %v, want %v", row.what, got, row.fresh)
		}
		if got := s.Live(now); got != row.live {
			t.Errorf("%s: live %v, want %v", row.what, got, row.live)
		}
	}
}
