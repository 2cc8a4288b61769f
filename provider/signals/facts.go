// SPDX-License-Identifier: Apache-2.0

package signals

import (
	"encoding/json"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/notify"
)

// Cause is why something has happened, as far as a receiver may know. It is a notice's
// Detail, where the event has no other.
type Cause string

// The causes.
const (
	SignedOut     Cause = ""               // by the user, a client or an operator
	NumberLost    Cause = "number-lost"    // the number belongs to another user
	Deleted       Cause = "deleted"        // the user was deleted
	AccessRemoved Cause = "access-removed" // the client's access to the user was taken away
)

// of returns a notice without an ID.
func of(e Event, clientID, sub string, at, met time.Time, detail string) notify.Notice {
	return notify.Notice{Receiver: Lane(clientID), Kind: notify.Signal, Event: string(e), Sub: sub, At: at, Met: met, Detail: detail}
}

// Revoked returns the events of sessions that have ended: those of which logout notices say
// so, to the same clients.
func Revoked(ended []notify.Notice, why Cause) (all []notify.Notice) {
	for _, n := range ended {
		if n.Kind != notify.Logout {
			continue
		}
		s := of(SessionRevoked, n.Receiver, n.Sub, n.At, n.Met, string(why))
		s.SID = n.SID
		all = append(all, s)
	}
	return all
}

// Established returns the event of a session that has begun with a sign-in to the client of a
// grant, with the grant's acr.
func Established(at time.Time, g grant.Grant) []notify.Notice {
	if g.ClientID == "" || g.SID == "" {
		return nil
	}
	n := of(SessionEstablished, g.ClientID, g.Sub, at, at, g.ACR)
	n.SID = g.SID
	return []notify.Notice{n}
}

// Lost returns the events of a number that a user has lost to another one. Only a client that
// got the number learns anything of it.
func Lost(at time.Time, sub string, by []Knower) (all []notify.Notice) {
	for _, k := range by {
		if k.Phone.IsZero() {
			continue
		}
		all = append(all,
			of(IdentifierRecycled, k.ClientID, sub, at, k.Phone, ""),
			of(TokenClaimsChange, k.ClientID, sub, at, k.Phone, string(NumberLost)))
	}
	return all
}

// Purged returns the events of a user who was deleted.
func Purged(at time.Time, sub string, by []Knower) (all []notify.Notice) {
	for _, k := range by {
		all = append(all, of(AccountPurged, k.ClientID, sub, at, k.At, ""))
	}
	return all
}

// Withdrawn returns the event of a client's access that was taken away, to that client.
func Withdrawn(at time.Time, sub, clientID string, by []Knower) (all []notify.Notice) {
	for _, k := range by {
		if k.ClientID == clientID {
			all = append(all, of(TokenClaimsChange, k.ClientID, sub, at, k.At, string(AccessRemoved)))
		}
	}
	return all
}

// Stopped returns what a pause by this side makes of a stream: its receiver is told, with the
// reason, before what is held (SSF §8.1.5).
func Stopped(s Stream, by Actor, reason string, now time.Time) Update {
	return switched(s, Paused, by, reason, now)
}

// Resumed undoes Stopped: what is held follows.
func Resumed(s Stream, by Actor, now time.Time) Update { return switched(s, Enabled, by, "", now) }

func switched(s Stream, to Status, by Actor, reason string, now time.Time) Update {
	s.Status, s.Reason, s.By, s.Changed = to, reason, by, now
	detail, err := json.Marshal(struct {
		Status Status `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{to, reason})
	if err != nil { // a plain struct of ours always marshals
		panic(err)
	}
	return Update{Stream: &s, Tell: []notify.Notice{About(StreamUpdated, s.ClientID, now, string(detail))}}
}

// About returns a notice about a client's stream itself: a verification with a state, or a
// status that this side has set, with the reason. It goes before what waits: a receiver
// learns that its stream stands still before what is held.
func About(e Event, clientID string, at time.Time, detail string) notify.Notice {
	n := of(e, clientID, "", at, at, detail)
	n.ID = notify.NewID(at, 0)
	if e == StreamUpdated {
		n.ID = notify.NewID(time.Unix(0, 0), 0)
	}
	return n
}
