package token

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
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

// refresh rotates a refresh token (RFC 6749 §6, RFC 9700 §4.14).
func (e *Endpoint) refresh(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	ctx, now := r.Context(), time.Now()
	refuse := func(why error, g grant.Grant) error {
		return e.invalidGrant(ctx, "refresh_token", "the refresh token is unknown, used, expired or revoked", why, c.ID, g)
	}
	id, generation, ok := grant.ParseRefreshToken(e.mac, in.Get("refresh_token"))
	if !ok {
		return nil, refuse(grant.ErrNotFound, grant.Grant{})
	}
	// The policy comes first: a refresh that it refuses uses nothing up.
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
	scopes := strings.Fields(in.Get("scope"))
	if len(scopes) == 0 {
		scopes = allowed
	}
	access, hash := grant.NewToken()
	use := grant.RefreshUse{
		Generation: generation,
		ClientID:   c.ID,
		Scopes:     scopes,
		Access:     hash,
		At:         now,
	}
	used, err := e.cfg.Grants.UseGrant(ctx, id, func(g grant.Grant) grant.Redemption { return e.cfg.Grant.Refresh(g, use) })
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil, refuse(err, known)
	case err != nil:
		return nil, fmt.Errorf("refresh: %w", err)
	case errors.Is(used.Refused, grant.ErrScope):
		return nil, oidc.ErrInvalidScope().WithDescription("scope is wider than what was granted")
	case used.Refused != nil:
		return nil, refuse(used.Refused, used.Current)
	}
	return e.issue(issued{
		client: c,
		person: person,
		grant:  used.Current,
		scopes: used.Access.Scopes,
		access: access,
		nonce:  "", // it belongs to the first ID token (OpenID Connect Core §12.2)
		now:    now,
	})
}
