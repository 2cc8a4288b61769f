package token

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
)

func checkCode(in endpoint.Parameters) error {
	switch {
	case in.Get("code") == "":
		return endpoint.InvalidRequest("code is missing")
	case in.Get("redirect_uri") == "":
		return endpoint.InvalidRequest("redirect_uri is missing")
	}
	return nil
}

// redeemCode redeems an authorization code (RFC 6749 §4.1.3). The code is consumed
// before any token is made, in the transaction that keeps what it buys (invariant
// 9).
func (e *Endpoint) redeemCode(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	const refusal = "the code is unknown, used, expired, or was issued for another client, redirect_uri or code_challenge"
	ctx, now := r.Context(), time.Now()
	access, hash := grant.NewToken()
	use := grant.CodeUse{
		ClientID:    c.ID,
		RedirectURI: client.WithPath(in.Get("redirect_uri")),
		Verifier:    in.Get("code_verifier"),
		Access:      hash,
		At:          now,
	}
	used, err := e.cfg.Grants.UseCode(ctx, grant.HashCode(in.Get("code")), func(code grant.Code, stored *grant.Grant) grant.Redemption {
		return e.cfg.Grant.Redeem(code, stored, use)
	})
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil, e.invalidGrant(ctx, "code", refusal, err, c.ID, grant.Grant{})
	case err != nil:
		return nil, fmt.Errorf("code exchange: %w", err)
	case used.Refused != nil:
		return nil, e.invalidGrant(ctx, "code", refusal, used.Refused, c.ID, used.Current)
	}
	person, scopes, err := e.policy.allowed(ctx, c, used.Current, used.Current.Scopes)
	if err != nil {
		return nil, e.invalidGrant(ctx, "code", refusal, err, c.ID, used.Current)
	}
	return e.issue(issued{
		client: c,
		person: person,
		grant:  used.Current,
		scopes: scopes,
		access: access,
		nonce:  used.Current.Nonce,
		now:    now,
	})
}
