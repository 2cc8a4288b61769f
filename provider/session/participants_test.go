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
	if want := []Participant{{"shop", "s"}}; !changed || !slices.Equal(first.Participants, want) || !first.LastUsed.Equal(now) {
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
	if want := []Participant{{"bank", "s"}, {"shop", "s"}}; !changed || !slices.Equal(third.Participants, want) {
		t.Errorf("a later use: got %v, %t, want %v", third.Participants, changed, want)
	}
	if len(first.Participants) != 1 || second.Participants[0].ClientID != "shop" {
		t.Error("a use has changed the session before it")
	}
}

func TestContinues(t *testing.T) {
	before := Session{ID: "old", Sub: "u", Participants: []Participant{{"shop", "older"}, {"shop", "old"}}}
	s := Session{ID: "new", Sub: "u", Participants: []Participant{{"bank", "new"}}}
	want := []Participant{{"shop", "older"}, {"shop", "old"}, {"bank", "new"}}
	if got := s.Continues(before).Participants; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	before.Sub = "another"
	if got := s.Continues(before).Participants; !slices.Equal(got, s.Participants) {
		t.Errorf("after another user's session: got %v, want %v", got, s.Participants)
	}
	if got := s.Continues(s).Participants; !slices.Equal(got, s.Participants) {
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
