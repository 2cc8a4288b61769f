// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/session"
)

// Ended returns the notices of sessions that have ended, one for each participant.
func Ended(at time.Time, sessions ...session.Session) []Notice { return Everywhere(at, sessions, nil) }

// Everywhere returns the notices of a user whose sessions have all ended: those of the
// participants, and of the clients that still have a grant, whose own sessions may be
// older than ours.
func Everywhere(at time.Time, sessions []session.Session, grants []grant.Grant) []Notice {
	var all []Notice
	type told struct{ client, sid string }
	seen := map[told]bool{}
	add := func(client, sub, sid string, met time.Time) {
		if to := (told{client, sid}); client != "" && !seen[to] {
			seen[to] = true
			all = append(all, Notice{ID: NewID(at, len(all)), Receiver: client, Kind: Logout, Sub: sub, SID: sid, At: at, Met: met})
		}
	}
	for _, s := range sessions {
		for _, p := range s.Participants {
			add(p.ClientID, s.Sub, p.SID, p.At)
		}
	}
	for _, g := range grants {
		if !g.Revoked {
			add(g.ClientID, g.Sub, g.SID, g.Created)
		}
	}
	return all
}

// Of returns those notices that are for a client.
func Of(clientID string, all []Notice) (of []Notice) {
	for _, n := range all {
		if n.Receiver == clientID {
			of = append(of, n)
		}
	}
	return of
}
