package token

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/subject"
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
	var redeemed grant.Grant
	var refused error
	err := e.cfg.Grants.UseCode(ctx, grant.Hash(in.Get("code")), func(code grant.Code, stored *grant.Grant) grant.Redemption {
		var red grant.Redemption
		redeemed = code.Grant
		if red, refused = e.cfg.Lifetimes.Redeem(code, stored, c.ID, in.Get("redirect_uri"), in.Get("code_verifier"), hash, now); refused == nil {
			redeemed = *red.Grant
		}
		return red
	})
	var person subject.Person
	var scopes []string
	if err == nil && refused == nil {
		person, scopes, refused = e.policy.allowed(ctx, c, redeemed, redeemed.Scopes)
	}
	switch {
	case errors.Is(err, grant.ErrNotFound):
		refused = err
	case err != nil:
		return nil, fmt.Errorf("code exchange: %w", err)
	}
	if refused != nil {
		return nil, e.invalidGrant(ctx, "code", refusal, refused, c.ID, redeemed)
	}
	return e.issue(issued{
		client: c,
		person: person,
		grant:  redeemed,
		scopes: scopes,
		access: access,
		nonce:  redeemed.Nonce,
		now:    now,
	})
}
