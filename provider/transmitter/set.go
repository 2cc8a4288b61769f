// SPDX-License-Identifier: Apache-2.0

package transmitter

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/notify"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
)

// tokenType is the typ of a Security Event Token (RFC 8417 §2.3, SSF §4.1.1).
const tokenType = "secevent+jwt"

// eventToken is the payload of a Security Event Token. It has no sub and no exp (SSF §4.1.2,
// §4.1.7), and one event.
type eventToken struct {
	Issuer   string         `json:"iss"`
	ID       string         `json:"jti"`
	IssuedAt int64          `json:"iat"`
	Audience string         `json:"aud"`
	Txn      string         `json:"txn,omitempty"`
	Subject  any            `json:"sub_id"`
	Events   map[string]any `json:"events"`
}

// The formats of subjects (RFC 9493 §3.2, SSF §3.2).
type (
	issSub struct {
		Format  string `json:"format"`
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
	}
	opaque struct {
		Format string `json:"format"`
		ID     string `json:"id"`
	}
	phoneNumber struct {
		Format string `json:"format"`
		Number string `json:"phone_number"`
	}
	complexSubject struct {
		Format  string `json:"format"`
		User    issSub `json:"user"`
		Session opaque `json:"session"`
	}
)

// errGone means that what a notice is about is not there any more.
var errGone = errors.New("transmitter: the user of the event is gone")

// set returns a notice as a signed token. A number is read from the user's record now, and is
// in no queue. errGone: there is nothing to say any more.
func (t *Transmitter) set(ctx context.Context, c client.Client, s signals.Stream, n notify.Notice, now time.Time) (string, error) {
	e := signals.Event(n.Event)
	about, err := t.subject(ctx, c, s, n)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(eventToken{
		Issuer:   t.cfg.Issuer,
		ID:       n.ID,
		IssuedAt: now.Unix(),
		Audience: c.ID,
		Txn:      t.txn(c, n),
		Subject:  about,
		Events:   map[string]any{e.URI(): body(e, n)},
	})
	if err != nil {
		return "", err
	}
	return t.cfg.Keys.Sign(t.alg(c), tokenType, payload)
}

// alg returns the algorithm of a client's tokens: that of its ID tokens, RS256 by default. A
// token of this kind is always signed.
func (t *Transmitter) alg(c client.Client) string {
	if alg := c.SigningAlg(); alg != client.AlgNone {
		return alg
	}
	return t.cfg.Keys.Algorithms()[0]
}

// txn returns what the events of one fact have in common (SSF §4.1.9), for one client: two
// clients that compare theirs learn nothing.
func (t *Transmitter) txn(c client.Client, n notify.Notice) string {
	if signals.Event(n.Event).AboutStream() {
		return ""
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(n.At.UnixNano()))
	sum := t.cfg.Master.MAC(keys.PurposeSignalTxn, []byte(c.ID), []byte(n.Sub), at)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// subject returns the sub_id of an event.
func (t *Transmitter) subject(ctx context.Context, c client.Client, s signals.Stream, n notify.Notice) (any, error) {
	user := issSub{"iss_sub", t.cfg.Issuer, t.cfg.Tokens.Subject(c, n.Sub)}
	switch e := signals.Event(n.Event); {
	case e.AboutStream():
		return opaque{"opaque", s.ID}, nil
	case e == signals.IdentifierRecycled: // RISC §2.6: the identifier itself
		p, err := t.cfg.People.Person(ctx, n.Sub)
		switch {
		case errors.Is(err, subject.ErrNotFound), err == nil && p.Number.IsZero():
			return nil, errGone
		case err != nil:
			return nil, err
		}
		return phoneNumber{"phone_number", p.Number.E164()}, nil
	case n.SID != "":
		return complexSubject{"complex", user, opaque{"opaque", t.cfg.Tokens.SID(c, n.SID)}}, nil
	}
	return user, nil
}

// reasons are what a receiver's operators read of why a session ended (CAEP Interoperability
// Profile §3.1: never empty).
var reasons = map[signals.Cause]string{
	signals.SignedOut:     "The session has ended.",
	signals.NumberLost:    "The phone number belongs to another user now.",
	signals.Deleted:       "The account was deleted.",
	signals.AccessRemoved: "The access to the user was taken away.",
}

// body returns what an event says besides its subject.
func body(e signals.Event, n notify.Notice) any {
	if e.AboutStream() {
		return json.RawMessage(n.Detail)
	}
	out := map[string]any{}
	if e == signals.IdentifierRecycled || e == signals.AccountPurged { // RISC: no attributes
		return out
	}
	out["event_timestamp"] = n.At.Unix()
	switch e {
	case signals.SessionRevoked:
		out["reason_admin"] = map[string]string{"en": reasons[signals.Cause(n.Detail)]}
		if signals.Cause(n.Detail) == signals.NumberLost {
			out["initiating_entity"] = "system"
		}
	case signals.SessionEstablished:
		out["initiating_entity"] = "user"
		if n.Detail != "" {
			out["acr"] = n.Detail
		}
	case signals.TokenClaimsChange:
		switch signals.Cause(n.Detail) {
		case signals.NumberLost: // the claims are gone
			out["claims"] = map[string]any{"phone_number": nil, "phone_number_verified": nil}
			out["initiating_entity"] = "system"
		case signals.AccessRemoved: // no scope is left
			out["claims"] = map[string]any{"scope": ""}
		}
	}
	return out
}
