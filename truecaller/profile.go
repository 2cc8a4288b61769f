package truecaller

import (
	"slices"
	"time"

	"calleridp/truecaller/phone"
)

// Profile is a Truecaller profile after tolerant decoding (see DecodeProfile and
// DecodeUserinfo).
// Only the numbers are verified; everything else is what the person says about
// themselves. Strings are already capped, NFC-normalised and free of control
// and bidi characters; "" means absent.
type Profile struct {
	ID          string // Truecaller's own id for the person; "" in old profiles
	UserID      string
	OAuthSub    string // the OAuth interface's sub for the person; "" in every other profile
	Numbers     []phone.Number
	FirstName   string
	LastName    string
	Email       string
	URL         string
	FacebookID  string
	TwitterID   string
	AvatarURL   string
	Gender      string // as Truecaller writes it: Male, Female, NotSet
	CompanyName string
	JobTitle    string
	AboutMe     string
	Addresses   []Address
	Badges      []string
	Inactive    bool // true only where the profile says so explicitly
	UpdatedAt   time.Time
}

// Address is a postal address of a profile.
type Address struct {
	Street      string
	City        string
	Zipcode     string
	CountryCode string // ISO 3166-1 alpha-2, upper case
}

// Has says whether n is one of the profile's numbers, compared whole as E.164
// (invariant 3).
func (p Profile) Has(n phone.Number) bool {
	return !n.IsZero() && slices.Contains(p.Numbers, n)
}

// Onto is what is known of a person after p, when before was known. Profiles are
// whole and replace what was known. But the OAuth interface tells an application
// the claims of the scopes that the person granted to it, and has never heard of
// some fields: what p does not say then is not gone.
func (p Profile) Onto(before Profile) Profile {
	if p.OAuthSub == "" {
		return p
	}
	after := before
	after.OAuthSub, after.Numbers = p.OAuthSub, p.Numbers
	if p.Describes() {
		after.FirstName, after.LastName, after.AvatarURL, after.Gender = p.FirstName, p.LastName, p.AvatarURL, p.Gender
		after.UpdatedAt = p.UpdatedAt // the other one was about what is replaced
	}
	if p.Email != "" {
		after.Email = p.Email
	}
	if len(p.Addresses) > 0 && !within(p.Addresses[0], before.Addresses) {
		after.Addresses = p.Addresses
	}
	return after
}

// Describes says whether the profile tells anything of what the person is
// called, looks like or is: the claims of OpenID Connect's scope profile, as far
// as the OAuth interface has them.
func (p Profile) Describes() bool {
	return p.FirstName != "" || p.LastName != "" || p.AvatarURL != "" || p.Gender != ""
}

// within says whether the first of known says all that a does. The OAuth
// interface tells less of an address than a profile has.
func within(a Address, known []Address) bool {
	if len(known) == 0 {
		return false
	}
	have := known[0]
	says := func(part, known string) bool { return part == "" || part == known }
	return says(a.Street, have.Street) &&
		says(a.City, have.City) &&
		says(a.Zipcode, have.Zipcode) &&
		says(a.CountryCode, have.CountryCode)
}
