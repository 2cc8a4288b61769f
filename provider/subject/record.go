// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"context"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/session"
)

// Record is everything that is stored about a user, at one moment. Attempts, which
// are swept within an hour or so of their end, are not in it.
type Record struct {
	Person Person
	// Bound reports that the number is still this user's. It is not when it has
	// changed hands.
	Bound    bool
	Sessions []session.Session // those that live
	Grants   []grant.Grant     // those that have not expired; they may be revoked
	Consents []consent.Consent
	// Known are the clients that hear of the user in their streams of events (package
	// signals), because they have got something of them.
	Known []Known
}

// RecordStore reads and ends what is stored about a user. Each operation is atomic and
// durable when it returns nil, and may be repeated. An unknown sub is no error for
// those that end something.
type RecordStore interface {
	// Account returns everything about the user, or ErrNotFound.
	Account(ctx context.Context, sub string) (Record, error)

	// RevokeClient ends the client's access to the user: it deletes the consent,
	// revokes the grants, those for offline access too, and voids unused codes
	// (grant.Code.Voided).
	RevokeClient(ctx context.Context, sub, clientID string) error

	// EndSessions ends all sessions of the user, as session.Store's EndSession does
	// one. Grants whose session has ended before end with them, except those for
	// offline access. It counts up Person.SignOuts, if there is such a user.
	EndSessions(ctx context.Context, sub string) error

	// DeletePerson deletes the user with everything in Record, and unused codes.
	// Their number is unbound, unless it has changed hands before. A tombstone
	// without personal data remains, so that the sub is never issued again: creating
	// a session, a code, a grant or a user with it fails with ErrNotFound.
	DeletePerson(ctx context.Context, sub string) error
}
