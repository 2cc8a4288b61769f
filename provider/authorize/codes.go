// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/clock"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
)

// codes makes authorization codes, and what stands for one where the response type has
// none.
type codes struct {
	store    grant.Store
	lifetime time.Duration
	access   time.Duration // lifetime of an access token
	later    grant.MAC
	audit    audit.Recorder
}

// ticket is the first code that a form gives, which need not exist yet, the grant of all
// of its codes (codes.of), and the access token beside the first one, "" for none. All
// are random.
type ticket struct {
	Code    redact.Text `json:"c"`
	GrantID string      `json:"g"`
	Access  redact.Text `json:"a,omitempty"`
}

func newTicket(q *request) ticket {
	return ticket{Code: grant.NewCode(), GrantID: grant.NewID(), Access: newAccess(q)}
}

// newAccess returns a new access token, "" for a response type without one.
func newAccess(q *request) redact.Text {
	if !q.responseType().AccessToken() {
		return ""
	}
	token, _ := grant.NewToken()
	return token
}

// ticketOf returns what a finished attempt gives, which its browser may have again.
func ticketOf(o login.Outcome) ticket {
	return ticket{Code: o.Code, GrantID: o.GrantID, Access: o.Access}
}

// first returns what a form gives first.
func (t ticket) first() gift { return gift{code: t.Code, access: t.Access} }

// grantOf returns what a request gives in a session, without what differs between codes.
func grantOf(q *request, s session.Session) grant.Grant {
	return grant.Grant{
		ClientID:       q.ClientID,
		Sub:            s.Sub,
		SID:            s.ID,
		Scopes:         q.Scopes,
		Nonce:          q.Nonce,
		AuthTime:       s.AuthTime,
		ACR:            s.ACR,
		AMR:            s.AMR,
		IDTokenClaims:  q.IDTokenClaims,
		UserinfoClaims: q.UserinfoClaims,
	}
}

// code returns the code that a request earns in a session, with the access token that is
// given beside it. form is when no form can ask for it again, zero if none can. A response
// type without a code has one as well, which is not sent and counts as redeemed: it makes
// sure that such a response, too, is given once.
func (cs codes) code(q *request, c client.Client, s session.Session, g gift, grantID string, now, form time.Time) grant.Code {
	expires := now.Add(cs.lifetime)
	if !form.IsZero() {
		form = form.Add(clock.Tolerance) // by which the clock of another node may be slow
	}
	bought := grantOf(q, s)
	bought.ID, bought.Created, bought.Expires = grantID, now, expires
	bought.Offline = slices.Contains(q.Scopes, claims.OfflineAccess)
	code := grant.Code{
		Hash:        grant.HashCode(g.code),
		RedirectURI: client.WithPath(q.RedirectURI),
		Challenge:   q.Challenge,
		Expires:     expires,
		FormExpires: form,
		Redeemed:    !q.responseType().Code(),
		Grant:       bought,
	}
	if q.forDevice() {
		return q.Device.answer(code)
	}
	if g.access != "" {
		bought.Scopes = withoutOffline(c.GrantableScopes(q.Scopes))
		code.Front = grant.Policy{AccessToken: cs.access}.NewFront(bought, g.access, now)
	}
	return code
}

// create makes and keeps what a request earns in a session, without a push. The ID token
// is signed already.
func (cs codes) create(ctx context.Context, q *request, c client.Client, s session.Session, t ticket) error {
	if err := cs.store.CreateCode(ctx, cs.code(q, c, s, t.first(), t.GrantID, time.Now(), time.Time{})); err != nil {
		return err
	}
	cs.allowed(ctx, q, s)
	cs.audit.Record(ctx, audit.Event{Name: audit.SessionUsed, Session: s.ID, Subject: s.Sub, Client: q.ClientID})
	return nil
}

// maxCodes is how many codes one form may give, each after the one before has expired.
const maxCodes = 64

// of returns what a form gives now, in this session: its first code that has neither
// expired nor been voided, with the access token beside it. grant.ErrNotFound when that
// code does not exist yet, login.ErrState when the form gives none any more, because one
// was redeemed.
//
// A response type without a code gives the same again for as long as a code would live,
// in the same session: nothing says whether the first response has arrived.
func (cs codes) of(ctx context.Context, q *request, s session.Session, t ticket) (gift, error) {
	if q.forDevice() {
		return cs.ofDevice(ctx, q.Device, s)
	}
	now := time.Now()
	if !q.responseType().Code() {
		g := t.first()
		c, _, err := cs.store.Code(ctx, grant.HashCode(g.code))
		if err == nil && (!c.Repeatable(now) || c.Grant.SID != s.ID) {
			err = login.ErrState
		}
		g.issued = c.Grant.Created
		return g, err
	}
	for n := range uint32(maxCodes) {
		g := gift{code: grant.LaterCode(cs.later, t.Code, n)}
		if t.Access != "" {
			g.access = grant.LaterCode(cs.later, t.Access, n)
		}
		c, _, err := cs.store.Code(ctx, grant.HashCode(g.code))
		if err != nil {
			return g, err
		}
		switch err := c.Usable(now); {
		case err == nil:
			g.issued = c.Grant.Created
			return g, nil
		case !errors.Is(err, grant.ErrExpired):
			return gift{}, login.ErrState
		}
	}
	return gift{}, login.ErrState
}
