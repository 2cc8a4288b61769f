// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"slices"
	"time"

	"calleridp/truecaller/phone"
)

// Profile is a Truecaller profile after tolerant decoding by DecodeProfile or
// DecodeUserinfo. Only the numbers are verified; users choose everything else
// themselves. Strings are limited in length, NFC-normalised and free of control and
// bidi characters; "" means absent.
type Profile struct {
	ID          string // Truecaller's own id for the user; "" in old profiles
	UserID      string
	OAuthSub    string // the OAuth interface's sub for the user; "" in every other profile
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
	Inactive    bool // true only if the profile says so explicitly
	UpdatedAt   time.Time
}

// Address is a postal address of a profile.
type Address struct {
	Street      string
	City        string
	Zipcode     string
	CountryCode string // ISO 3166-1 alpha-2, upper case
}

// Has reports whether n is the line of one of the profile's numbers, compared whole
// (invariant 3).
func (p Profile) Has(n phone.Number) bool {
	return slices.ContainsFunc(p.Numbers, func(own phone.Number) bool { return phone.SameLine(own, n) })
}

// Onto returns what is known of a user after p, if before was known. A profile is whole
// and replaces before. The OAuth interface, however, gives an application only the
// claims of the granted scopes, and lacks some fields: what is missing from such a p
// stays as before.
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

// Describes reports whether the profile has any claim of OpenID Connect's scope
// profile, as far as the OAuth interface has them.
func (p Profile) Describes() bool {
	return p.FirstName != "" || p.LastName != "" || p.AvatarURL != "" || p.Gender != ""
}

// within reports whether the first of known has all parts of a. The OAuth interface
// has fewer parts of an address than a profile.
func within(a Address, known []Address) bool {
	if len(known) == 0 {
		return false
	}
	have := known[0]
	has := func(part, known string) bool { return part == "" || part == known }
	return has(a.Street, have.Street) &&
		has(a.City, have.City) &&
		has(a.Zipcode, have.Zipcode) &&
		has(a.CountryCode, have.CountryCode)
}
