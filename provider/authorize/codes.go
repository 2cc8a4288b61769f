package authorize

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/grant"
	"calleridp/provider/session"
)

// codes makes authorization codes.
type codes struct {
	store    grant.Store
	lifetime time.Duration
	audit    *slog.Logger
}

// code returns the code that a request earns in a session.
func (cs codes) code(q *request, s session.Session, hash [32]byte, grantID string, now time.Time) grant.Code {
	expires := now.Add(cs.lifetime)
	return grant.Code{
		Hash:        hash,
		RedirectURI: q.RedirectURI,
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
func (cs codes) create(ctx context.Context, q *request, s session.Session) (string, error) {
	token, hash := grant.NewToken()
	if err := cs.store.CreateCode(ctx, cs.code(q, s, hash, grant.NewID(), time.Now())); err != nil {
		return "", err
	}
	cs.audit.LogAttrs(ctx, slog.LevelInfo, "session.used",
		slog.String("sid", s.ID), slog.String("sub", s.Sub), slog.String("client", q.ClientID))
	return token, nil
}

// unused reports whether a code may still be redeemed: grant.ErrNotFound when
// there is none.
func (cs codes) unused(ctx context.Context, code string) (bool, error) {
	usable := false
	err := cs.store.UseCode(ctx, grant.Hash(code), func(c grant.Code, _ *grant.Grant) grant.Redemption {
		usable = !c.Redeemed && time.Now().Before(c.Expires)
		return grant.Redemption{}
	})
	return usable, err
}
