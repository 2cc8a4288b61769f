// SPDX-License-Identifier: Apache-2.0

package record

import (
	"calleridp/keys"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// People are found by their sub.
var People = Kind{Name: "people", purpose: keys.PurposePersonRecord, version: 2, empty: empty[Person]}

// Numbers lead from Sealer.NumberKeys to a sub (Text).
var Numbers = Kind{Name: "numbers", purpose: keys.PurposeNumberRecord, version: 1, empty: empty[Text]}

// Person is a subject.Person.
type Person subject.Person

func (p *Person) fields(c *codec, version byte) {
	text(c, &p.Sub)
	c.phone(&p.Number)
	text(c, &p.TruecallerID)
	c.time(&p.Created)
	c.time(&p.LastSignIn)
	c.time(&p.VerifiedAt)
	profileFields(c, &p.Profile)
	text(c, &p.OAuthSub)
	c.flag(&p.NumberLost)
	if version >= 2 {
		number(c, &p.SignOuts)
	}
}

func profileFields(c *codec, p *truecaller.Profile) {
	text(c, &p.ID)
	text(c, &p.UserID)
	list(c, &p.Numbers, (*codec).phone)
	text(c, &p.FirstName)
	text(c, &p.LastName)
	text(c, &p.Email)
	text(c, &p.URL)
	text(c, &p.FacebookID)
	text(c, &p.TwitterID)
	text(c, &p.AvatarURL)
	text(c, &p.Gender)
	text(c, &p.CompanyName)
	text(c, &p.JobTitle)
	text(c, &p.AboutMe)
	list(c, &p.Addresses, addressFields)
	texts(c, &p.Badges)
	c.flag(&p.Inactive)
	c.time(&p.UpdatedAt)
	text(c, &p.OAuthSub)
}

func addressFields(c *codec, a *truecaller.Address) {
	text(c, &a.Street)
	text(c, &a.City)
	text(c, &a.Zipcode)
	text(c, &a.CountryCode)
}

// NumberKeys returns the keys, keyed hashes, by which the user with this number is
// found: that of the line today, which is written, and those of old spellings, under
// which a record may still stand.
func (s Sealer) NumberKeys(n phone.Number) [][32]byte {
	spellings := n.Spellings()
	all := make([][32]byte, len(spellings))
	for i, spelling := range spellings {
		all[i] = s.master.MAC(keys.PurposeNumberHash, []byte(spelling.Digits()))
	}
	return all
}
