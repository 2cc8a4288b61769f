package truecaller

import (
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
	for _, have := range p.Numbers {
		if have == n && !n.IsZero() {
			return true
		}
	}
	return false
}
