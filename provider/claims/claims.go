// SPDX-License-Identifier: Apache-2.0

// Package claims makes a user's claims: one pure function for the ID token of every
// grant and for userinfo, so that they never differ (OpenID Connect Core §5.4; two
// values for one claim break a broker's sign-in).
package claims

import (
	"net/url"
	"slices"
	"strings"

	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// The scopes. Others that a client requests are ignored (OpenID Connect Core
// §3.1.2.1).
const (
	OpenID        = "openid"
	Profile       = "profile"
	Email         = "email"
	Phone         = "phone"
	Address       = "address"
	Truecaller    = "truecaller" // the rest of the Truecaller profile, as one object
	OfflineAccess = "offline_access"
)

// Scopes are all scopes, in the order of the discovery document.
var Scopes = []string{OpenID, Profile, Email, Phone, Address, Truecaller, OfflineAccess}

// Names are the claims that Add may write, for the discovery document.
var Names = []string{
	"name", "given_name", "family_name", "preferred_username", "picture", "website", "gender", "updated_at",
	"email", "email_verified", "phone_number", "phone_number_verified", "phone_number_verified_at", "address", "truecaller",
}

// unnamed is the name of a user whose profile has none. Some clients fail without a
// name, and a masked number is not a name.
const unnamed = "Truecaller user"

// Granted returns those of the scopes for which a profile of Truecaller's OAuth
// interface has claims. It holds what the user granted to one application; what other
// sign-ins have told is not that application's (RFC 6749 §3.3: the scope may be less
// than requested).
func Granted(p truecaller.Profile, scopes []string) []string {
	granted := map[string]bool{
		OpenID:        true,
		OfflineAccess: true,
		Phone:         len(p.Numbers) > 0,
		Profile:       p.Describes(),
		Email:         p.Email != "",
		Address:       len(p.Addresses) > 0,
		Truecaller:    false, // that interface has none of it
	}
	var out []string
	for _, scope := range scopes {
		if granted[scope] {
			out = append(out, scope)
		}
	}
	return out
}

// Add writes the claims that the scopes request, and of others those with these names. sub
// is the subject as this client knows it, which is not p.Sub for a pairwise client.
func Add(o *Object, p subject.Person, sub string, scopes, names []string) {
	defer func() { o.only = nil }()
	// has reports whether anything of a scope is written, and leaves out the rest of it.
	has := func(scope string) bool {
		if o.only = nil; slices.Contains(scopes, scope) {
			return true
		}
		o.only = names
		return slices.ContainsFunc(names, func(name string) bool { return ScopeOf(name) == scope })
	}
	if has(Profile) {
		addProfile(o, p.Profile, sub)
	}
	if has(Email) {
		o.Text("email", mailAddress(p.Profile.Email))
		// Truecaller does not verify addresses. The claim is written even
		// without one: some clients take its absence for true.
		o.Bool("email_verified", false)
	}
	// A client that finds users by their number must not take the previous holder for
	// the current one.
	if has(Phone) && !p.Number.IsZero() && !p.NumberLost {
		o.String("phone_number", p.Number.E164())
		o.Bool("phone_number_verified", true)
		o.Time("phone_number_verified_at", p.VerifiedAt)
	}
	if has(Address) && len(p.Profile.Addresses) > 0 {
		o.Object("address", address(p.Profile.Addresses[0]))
	}
	if has(Truecaller) {
		o.Object("truecaller", rest(p.Profile))
	}
}

// addProfile writes the claims of the profile scope (OpenID Connect Core §5.4).
func addProfile(o *Object, p truecaller.Profile, sub string) {
	name := strings.TrimSpace(p.FirstName + " " + p.LastName)
	if name == "" {
		name = unnamed
	}
	o.String("name", name)
	o.Text("given_name", p.FirstName)
	o.Text("family_name", p.LastName)
	// Never the number: when it changes hands, it would take the account along.
	o.String("preferred_username", sub)
	o.Text("picture", webAddress(p.AvatarURL, "https"))
	o.Text("website", webAddress(p.URL, "https", "http"))
	switch gender := strings.ToLower(p.Gender); gender {
	case "male", "female":
		o.String("gender", gender)
	}
	o.Time("updated_at", p.UpdatedAt)
}

// address returns the address claim (OpenID Connect Core §5.1.1).
func address(a truecaller.Address) Object {
	country := strings.ToUpper(a.CountryCode)
	var lines []string
	for _, line := range []string{a.Street, strings.TrimSpace(a.Zipcode + " " + a.City), country} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	var o Object
	o.Text("formatted", strings.Join(lines, "\n"))
	o.Text("street_address", a.Street)
	o.Text("locality", a.City)
	o.Text("postal_code", a.Zipcode)
	o.Text("country", country)
	return o
}

// rest returns the truecaller claim: what a profile holds that has no standard name.
func rest(p truecaller.Profile) Object {
	id := p.UserID
	if id == "" {
		id = p.ID
	}
	var o Object
	o.Text("user_id", id)
	o.Text("company_name", p.CompanyName)
	o.Text("job_title", p.JobTitle)
	o.Text("about_me", p.AboutMe)
	o.Text("facebook_id", p.FacebookID)
	o.Text("twitter_id", p.TwitterID)
	o.Strings("badges", p.Badges)
	return o
}

// webAddress returns s if it is an absolute URL of one of these schemes, else "": a
// client that shows it must not link to a javascript: URL.
func webAddress(s string, schemes ...string) string {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || !slices.Contains(schemes, u.Scheme) {
		return ""
	}
	return u.String()
}

// mailAddress returns s if it looks like an email address, else "".
func mailAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || strings.ContainsAny(s, " \t\"<>(),;:\\") {
		return ""
	}
	return s
}
