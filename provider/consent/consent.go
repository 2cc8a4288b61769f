// Package consent owns what people have allowed applications that are not the
// operator's own. It is remembered for a person, a client and a set of scopes: a
// client that asks for more asks the person again.
package consent

import (
	"context"
	"errors"
	"slices"
	"time"

	"calleridp/provider/grant"
)

// Consent is what one person allows one client.
type Consent struct {
	Sub      string // the person's own sub, also for pairwise clients
	ClientID string
	Scopes   []string  // all that was ever allowed, until it is taken back
	Created  time.Time // when the first of it was allowed
	LastUsed time.Time // when the client last got a code by it
}

// Covers says whether these scopes were allowed.
func (c Consent) Covers(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
}

// Widen is the consent after the person has allowed these scopes at now. known
// is what they allowed before, nil for nothing.
func Widen(known *Consent, sub, clientID string, scopes []string, now time.Time) Consent {
	c := Consent{Sub: sub, ClientID: clientID, Created: now}
	if known != nil {
		c = *known
		c.Scopes = slices.Clone(known.Scopes)
	}
	for _, scope := range scopes {
		if !slices.Contains(c.Scopes, scope) {
			c.Scopes = append(c.Scopes, scope)
		}
	}
	c.LastUsed = now
	return c
}

// ErrNotFound is returned by stores when the person has allowed the client
// nothing.
var ErrNotFound = errors.New("consent: not found")

// Approval is what a user's yes gives: the consent, and the code that it buys.
type Approval struct {
	Consent Consent
	Code    grant.Code
}

// Store keeps consents. They do not expire: they are there until they are taken
// back, or the person is deleted (subject.RecordStore).
type Store interface {
	// Consent returns what the person allows the client, or ErrNotFound.
	Consent(ctx context.Context, sub, clientID string) (Consent, error)

	// Allow runs approve with what the person allows the client until now, nil for
	// nothing, and keeps the consent together with the code that it buys, in one
	// transaction: there is no code before there is consent. It refuses a code
	// like grant.Store's CreateCode, with the same errors, and then keeps nothing.
	//
	// approve may run more than once and must be pure, as for grant.Store; Allow
	// returns the Approval of the run that was committed. Durable when it returns
	// nil.
	Allow(ctx context.Context, sub, clientID string, approve func(known *Consent) Approval) (Approval, error)
}
