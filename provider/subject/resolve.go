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
	// taken for a new person's, when no profile says who it is. 0: never.
	ReuseAfter time.Duration
}

// Resolve decides whose sign-in it is: known, the person to whom the number is
// bound now (nil for none), or a new person with a new sub. It returns the
// person as they are after the sign-in at now.
//
// A different Truecaller id for a known number is a new person. Ids are compared
// with their own kind only: nothing is known of how the two kinds hang together,
// and somebody who signs in both ways must not become two people. Where there is
// nothing to compare they are taken for the same, unless the number has rested
// longer than the policy allows.
func (p Policy) Resolve(known *Person, number phone.Number, profile truecaller.Profile, now time.Time) (person Person, isNew bool) {
	if known == nil || p.changedHands(*known, profile, now) {
		person, isNew = Person{Sub: newSub(), Number: number, Created: now}, true
	} else {
		person = *known
	}
	if profile.ID != "" {
		person.TruecallerID = profile.ID
	}
	if profile.OAuthSub != "" {
		person.OAuthSub = profile.OAuthSub
	}
	person.Profile = profile.Onto(person.Profile)
	person.LastSignIn = now
	person.VerifiedAt = now
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

func newSub() string { return keys.RandomText(16) }
