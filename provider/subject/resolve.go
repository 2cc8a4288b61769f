// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"time"

	"calleridp/keys"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Policy decides when a number has changed hands.
type Policy struct {
	// ReuseAfter is how long a number may go without a sign-in before it is
	// taken for a new user's, when no profile says whose it is. 0: never.
	ReuseAfter time.Duration
}

// SignIn is an approved sign-in whose user is to be found.
type SignIn struct {
	Number  phone.Number
	Profile truecaller.Profile
	At      time.Time
	NewSub  string // the sub of the user if they are new, see NewSub
}

// Resolve decides whose sign-in it is: known, the user to whom the number is bound
// now (nil for none), or a new user with a new sub. It returns the user as they
// are after the sign-in.
//
// A different Truecaller id for a known number is a new user. Ids are compared
// with their own kind only: nothing is known of how the two kinds hang together,
// and a user who signs in both ways must not become two. Without ids to compare
// they are taken for the same, unless the number has rested longer than the policy
// allows.
func (p Policy) Resolve(known *Person, s SignIn) (person Person, isNew bool) {
	if known == nil || p.changedHands(*known, s.Profile, s.At) {
		person, isNew = Person{Sub: s.NewSub, Created: s.At}, true
	} else {
		person = *known
	}
	person.Number = s.Number.Line() // known by an old spelling, perhaps
	if s.Profile.ID != "" {
		person.TruecallerID = s.Profile.ID
	}
	if s.Profile.OAuthSub != "" {
		person.OAuthSub = s.Profile.OAuthSub
	}
	person.Profile = s.Profile.Onto(person.Profile)
	person.LastSignIn = s.At
	person.VerifiedAt = s.At
	return person, isNew
}

func (p Policy) changedHands(known Person, profile truecaller.Profile, now time.Time) bool {
	if known.TruecallerID != "" && profile.ID != "" {
		return known.TruecallerID != profile.ID
	}
	if known.OAuthSub != "" && profile.OAuthSub != "" {
		return known.OAuthSub != profile.OAuthSub
	}
	return p.ReuseAfter > 0 && now.Sub(known.LastSignIn) > p.ReuseAfter
}

// NewSub returns a new sub: 16 random bytes as 22 characters of base64url.
func NewSub() string { return keys.RandomText(16) }
