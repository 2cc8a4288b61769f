package authorize

import (
	"context"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/session"
)

// codes makes authorization codes.
type codes struct {
	store    grant.Store
	lifetime time.Duration
	audit    audit.Recorder
}

// code returns the code that a request earns in a session.
func (cs codes) code(q *request, s session.Session, hash grant.CodeHash, grantID string, now time.Time) grant.Code {
	expires := now.Add(cs.lifetime)
	return grant.Code{
		Hash:        hash,
		RedirectURI: client.WithPath(q.RedirectURI),
		Challenge:   q.Challenge,
		Expires:     expires,
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
	if err := cs.store.CreateCode(ctx, cs.code(q, s, grant.HashCode(code), grant.NewID(), time.Now())); err != nil {
		return "", err
	}
	cs.audit.Record(ctx, audit.Event{Name: audit.SessionUsed, Session: s.ID, Subject: s.Sub, Client: q.ClientID})
	return code, nil
}

// unused reports whether a code may still be redeemed: grant.ErrNotFound when
// there is none.
func (cs codes) unused(ctx context.Context, code redact.Text) (bool, error) {
	c, _, err := cs.store.Code(ctx, grant.HashCode(code))
	return err == nil && c.Usable(time.Now()) == nil, err
}
