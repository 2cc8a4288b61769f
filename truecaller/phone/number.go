// Package phone owns the phone number: parsing what a person typed, the E.164
// form that everything else compares, and the masked form that logs and pages
// may show. It is the only importer of nyaruka/phonenumbers.
//
// A Number formats and logs itself masked (+46•••••4605). The whole number
// comes out only through the methods that say so: E164, Digits, Int64 and
// International.
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

// ErrNotE164 says that FromDigits was given something that is not an E.164
// number.
var ErrNotE164 = errors.New("phone: not an E.164 number")

// FromDigits takes E.164 digits as Truecaller writes them, with or without a
// leading plus. It allows nothing else: no spaces, no national forms.
func FromDigits(s string) (Number, error) {
	s = strings.TrimPrefix(s, "+")
	if len(s) < 7 || len(s) > 15 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return Number{}, ErrNotE164
	}
	return Number{digits: s}, nil
}

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n.digits == "" }

// E164 is the number whole, with its plus: the value of the phone_number claim
// (OpenID Connect Core §5.1).
func (n Number) E164() string {
	if n.IsZero() {
		return ""
	}
	return "+" + n.digits
}

// Digits is the number whole, without a plus, as Truecaller writes it.
func (n Number) Digits() string { return n.digits }

// Int64 is the number as Truecaller's push request wants it. Fifteen digits
// always fit. The zero Number gives 0.
func (n Number) Int64() int64 {
	v, _ := strconv.ParseInt(n.digits, 10, 64)
	return v
}
