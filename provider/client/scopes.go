// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"

	"calleridp/provider/claims"
)

// GrantableScopes returns the requested scopes that exist and that the client may
// have, in the order of claims.Scopes.
func (c Client) GrantableScopes(requested []string) []string {
	var scopes []string
	for _, scope := range claims.Scopes {
		if slices.Contains(requested, scope) && c.AllowsScope(scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// GrantableClaims returns those of the claims that the client may request by name.
func (c Client) GrantableClaims(names []string) []string {
	var claimed []string
	for _, name := range names {
		if c.AllowsScope(claims.ScopeOf(name)) {
			claimed = append(claimed, name)
		}
	}
	return claimed
}

// NamedClaims returns those of the claims requested by name that a token with these scopes
// gives, of a grant that has the granted ones. A client that takes a narrower token at a
// refresh (RFC 6749 §6) gets the claims of no other scopes by it, also not by name.
func (c Client) NamedClaims(names, granted, scopes []string) []string {
	narrower := slices.ContainsFunc(granted, func(s string) bool {
		return s != claims.OfflineAccess && c.AllowsScope(s) && !slices.Contains(scopes, s)
	})
	return slices.DeleteFunc(c.GrantableClaims(names), func(name string) bool {
		return narrower && !slices.Contains(scopes, claims.ScopeOf(name))
	})
}

// ScopeClaims says where a client gets the claims of its scopes (OpenID Connect Core
// §5.4).
type ScopeClaims string

// Where a client gets the claims of its scopes.
const (
	ScopeClaimsBoth       ScopeClaims = ""         // in ID tokens and from userinfo: many clients read the ID token only
	ScopeClaimsInIDToken  ScopeClaims = "id_token" // in ID tokens alone
	ScopeClaimsAtUserinfo ScopeClaims = "userinfo" // from userinfo alone, as §5.4 has it
)

// ParseScopeClaims parses a setting: both (or nothing), id_token or userinfo.
func ParseScopeClaims(s string) (ScopeClaims, bool) {
	switch where := ScopeClaims(s); where {
	case ScopeClaimsBoth, ScopeClaimsInIDToken, ScopeClaimsAtUserinfo:
		return where, true
	case "both":
		return ScopeClaimsBoth, true
	}
	return ScopeClaimsBoth, false
}

// IDTokenScopes returns those of the granted scopes whose claims are in an ID token of
// the token endpoint.
func (c Client) IDTokenScopes(granted []string) []string {
	if c.ScopeClaims == ScopeClaimsAtUserinfo {
		return nil
	}
	return granted
}

// FrontScopes is IDTokenScopes for a response of the authorization endpoint, whose ID token
// passes through the browser. It has the claims only if the client could get them nowhere
// else.
func (c Client) FrontScopes(t ResponseType, granted []string) []string {
	if t == TypeIDToken || !t.Code() && c.ScopeClaims == ScopeClaimsInIDToken {
		return granted
	}
	return nil
}

// UserinfoScopes returns those of the granted scopes whose claims userinfo has.
func (c Client) UserinfoScopes(granted []string) []string {
	if c.ScopeClaims == ScopeClaimsInIDToken {
		return nil
	}
	return granted
}
