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
