package provider

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"calleridp/provider/grant"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// introspection is the answer of the introspection endpoint (RFC 7662 §2.2).
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Exp       int64  `json:"exp,omitempty"` // seconds since 1970
	Iat       int64  `json:"iat,omitempty"`
	AuthTime  int64  `json:"auth_time,omitempty"`
	Sub       string `json:"sub,omitempty"`
	Aud       string `json:"aud,omitempty"`
	Iss       string `json:"iss,omitempty"`
	SID       string `json:"sid,omitempty"`
	ACR       string `json:"acr,omitempty"`
}

// Introspect says what a token is good for (RFC 7662), to the confidential
// client that it was issued to (the library lets no client in without a
// secret). To any other it is as inactive as an unknown
// one: a token says something about its person, and clients are strangers to
// each other.
func (s *server) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	p := s.p
	c, err := s.authenticate(ctx, r.Data.ClientCredentials)
	if err != nil {
		return nil, err
	}
	out := introspection{}
	token, now := r.Data.Token, time.Now()
	var g grant.Grant
	var scopes []string
	if id, generation, ok := grant.ParseRefreshToken(p.refreshMAC, token); ok {
		g, err = p.Grants.Grant(ctx, id)
		if err == nil && !p.lives.Refreshable(g, generation, now) {
			err = errGone
		}
		scopes = g.Scopes
		out.Exp, out.Iat = g.Expires.Unix(), g.Rotated.Unix()
	} else {
		var t grant.AccessToken
		t, g, _, err = p.bearer(ctx, token)
		scopes = t.Scopes
		out.TokenType, out.Exp, out.Iat = oidc.BearerToken, t.Expires.Unix(), t.Issued.Unix()
	}
	if err == nil {
		_, scopes, err = p.authorizeSubject(ctx, c, g, scopes)
	}
	switch {
	case errors.Is(err, errGone), errors.Is(err, grant.ErrNotFound):
		return op.NewResponse(&introspection{}), nil
	case err != nil:
		return nil, s.internal(ctx, "introspection", err)
	}
	out.Active, out.Scope, out.ClientID = true, strings.Join(scopes, " "), c.ID
	out.AuthTime, out.ACR, out.SID = g.AuthTime.Unix(), g.ACR, g.SID
	out.Sub, out.Aud, out.Iss = p.subFor(c, g.Sub), c.ID, p.Issuer
	return op.NewResponse(&out), nil
}

// Revocation ends a token (RFC 7009): an access token alone, a refresh token
// with the whole grant. A token that is unknown or another client's is answered
// alike, and stays as it is.
func (s *server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	c, p := ours(r.Client), s.p
	var err error
	if id, _, ok := grant.ParseRefreshToken(p.refreshMAC, r.Data.Token); ok {
		var used grant.Redemption
		used, err = p.Grants.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption {
			if g.ClientID != c.ID {
				return grant.Redemption{Current: g, Refused: grant.ErrMismatch}
			}
			return grant.Revoke(g)
		})
		if err == nil && used.Refused == nil {
			p.Audit.LogAttrs(ctx, slog.LevelInfo, "grant.revoked", slog.String("client", c.ID), slog.String("grant", id), slog.String("sub", used.Current.Sub))
		}
	} else {
		var g grant.Grant
		hash := grant.HashToken(r.Data.Token)
		if _, g, err = p.Grants.AccessToken(ctx, hash); err == nil && g.ClientID == c.ID {
			err = p.Grants.DropAccessToken(ctx, hash)
		}
	}
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return nil, s.internal(ctx, "revocation", err)
	}
	return op.NewResponse(nil), nil
}
