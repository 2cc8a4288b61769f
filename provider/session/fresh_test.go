// SPDX-License-Identifier: Apache-2.0

package session

import (
	"testing"
	"time"
)

func TestFresh(t *testing.T) {
	signedIn := time.Date(2026, 11, 23, 12, 0, 0, 900_000_000, time.UTC)
	s := Session{AuthTime: signedIn, Expires: signedIn.Add(time.Hour)}
	for _, row := range []struct {
		age, after time.Duration
		want       bool
	}{
		{0, 0, false}, // max_age=0 asks for a new sign-in always
		{-time.Second, 0, false},
		{time.Second, 0, true},
		{time.Second, 100 * time.Millisecond, true},
		{time.Second, 200 * time.Millisecond, false}, // clients count from the whole second
		{time.Hour, 59 * time.Minute, true},
		{time.Hour, time.Hour, false},
	} {
		if got := s.Fresh(row.age, signedIn.Add(row.after)); got != row.want {
			t.Errorf("max_age %s, %s after: %v", row.age, row.after, got)
		}
	}
	whole := Session{AuthTime: signedIn.Truncate(time.Second)}
	if whole.Fresh(0, whole.AuthTime) || !whole.Fresh(time.Second, whole.AuthTime) {
		t.Error("at the moment of the sign-in: want it fresh for a second, and never for max_age=0")
	}
	if !s.Live(s.Expires.Add(-1)) || s.Live(s.Expires) {
		t.Error("Live")
	}
}
