// SPDX-License-Identifier: Apache-2.0

// Package subject owns the user as clients know them: an opaque sub, bound to a
// phone number and, where the profile has one, to Truecaller's own id. Truecaller
// has two kinds of ids: that of the profiles that push and one-tap read, and the
// sub of its OAuth interface, which native applications use. A sub of ours is never
// derived from the number and never issued to a second user. Record is everything
// that is stored about a user.
package subject

import (
	"context"
	"errors"
	"time"

	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Person is one user.
type Person struct {
	Sub          string // 22 characters of base64url, no ':' (OpenID Connect Core §2)
	Number       phone.Number
	TruecallerID string // the id in profiles; "" until one has carried it
	OAuthSub     string // the sub of Truecaller's OAuth interface; "" before the first native sign-in
	Profile      truecaller.Profile
	Created      time.Time
	LastSignIn   time.Time
	VerifiedAt   time.Time // when Truecaller last vouched for the number
	// NumberLost says that the number belongs to another user now. It stays so: a
	// later holder of the number is a new user.
	NumberLost bool
	// SignOuts is how often the user has signed out everywhere. A browser that has signed
	// in before that is not known any more: it has no lane of its own.
	SignOuts uint32
}

// ErrNotFound is returned by stores for an unknown user.
var ErrNotFound = errors.New("subject: not found")

// Store finds users. The transaction that approves an attempt writes them
// (login.Store).
type Store interface {
	// Person returns the user with this sub, or ErrNotFound.
	Person(ctx context.Context, sub string) (Person, error)

	// ForeseePerson says that Person will be asked for this user, later in the request that
	// ctx is of. A store may then read the user together with what is asked for before.
	ForeseePerson(ctx context.Context, sub string)
}
