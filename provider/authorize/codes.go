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

// codes makes authorization codes.
type codes struct {
	store    grant.Store
	lifetime time.Duration
	later    grant.MAC
	audit    audit.Recorder
}

// code returns the code that a request earns in a session. form is when no form can ask
// for it again, zero if none can.
func (cs codes) code(q *request, s session.Session, code redact.Text, grantID string, now, form time.Time) grant.Code {
	expires := now.Add(cs.lifetime)
	if !form.IsZero() {
		form = form.Add(clock.Tolerance) // by which the clock of another node may be slow
	}
	return grant.Code{
		Hash:        grant.HashCode(code),
		RedirectURI: client.WithPath(q.RedirectURI),
		Challenge:   q.Challenge,
		Expires:     expires,
		FormExpires: form,
		Grant: grant.Grant{
			ID:       grantID,
			ClientID: q.ClientID,
			Sub:      s.Sub,
			SID:      s.ID,
			Scopes:   q.Scopes,
			Nonce:    q.Nonce,
			AuthTime: s.AuthTime,
			ACR:      s.ACR,
			AMR:      s.AMR,
			Created:  now,
			Expires:  expires,
			Offline:  slices.Contains(q.Scopes, claims.OfflineAccess),
		},
	}
}

// create makes and keeps a code for the session's user, without a push.
func (cs codes) create(ctx context.Context, q *request, s session.Session) (redact.Text, error) {
	code := grant.NewCode()
	if err := cs.store.CreateCode(ctx, cs.code(q, s, code, grant.NewID(), time.Now(), time.Time{})); err != nil {
		return "", err
	}
	cs.audit.Record(ctx, audit.Event{Name: audit.SessionUsed, Session: s.ID, Subject: s.Sub, Client: q.ClientID})
	return code, nil
}

// maxCodes is how many codes one form may give, each after the one before has expired.
const maxCodes = 64

// of returns the code that a form gives now, which is the first that it can: the first
// that has neither expired nor been voided. grant.ErrNotFound when that code does not
// exist yet, login.ErrState when the form gives none any more, because one was redeemed.
func (cs codes) of(ctx context.Context, t ticket) (redact.Text, error) {
	for n := range uint32(maxCodes) {
		code := grant.LaterCode(cs.later, t.Code, n)
		c, _, err := cs.store.Code(ctx, grant.HashCode(code))
		if err != nil {
			return code, err
		}
		switch err := c.Usable(time.Now()); {
		case err == nil:
			return code, nil
		case !errors.Is(err, grant.ErrExpired):
			return "", login.ErrState
		}
	}
	return "", login.ErrState
}
