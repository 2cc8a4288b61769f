// SPDX-License-Identifier: Apache-2.0

// Package phone represents phone numbers: it parses user input into the E.164 form that
// other packages compare, and masks numbers for logs and pages. It is the only importer
// of nyaruka/phonenumbers.
//
// A Number formats and logs itself masked (+46•••••4605). Only E164, Digits, Int64 and
// International return the whole number.
package phone

import (
	"errors"
	"strconv"
	"strings"
)

// Number is a whole E.164 number: 7 to 15 digits, the first not zero. The zero
// value is no number. Numbers compare with ==.
type Number struct {
	digits string
}

// ErrNotE164 is the error of FromDigits.
var ErrNotE164 = errors.New("phone: not an E.164 number")

// FromDigits parses E.164 digits as Truecaller writes them, with or without a leading
// plus. It accepts no spaces and no national forms.
func FromDigits(s string) (Number, error) {
	s = strings.TrimPrefix(s, "+")
	if len(s) < 7 || len(s) > 15 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return Number{}, ErrNotE164
	}
	return Number{digits: s}, nil
}

// IsZero reports whether n is the zero Number.
func (n Number) IsZero() bool { return n.digits == "" }

// E164 returns the whole number with its plus: the value of the phone_number claim
// (OpenID Connect Core §5.1).
func (n Number) E164() string {
	if n.IsZero() {
		return ""
	}
	return "+" + n.digits
}

// Digits returns the whole number without a plus, as Truecaller writes it.
func (n Number) Digits() string { return n.digits }

// Int64 returns the number for Truecaller's push request. Fifteen digits always fit. The
// zero Number returns 0.
func (n Number) Int64() int64 {
	v, _ := strconv.ParseInt(n.digits, 10, 64)
	return v
}
