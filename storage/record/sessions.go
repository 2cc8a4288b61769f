// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/session"
)

// Sessions are found by the SHA-256 of their cookie's secret.
var Sessions = Kind{Name: "sessions", purpose: keys.PurposeSessionRecord, version: 2, expires: true, empty: empty[Session]}

// SessionIDs lead from a sid to the SHA-256 of the cookie's secret (Hash).
var SessionIDs = Kind{Name: "session_ids", purpose: keys.PurposeSessionIDRecord, version: 1, empty: empty[Hash], follows: true}

// Session is a session.Session.
type Session session.Session

func (s *Session) fields(c *codec, version byte) {
	text(c, &s.ID)
	hash(c, &s.Secret)
	text(c, &s.Sub)
	c.time(&s.AuthTime)
	text(c, &s.ACR)
	texts(c, &s.AMR)
	c.time(&s.Created)
	c.time(&s.Expires)
	c.time(&s.LastUsed)
	text(c, &s.Device.Browser)
	text(c, &s.Device.OS)
	text(c, &s.Country)
	if version >= 2 {
		list(c, &s.Participants, participant)
	}
}

func participant(c *codec, p *session.Participant) {
	text(c, &p.ClientID)
	text(c, &p.SID)
	c.time(&p.At)
}
