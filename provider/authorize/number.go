// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"errors"

	"calleridp/truecaller/phone"
)

// number reads the submitted number. A *phone.ParseError says what is wrong, or that
// the page must ask whether it is the right one: the same digits may be a stranger's
// number in another country.
func (s Submission) number(region string) (phone.Number, error) {
	number, err := phone.Parse(s.Phone, region)
	doubt, ok := errors.AsType[*phone.ParseError](err)
	switch {
	case ok && doubt.Kind == phone.Confirm:
		number = doubt.Number
	case err != nil:
		return phone.Number{}, err
	case !s.Guessed || isEverywhere(number, s.Phone):
		return number, nil
	}
	if s.Confirmed == number.International() {
		return number, nil
	}
	return phone.Number{}, &phone.ParseError{Kind: phone.Confirm, Number: number}
}

// isEverywhere reports whether what was typed is this number in whatever country.
func isEverywhere(number phone.Number, typed string) bool {
	n, err := phone.Parse(typed, "")
	return err == nil && n == number
}

// showing fills the number that a page asks about into the page, in international
// form, so that the user sees in which country it was read.
func showing(number phone.Number, err error) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok && !number.IsZero() {
		refusal.View.Phone = number.International()
	}
	return err
}
