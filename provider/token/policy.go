// SPDX-License-Identifier: Apache-2.0

package token

import (
	"context"
	"errors"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/subject"
)

// errRevoked means that the client or the user may not have what a grant gave any
// more.
var errRevoked = errors.New("token: the client or the user may not have this any more")

// policy decides at every use of a grant, whatever its kind, what of it still
// holds.
type policy struct{ people subject.Store }

// allowed returns the grant's user and those of the scopes that the client may
// still have: errRevoked when the grant, its client or its user is gone.
func (p policy) allowed(ctx context.Context, c client.Client, g grant.Grant, scopes []string) (subject.Person, []string, error) {
	allowed := make([]string, 0, len(scopes))
	for _, scope := range scopes {
		if c.AllowsScope(scope) {
			allowed = append(allowed, scope)
		}
	}
	if g.ClientID != c.ID || c.RegisteredAfter(g.Created) || g.Revoked || g.Offline && !c.AllowsScope(claims.OfflineAccess) {
		return subject.Person{}, nil, errRevoked
	}
	person, err := p.people.Person(ctx, g.Sub)
	if errors.Is(err, subject.ErrNotFound) {
		return subject.Person{}, nil, errRevoked
	}
	return person, allowed, err
}
