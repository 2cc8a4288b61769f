package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
)

// revoke ends a token (RFC 7009): an access token alone, a refresh token with the
// whole grant. An unknown token and another client's get the same response, and
// stay as they are.
func (e *Endpoint) revoke(r *http.Request, c client.Client, in endpoint.Parameters) (any, error) {
	ctx, token := r.Context(), in.Get("token")
	if token == "" {
		return nil, endpoint.InvalidRequest("token missing")
	}
	var err error
	if id, _, ok := grant.ParseRefreshToken(e.mac, token); ok {
		err = e.revokeGrant(ctx, c, id)
	} else {
		err = e.revokeAccessToken(ctx, c, grant.Hash(token))
	}
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	return nil, nil
}

func (e *Endpoint) revokeGrant(ctx context.Context, c client.Client, id string) error {
	var ended grant.Grant
	err := e.cfg.Grants.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption {
		ended = grant.Grant{}
		if g.ClientID != c.ID {
			return grant.Redemption{}
		}
		ended = g
		return grant.Revoke(g)
	})
	if err == nil && ended.ID != "" {
		e.cfg.Audit.LogAttrs(ctx, slog.LevelInfo, "grant.revoked", slog.String("client", c.ID), slog.String("grant", id), slog.String("sub", ended.Sub))
	}
	return err
}

func (e *Endpoint) revokeAccessToken(ctx context.Context, c client.Client, hash [32]byte) error {
	_, g, err := e.cfg.Grants.AccessToken(ctx, hash)
	if err != nil || g.ClientID != c.ID {
		return err
	}
	return e.cfg.Grants.DropAccessToken(ctx, hash)
}
