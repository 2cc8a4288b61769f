// SPDX-License-Identifier: Apache-2.0

package token

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func checkRefresh(in endpoint.Parameters) error {
	if in.Get("refresh_token") == "" {
		return endpoint.InvalidRequest("refresh_token is missing")
	}
	return nil
}

// refresh rotates a refresh token (RFC 6749 §6, RFC 9700 §4.14). As with a code,
// everything that may fail comes before the transaction that rotates it.
func (e *Endpoint) refresh(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	ctx := r.Context()
	refuse := func(why error, g grant.Grant) error {
		return e.invalidGrant(ctx, "refresh_token", "the refresh token is unknown, used, expired or revoked", why, c.ID, g)
	}
	scopes, err := in.Scope()
	if err != nil {
		return nil, err
	}
	id, generation, ok := grant.ParseRefreshToken(e.mac, in.Get("refresh_token"))
	if !ok {
		return nil, refuse(grant.ErrNotFound, grant.Grant{})
	}
	known, err := e.cfg.Grants.Grant(ctx, id)
	if errors.Is(err, grant.ErrNotFound) {
		return nil, refuse(err, grant.Grant{ID: id})
	}
	if err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	person, allowed, err := e.policy.allowed(ctx, c, known, known.Scopes)
	if errors.Is(err, errRevoked) {
		return nil, refuse(err, known)
	}
	if err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	access, hash := grant.NewToken()
	use := grant.RefreshUse{
		Generation: generation,
		ClientID:   c.ID,
		Scopes:     scopes,
		Allowed:    allowed,
		Access:     hash,
		At:         time.Now(),
	}
	decide := func(g grant.Grant) grant.Redemption { return e.cfg.GrantPolicy.Refresh(g, use) }
	out := issued{client: c, person: person, grant: known, access: access, now: use.At} // nonce belongs to the first ID token (OpenID Connect Core §12.2)
	if seen := decide(known); seen.Refused == nil {
		out.scopes = seen.Access.Scopes
		if err := e.sign(ctx, &out); err != nil {
			return nil, fmt.Errorf("refresh: %w", err)
		}
		use.At = time.Now() // the above may have taken a while
	}
	used, err := e.cfg.Grants.UseGrant(ctx, id, decide)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil, refuse(err, known)
	case err != nil:
		return nil, fmt.Errorf("refresh: %w", err)
	case errors.Is(used.Refused, grant.ErrScope):
		return nil, oidc.ErrInvalidScope().WithDescription("scope is wider than what was granted, or the client may have none of it any more")
	case errors.Is(used.Refused, grant.ErrCrowded):
		return nil, crowded()
	case used.Refused != nil:
		return nil, refuse(used.Refused, used.Current)
	}
	return e.respond(out, used.Current), nil
}

// crowded refuses a refresh token that too many processes of a client have used
// within the grace period. It is not invalid_grant, for which clients throw their
// refresh token away, and has no Retry-After: this token only grows older.
func crowded() error {
	e := oidc.Error{ErrorType: temporarilyUnavailable}
	return endpoint.NewRefusal(http.StatusTooManyRequests,
		e.WithDescription("too many processes use this refresh token at once; use the one that another of them was given"))
}
