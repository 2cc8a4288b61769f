// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"time"
)

// Participant is a client that got something in a session: a code, or a token of the
// authorization endpoint. It is told when the session ends.
type Participant struct {
	ClientID string
	// SID is the ID of the session as it was then: that of the session, or of one that it
	// continues (Continues). A pairwise client knows it by another sid
	// (idtoken.Issuer.SID).
	SID string
	// At is when it last got something: a client that took its ID later was not there.
	At time.Time
}

// is reports whether both are of the same client in the same session.
func (p Participant) is(other Participant) bool {
	return p.ClientID == other.ClientID && p.SID == other.SID
}

// Bounds on the participants of one session. The least recently used are forgotten first:
// a session that cannot be written would keep its user from signing in.
const (
	maxParticipants = 64
	maxSIDs         = 8 // of one client, which has signed the user in again that often
)

// Used returns the session after a client got something in it at that time, and reports
// whether that changes it.
func (s Session) Used(clientID string, at time.Time) (Session, bool) {
	here := Participant{ClientID: clientID, SID: s.ID, At: at}
	if i := slices.IndexFunc(s.Participants, here.is); i >= 0 && !at.After(s.Participants[i].At) {
		return s, false
	}
	if at.After(s.LastUsed) {
		s.LastUsed = at
	}
	s.Participants = joined(s.Participants, here)
	return s, true
}

// Continues returns the session after it has replaced another one in its browser. If both
// are of the same user, the end of this one is the end of the other one too, so that its
// participants are told then.
func (s Session) Continues(before Session) Session {
	if before.Sub != s.Sub || before.ID == s.ID {
		return s
	}
	own := s.Participants
	s.Participants = slices.Clone(before.Participants)
	for _, p := range own {
		s.Participants = joined(s.Participants, p)
	}
	return s
}

// joined returns participants with p as the latest.
func joined(all []Participant, p Participant) []Participant {
	all = slices.DeleteFunc(slices.Clone(all), p.is)
	ofClient := func(other Participant) bool { return other.ClientID == p.ClientID }
	n := 0
	for _, other := range all {
		if ofClient(other) {
			n++
		}
	}
	if n >= maxSIDs {
		i := slices.IndexFunc(all, ofClient)
		all = slices.Delete(all, i, i+1)
	}
	if len(all) >= maxParticipants {
		all = all[1:]
	}
	return append(all, p)
}
