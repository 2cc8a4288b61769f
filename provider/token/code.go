// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
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

// redeemCode redeems an authorization code (RFC 6749 §4.1.3).
func (e *Endpoint) redeemCode(r *http.Request, c client.Client, in endpoint.Parameters) (*response, error) {
	return e.redeem(r, c, redemption{
		kind: "code",
		hash: grant.HashCode(redact.Text(in.Get("code"))),
		use: grant.CodeUse{
			ClientID:    c.ID,
			RedirectURI: client.WithPath(in.Get("redirect_uri")),
			Verifier:    redact.Text(in.Get("code_verifier")),
		},
		refuse: func(why error, g grant.Grant) error {
			const refusal = "the code is unknown, used, expired, or was issued for another client, redirect_uri or code_challenge"
			return e.invalidGrant(r.Context(), "code", refusal, why, c.ID, g)
		},
	})
}

// redemption is a code that a client presents.
type redemption struct {
	kind   string // for the log
	hash   grant.CodeHash
	use    grant.CodeUse // without Access and At
	refuse func(why error, g grant.Grant) error
}

// redeem redeems a stored code. Everything that may fail comes first: what is stored is
// looked at, the policy is asked, the ID token is signed. Then one transaction decides
// again, consumes the code and keeps what it buys (invariant 9). So our own failure never
// costs a client its code.
func (e *Endpoint) redeem(r *http.Request, c client.Client, given redemption) (*response, error) {
	used, err := e.redeemBy(r, c, given, e.cfg.Grants.RecallCode)
	if errors.Is(err, grant.ErrChanged) {
		used, err = e.redeemBy(r, c, given, e.cfg.Grants.Code)
	}
	return used, err
}

// redeemBy is redeem with a way to look at what is stored.
func (e *Endpoint) redeemBy(
	r *http.Request, c client.Client, given redemption,
	look func(context.Context, grant.CodeHash) (grant.Code, *grant.Grant, error),
) (*response, error) {
	ctx, use, refuse := r.Context(), given.use, given.refuse
	access, accessHash := grant.NewToken()
	use.Access = accessHash
	decide := func(code grant.Code, stored *grant.Grant) grant.Redemption {
		return e.cfg.GrantPolicy.Redeem(code, stored, use)
	}
	code, stored, err := look(ctx, given.hash)
	if errors.Is(err, grant.ErrNotFound) {
		return nil, refuse(err, grant.Grant{})
	}
	if err != nil {
		return nil, fmt.Errorf("%s exchange: %w", given.kind, err)
	}
	use.At = time.Now()
	out := issued{client: c, access: access, now: use.At}
	if seen := decide(code, stored); seen.Refused == nil {
		out.grant, out.nonce = seen.Current, seen.Current.Nonce
		out.person, out.scopes, err = e.policy.allowed(ctx, c, seen.Current, seen.Current.Scopes)
		if errors.Is(err, errRevoked) {
			return nil, refuse(err, seen.Current)
		}
		if err != nil {
			return nil, fmt.Errorf("%s exchange: %w", given.kind, err)
		}
		if err := e.sign(ctx, &out); err != nil {
			return nil, fmt.Errorf("%s exchange: %w", given.kind, err)
		}
		use.At = time.Now() // the above may have taken a while
	}
	// A use that is refused comes here too: it may have something to revoke.
	used, err := e.cfg.Grants.UseCode(ctx, given.hash, decide)
	switch {
	case errors.Is(err, grant.ErrNotFound):
		return nil, refuse(err, code.Grant)
	case err != nil:
		return nil, fmt.Errorf("%s exchange: %w", given.kind, err)
	case used.Refused != nil:
		return nil, refuse(used.Refused, used.Current)
	}
	if err := e.cfg.Clients.MarkUsed(ctx, c); err != nil { // the next one does
		e.cfg.Failures.Correlate(ctx, "a registered client could not be marked as used", err)
	}
	return e.respond(out, used.Current), nil
}
