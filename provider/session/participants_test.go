// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestUsed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := Session{ID: "s", Sub: "u", LastUsed: now}
	first, changed := s.Used("shop", now)
	if want := []Participant{{ClientID: "shop", SID: "s"}}; !changed || !equal(first.Participants, want) || !first.LastUsed.Equal(now) {
		t.Errorf("the first use: got %+v, %t, want %v", first, changed, want)
	}
	if again, changed := first.Used("shop", now); changed {
		t.Errorf("the same use: got %+v, want no change", again)
	}
	second, _ := first.Used("bank", now.Add(-time.Second))
	if !second.LastUsed.Equal(now) {
		t.Errorf("an earlier use: got %v, want %v", second.LastUsed, now)
	}
	third, changed := second.Used("shop", now.Add(time.Second))
	if want := []Participant{{ClientID: "bank", SID: "s"}, {ClientID: "shop", SID: "s"}}; !changed || !equal(third.Participants, want) {
		t.Errorf("a later use: got %v, %t, want %v", third.Participants, changed, want)
	}
	if at := []time.Time{third.Participants[0].At, third.Participants[1].At}; !at[0].Equal(now.Add(-time.Second)) || !at[1].Equal(now.Add(time.Second)) {
		t.Errorf("times: got %v, want those of the latest use by each", at)
	}
	if len(first.Participants) != 1 || second.Participants[0].ClientID != "shop" {
		t.Error("a use has changed the session before it")
	}
}

func TestContinues(t *testing.T) {
	before := Session{ID: "old", Sub: "u", Participants: []Participant{{ClientID: "shop", SID: "older"}, {ClientID: "shop", SID: "old"}}}
	s := Session{ID: "new", Sub: "u", Participants: []Participant{{ClientID: "bank", SID: "new"}}}
	want := []Participant{{ClientID: "shop", SID: "older"}, {ClientID: "shop", SID: "old"}, {ClientID: "bank", SID: "new"}}
	if got := s.Continues(before).Participants; !equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	before.Sub = "another"
	if got := s.Continues(before).Participants; !equal(got, s.Participants) {
		t.Errorf("after another user's session: got %v, want %v", got, s.Participants)
	}
	if got := s.Continues(s).Participants; !equal(got, s.Participants) {
		t.Errorf("after itself: got %v, want %v", got, s.Participants)
	}
}

// Participants are bounded, of a client and in all.
func TestParticipantsAreBounded(t *testing.T) {
	s := Session{Sub: "u"}
	s.ID = "first"
	s, _ = s.Used("bank", time.Time{})
	for i := range maxSIDs + 1 {
		s.ID = fmt.Sprint(i)
		s, _ = s.Used("shop", time.Time{})
	}
	if n := len(s.Participants); n != maxSIDs+1 || s.Participants[0].ClientID != "bank" || s.Participants[1].SID != "1" {
		t.Errorf("one client: got %v, want bank and the latest %d of shop", s.Participants, maxSIDs)
	}
	for i := range 2 * maxParticipants {
		s, _ = s.Used(fmt.Sprint("client", i), time.Time{})
	}
	if n := len(s.Participants); n != maxParticipants || s.Participants[n-1].ClientID != fmt.Sprint("client", 2*maxParticipants-1) {
		t.Errorf("many clients: got %d, want the latest %d", n, maxParticipants)
	}
}

// equal compares participants without their times.
func equal(a, b []Participant) bool { return slices.EqualFunc(a, b, Participant.is) }
