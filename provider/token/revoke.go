// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/signals"
)

// revoke ends a token (RFC 7009): an access token alone, a refresh token with the
// whole grant. An unknown token and another client's get the same response, and
// stay as they are.
func (e *Endpoint) revoke(r *http.Request, c client.Client, in endpoint.Parameters) (any, error) {
	ctx, token := r.Context(), in.Get("token")
	if token == "" {
		return nil, endpoint.InvalidRequest("token missing")
	}
	if signals.IsToken(redact.Text(token)) {
		return nil, errUnrevocable()
	}
	var err error
	if id, _, ok := grant.ParseRefreshToken(e.mac, token); ok {
		err = e.revokeGrant(ctx, c, id)
	} else {
		err = e.revokeAccessToken(ctx, c, grant.HashToken(redact.Text(token)))
	}
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	return nil, nil
}

func (e *Endpoint) revokeGrant(ctx context.Context, c client.Client, id string) error {
	used, err := e.cfg.Grants.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption {
		if g.ClientID != c.ID {
			return grant.Redemption{Current: g, Refused: grant.ErrMismatch}
		}
		return grant.Revoke(g)
	})
	if err == nil && used.Refused == nil {
		e.cfg.Audit.Record(ctx, audit.Event{Name: audit.GrantRevoked, Client: c.ID, Grant: id, Subject: used.Current.Sub})
	}
	return err
}

func (e *Endpoint) revokeAccessToken(ctx context.Context, c client.Client, hash grant.TokenHash) error {
	_, g, err := e.cfg.Grants.AccessToken(ctx, hash)
	if err != nil || g.ClientID != c.ID {
		return err
	}
	return e.cfg.Grants.DropAccessToken(ctx, hash)
}
