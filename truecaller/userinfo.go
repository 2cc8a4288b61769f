// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"calleridp/truecaller/phone"
)

// DecodeUserinfo decodes the claims of the OAuth interface (docs/truecaller.md
// section 5). A claim may be a string instead of its own type; null or a wrong type
// counts as absent. Only the claims of granted scopes are present. Three are checked
// strictly:
//
//	sub                    mandatory; kept as text, because a float64 has fewer digits
//	phone_number           mandatory; E.164, with or without the plus. One that no plan
//	                       can have counts as absent
//	phone_number_verified  absent or true
//
// Errors wrap ErrProfile, or are ErrNoNumber or ErrUnverified.
func DecodeUserinfo(raw []byte) (Profile, error) {
	if !utf8.Valid(raw) {
		return Profile{}, fmt.Errorf("%w: not UTF-8", ErrProfile)
	}
	var w wireUserinfo
	if err := json.Unmarshal(raw, &w); err != nil {
		return Profile{}, fmt.Errorf("%w: not one JSON object", ErrProfile)
	}
	sub := scalar(w.Sub).whole(maxID)
	if sub == "" { // OpenID Connect Core §5.3.2
		return Profile{}, fmt.Errorf("%w: no sub in it", ErrProfile)
	}
	switch strings.TrimSpace(string(w.PhoneNumberVerified)) {
	case "", "null", "true", `"true"`:
	default:
		return Profile{}, ErrUnverified
	}
	digits := strings.TrimSpace(string(w.PhoneNumber))
	if digits == "" {
		return Profile{}, ErrNoNumber
	}
	number, err := phone.FromDigits(digits)
	if err != nil {
		return Profile{}, fmt.Errorf("%w: phone_number is not E.164", ErrProfile)
	}
	if !number.MayExist() {
		return Profile{}, ErrNoNumber // Truecaller vouches for a line, and this is none
	}
	p := Profile{
		OAuthSub:  sub,
		Numbers:   []phone.Number{number.Line()},
		FirstName: w.GivenName.text(maxName),
		LastName:  w.FamilyName.text(maxName),
		Email:     w.Email.whole(maxEmail),
		AvatarURL: w.Picture.whole(maxURL),
		Gender:    w.Gender.text(maxShort),
	}
	address := Address{
		Street:      w.Address.v.Street.text(maxName),
		City:        w.Address.v.Locality.text(maxName),
		Zipcode:     w.Address.v.PostalCode.text(maxShort),
		CountryCode: country(w.Address.v.Country.text(maxShort)),
	}
	if address != (Address{}) {
		p.Addresses = []Address{address}
	}
	return p, nil
}

type wireUserinfo struct {
	Sub                 identifier           `json:"sub"`
	PhoneNumber         identifier           `json:"phone_number"`
	PhoneNumberVerified json.RawMessage      `json:"phone_number_verified"`
	GivenName           scalar               `json:"given_name"`
	FamilyName          scalar               `json:"family_name"`
	Email               scalar               `json:"email"`
	Picture             scalar               `json:"picture"`
	Gender              scalar               `json:"gender"`
	Address             object[wireLocality] `json:"address"`
}

// wireLocality is the address of OpenID Connect Core §5.1.1. Truecaller documents its
// locality and postal code.
type wireLocality struct {
	Street     scalar `json:"street_address"`
	Locality   scalar `json:"locality"`
	PostalCode scalar `json:"postal_code"`
	Country    scalar `json:"country"`
}

// identifier is a string, or a whole number as its digits. A number with a fraction or
// an exponent has lost digits in a float: it is "", like every other type.
type identifier string

func (i *identifier) UnmarshalJSON(raw []byte) error {
	*i = ""
	if raw[0] == '"' {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			*i = identifier(text)
		}
		return nil
	}
	if consistsOf(string(raw), digits) {
		*i = identifier(raw)
	}
	return nil
}
