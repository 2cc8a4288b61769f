// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"testing"
	"time"
)

func TestAReleaseOfALock(t *testing.T) {
	h, other := Holder{Attempt: "h", Browser: [32]byte{1}}, Holder{Attempt: "other", Browser: [32]byte{2}}
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	unsent, approved := Release{By: h}, Release{By: h, Until: at(2), Approved: true}
	for _, row := range []struct {
		what string
		r    Release
		s    State
		want State
	}{
		{"the holder's", unsent, State{Until: at(5), Holder: h}, State{}},
		{"the holder's, approved", approved, State{Until: at(5), Holder: h}, State{Until: at(2), Holder: h, Approved: true}},
		{"of a free one", unsent, State{Until: at(0), Holder: other}, State{}},
		{"of a free one, approved", approved, State{Until: at(0), Holder: other}, State{Until: at(2), Holder: h, Approved: true}},
		{"of a free one that was extended", approved, State{Until: at(0), Free: at(0), Holder: h}, State{Until: at(2), Holder: h, Approved: true}},
		{"another's", unsent, State{Until: at(5), Holder: other}, State{Until: at(5), Holder: other}},
		{"another's that ends later", approved, State{Until: at(5), Holder: other}, State{Until: at(5), Free: at(2), Holder: other}},
		{"another's that ends sooner", approved, State{Until: at(1), Holder: other, Approved: true}, State{Until: at(2), Free: at(2), Holder: other, Approved: true}},
		{"extended, the holder's", unsent, State{Until: at(5), Free: at(4), Holder: h}, State{Until: at(4), Free: at(4)}},
		{"extended, approved", approved, State{Until: at(5), Free: at(4), Holder: h}, State{Until: at(4), Free: at(4), Holder: h, Approved: true}},
		{"extended for less", approved, State{Until: at(5), Free: at(1), Holder: h}, State{Until: at(2), Free: at(1), Holder: h, Approved: true}},
		{"extended, and that has ended", unsent, State{Until: at(5), Free: at(0), Holder: h}, State{}},
	} {
		if got := row.r.After(row.s, start); got != row.want {
			t.Errorf("%s: got %+v, want %+v", row.what, got, row.want)
		}
	}
}

func TestAReleaseInALane(t *testing.T) {
	h, other := Holder{Attempt: "h"}, Holder{Attempt: "other"}
	later := start.Add(time.Minute)
	hour := start.Add(time.Hour)
	held := State{Until: later, Holder: h}
	for _, row := range []struct {
		what string
		r    Release
		s    State
		want State
	}{
		{"not sent", Release{By: h}, held, State{}},
		{"approved", Release{By: h, Until: later, Approved: true}, held, State{}},
		{"declined", Release{By: h, Until: later.Add(1), Unsolved: hour}, held, State{Until: hour, Free: later.Add(1), Holder: h}},
		{"declined, without a cool-down", Release{By: h, Until: later.Add(1)}, held, State{Until: later.Add(1), Free: later.Add(1), Holder: h}},
		{"another's", Release{By: other, Until: later.Add(1)}, held, held},
		{"a free one", Release{By: other, Until: later}, State{Until: start, Holder: h}, State{Until: later, Free: later, Holder: other}},
	} {
		if got := row.r.AfterInLane(row.s, start); got != row.want {
			t.Errorf("%s: got %+v, want %+v", row.what, got, row.want)
		}
	}
}
