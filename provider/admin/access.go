// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"net/http"
	"slices"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
)

// Access is who calls the API, and what they may do.
type Access struct {
	Who    string         // for the audit, such as "uid 1000"
	Scopes []apikey.Scope // what they may do
	Until  time.Time      // when their access ends; zero: never
}

type accessKey struct{}

// WithAccess returns a context in which operations are called with this access. The audit
// names who it is. Whoever calls it has authenticated them.
func WithAccess(ctx context.Context, access Access) context.Context {
	return audit.WithOperator(context.WithValue(ctx, accessKey{}, access), access.Who)
}

// OnSocket returns a context for a connection to the operators' Unix socket, whose file's
// permissions decide who may connect: they may do everything. peer says who they are, as the
// kernel knows.
func OnSocket(ctx context.Context, peer string) context.Context {
	return WithAccess(ctx, Access{Who: peer, Scopes: apikey.Scopes})
}

// allowed returns a Problem unless the context has an access with this scope.
func allowed(ctx context.Context, needs apikey.Scope) error {
	access, ok := ctx.Value(accessKey{}).(Access)
	if !ok {
		p := refused(http.StatusUnauthorized, "this address needs an API key in the header Authorization: Bearer KEY; calleridp api-key add makes one")
		p.challenge = true
		return p
	}
	if !slices.Contains(access.Scopes, needs) {
		return refused(http.StatusForbidden, "the API key does not have the scope %s", needs)
	}
	return nil
}
