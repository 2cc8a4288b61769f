// Package account is what a person may see of what is kept about them, and end.
// Each operation is whole: nothing of it is left half done.
package account

import (
	"context"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

// Record is everything that is kept about a person, as it was at one moment.
// Attempts, which go within an hour or so of their end, are not in it.
type Record struct {
	Person subject.Person
	// Bound says that the number is still this person's. It is not when it has
	// changed hands.
	Bound    bool
	Sessions []session.Session // those that live
	Grants   []grant.Grant     // those that have not expired; they may be revoked
	Consents []consent.Consent
}

// Store looks at people, and ends what they have. Its operations are durable
// when they return nil, and may be repeated. A sub that is nobody's is no error
// for those that end something.
type Store interface {
	// Account returns everything about the person, or subject.ErrNotFound.
	Account(ctx context.Context, sub string) (Record, error)

	// RevokeClient takes from the client all that the person has given it: the
	// consent is gone, the grants are revoked, those for offline access too, and
	// codes that nobody has redeemed are void.
	RevokeClient(ctx context.Context, sub, clientID string) error

	// EndSessions ends all sessions of the person, as session.Store's EndSession
	// does one. Grants that belong to no session any more end with them, except
	// those for offline access.
	EndSessions(ctx context.Context, sub string) error

	// DeletePerson deletes the person with everything in Record, and unused
	// codes. The number is nobody's then, unless it has changed hands before.
	// What is kept is a mark, without anything about the person, by which the
	// sub is never issued again: whatever would make a session, a code or a grant
	// for it, or a person with it, fails with subject.ErrNotFound.
	DeletePerson(ctx context.Context, sub string) error
}
