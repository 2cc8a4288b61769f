// SPDX-License-Identifier: Apache-2.0

package signals

import (
	"maps"
	"slices"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

// Learnt returns what a grant makes of a client's knowledge.
func Learnt(g grant.Grant) []subject.Known {
	if g.Sub == "" {
		return nil
	}
	all := []subject.Known{{Sub: g.Sub, ClientID: g.ClientID, At: g.Created}}
	if tellsNumber(g.Scopes, g.IDTokenClaims, g.UserinfoClaims) {
		all = append(all, subject.Known{Sub: g.Sub, ClientID: g.ClientID, Phone: true, At: g.Created})
	}
	return all
}

func tellsNumber(scopes []string, claimed ...[]string) bool {
	named := func(name string) bool { return claims.ScopeOf(name) == claims.Phone }
	return slices.Contains(scopes, claims.Phone) || slices.ContainsFunc(slices.Concat(claimed...), named)
}

// Knower is a client that knows a user.
type Knower struct {
	ClientID string
	At       time.Time // when it last got something of the user
	Phone    time.Time // when it last got their number; zero: never
}

// Knowers returns the clients that know a user, by everything that is stored about that user,
// ordered by client.
func Knowers(known []subject.Known, sessions []session.Session, grants []grant.Grant, consents []consent.Consent) []Knower {
	all := map[string]Knower{}
	add := func(clientID string, at time.Time, phone bool) {
		k := all[clientID]
		k.ClientID = clientID
		if at.After(k.At) {
			k.At = at
		}
		if phone && at.After(k.Phone) {
			k.Phone = at
		}
		all[clientID] = k
	}
	for _, k := range known {
		add(k.ClientID, k.At, k.Phone)
	}
	for _, s := range sessions {
		for _, p := range s.Participants {
			add(p.ClientID, p.At, false)
		}
	}
	for _, g := range grants {
		if !g.Revoked {
			add(g.ClientID, g.Created, tellsNumber(g.Scopes, g.IDTokenClaims, g.UserinfoClaims))
		}
	}
	for _, c := range consents {
		add(c.ClientID, c.LastUsed, tellsNumber(c.Scopes))
	}
	var ordered []Knower
	for _, id := range slices.Sorted(maps.Keys(all)) {
		ordered = append(ordered, all[id])
	}
	return ordered
}
