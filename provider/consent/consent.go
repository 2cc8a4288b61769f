// SPDX-License-Identifier: Apache-2.0

// Package consent owns what users have allowed to applications of third parties. A
// consent is stored for a user, a client and a set of scopes: a client that requests
// more prompts the user again.
package consent

import (
	"context"
	"errors"
	"slices"
	"time"

	"calleridp/provider/grant"
)

// Consent is what one user allows one client.
type Consent struct {
	Sub      string // the user's own sub, also for pairwise clients
	ClientID string
	Scopes   []string  // all that was ever allowed, until it is revoked
	Created  time.Time // when the first of it was allowed
	LastUsed time.Time // when the client last got a code by it
	// Shown are the names under which the user saw a client that registered itself
	// (client.Client.Shown), the newest last. Another one needs another consent. Empty for
	// an operator's client.
	Shown []string
}

// maxShown is how many names of one client are remembered.
const maxShown = 8

// See remembers the name under which the user saw the client.
func (c *Consent) See(name string) {
	c.Shown = append(slices.DeleteFunc(slices.Clone(c.Shown), func(s string) bool { return s == name }), name)
	c.Shown = c.Shown[max(0, len(c.Shown)-maxShown):]
}

// Saw reports whether the user has consented to the client under this name.
func (c Consent) Saw(name string) bool { return slices.Contains(c.Shown, name) }

// Covers reports whether these scopes were allowed.
func (c Consent) Covers(scopes []string) bool {
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
}

// Widen returns the consent after the user has allowed these scopes at now. known is
// what they allowed before, nil for nothing.
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

// ErrNotFound is returned by stores when the user has allowed the client nothing.
var ErrNotFound = errors.New("consent: not found")

// Approval is what allowing gives: the consent and the code.
type Approval struct {
	Consent Consent
	Code    grant.Code
}

// Store keeps consents. They do not expire: they last until they are revoked or the
// user is deleted (subject.RecordStore).
type Store interface {
	// Consent returns what the user allows the client, or ErrNotFound.
	Consent(ctx context.Context, sub, clientID string) (Consent, error)

	// Allow runs approve with what the user has allowed the client so far, nil for
	// nothing, and stores the consent together with its code, in one transaction:
	// there is no code before there is consent. It refuses a code as grant.Store's
	// CreateCode does, with the same errors, and then stores nothing.
	//
	// approve may run more than once and must be pure, as for grant.Store; Allow
	// returns the Approval of the run that was committed. Durable when it returns
	// nil.
	Allow(ctx context.Context, sub, clientID string, approve func(known *Consent) Approval) (Approval, error)
}
