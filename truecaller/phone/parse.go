package phone

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// Kind says what is wrong with what was typed.
type Kind string

// The kinds of mistakes.
const (
	Empty       Kind = "phone_empty"
	NotANumber  Kind = "phone_not_a_number"
	TooShort    Kind = "phone_too_short"
	TooLong     Kind = "phone_too_long"
	BadCountry  Kind = "phone_country"      // the country code belongs to no country
	Invalid     Kind = "phone_invalid"      // no such number in its country
	Landline    Kind = "phone_landline"     // surely no mobile phone
	NeedsRegion Kind = "phone_needs_region" // a national number, and no region to read it in
)

// ParseError is every error of Parse. It does not hold what was typed.
type ParseError struct{ Kind Kind }

func (e *ParseError) Error() string { return "phone: " + string(e.Kind) }

// maxInput bounds what is looked at, in bytes.
const maxInput = 250

// Parse reads a number as a person types or pastes it: international with + or
// 00, or national in the given region (ISO 3166-1 alpha-2, "" for none); with
// spaces and punctuation; as a tel: URI; in any script's decimal digits. The
// result is a number that exists in its country's plan and may be a mobile one.
func Parse(input, region string) (Number, error) {
	if len(input) > maxInput {
		return Number{}, &ParseError{TooLong}
	}
	text, err := plain(input)
	if err != nil {
		return Number{}, err
	}
	region = strings.ToUpper(region)
	if phonenumbers.GetCountryCodeForRegion(region) == 0 {
		region = ""
	}
	if strings.HasPrefix(text, "00") {
		text = "+" + text[2:]
	}
	if region == "" && !strings.HasPrefix(text, "+") {
		return Number{}, &ParseError{NeedsRegion}
	}
	parsed, parseErr := phonenumbers.Parse(text, region)
	if parseErr != nil {
		return Number{}, &ParseError{kindOf(parseErr, text)}
	}
	if !phonenumbers.IsValidNumber(parsed) {
		switch phonenumbers.IsPossibleNumberWithReason(parsed) {
		case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
			return Number{}, &ParseError{TooShort}
		case phonenumbers.TOO_LONG:
			return Number{}, &ParseError{TooLong}
		case phonenumbers.INVALID_COUNTRY_CODE:
			return Number{}, &ParseError{BadCountry}
		}
		return Number{}, &ParseError{Invalid}
	}
	switch phonenumbers.GetNumberType(parsed) {
	case phonenumbers.FIXED_LINE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST,
		phonenumbers.VOICEMAIL, phonenumbers.UAN, phonenumbers.PAGER:
		return Number{}, &ParseError{Landline}
	}
	n, err := FromDigits(phonenumbers.Format(parsed, phonenumbers.E164))
	if err != nil {
		return Number{}, &ParseError{Invalid}
	}
	return n, nil
}

func kindOf(err error, text string) Kind {
	switch err {
	case phonenumbers.ErrInvalidCountryCode:
		if len(text) < 4 {
			return TooShort
		}
		return BadCountry
	case phonenumbers.ErrNumTooLong:
		return TooLong
	case phonenumbers.ErrTooShortNSN, phonenumbers.ErrTooShortAfterIDD:
		return TooShort
	}
	if len(strings.TrimPrefix(text, "+")) < 3 {
		return TooShort
	}
	return NotANumber
}

// plain leaves digits and a leading plus of what was typed. Any other letter or
// sign than those used to write numbers is a mistake: an extension, a second
// number or an e-mail address must not become a number by accident.
func plain(input string) (string, error) {
	input = strings.TrimSpace(input)
	if len(input) >= 4 && strings.EqualFold(input[:4], "tel:") {
		input, _, _ = strings.Cut(input[4:], ";")
	}
	var b strings.Builder
	for _, r := range input {
		switch {
		case unicode.Is(unicode.Nd, r):
			b.WriteByte('0' + digitValue(r))
		case r == '+' || r == '＋':
			if b.Len() > 0 {
				return "", &ParseError{NotANumber}
			}
			b.WriteByte('+')
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Pd, r), strings.ContainsRune("()[]./·•~−⁄〜～（）．", r):
			// Spaces, invisible direction marks and punctuation.
		default:
			return "", &ParseError{NotANumber}
		}
	}
	if strings.TrimPrefix(b.String(), "+") == "" {
		if strings.TrimSpace(input) == "" {
			return "", &ParseError{Empty}
		}
		return "", &ParseError{NotANumber}
	}
	// "(0)" in +46 (0)70 is written by many and dialled by none.
	text := b.String()
	if strings.HasPrefix(text, "+") && strings.Contains(strings.Join(strings.Fields(input), ""), "(0)") {
		text = withoutTrunkZero(text)
	}
	return text, nil
}

// withoutTrunkZero drops the zero that follows the country code.
func withoutTrunkZero(text string) string {
	for size := 1; size <= 3 && size+1 < len(text); size++ {
		code := 0
		for _, r := range text[1 : 1+size] {
			code = code*10 + int(r-'0')
		}
		if region := phonenumbers.GetRegionCodeForCountryCode(code); region != "ZZ" && region != "" && text[1+size] == '0' {
			return text[:1+size] + text[2+size:]
		}
	}
	return text
}

// digitValue is the value of a decimal digit of any script. Digits stand in
// runs of ten, zero first, and the ranges of the table begin at a zero.
func digitValue(r rune) byte {
	for _, in := range unicode.Nd.R16 {
		if rune(in.Lo) <= r && r <= rune(in.Hi) {
			return byte((r - rune(in.Lo)) % 10)
		}
	}
	for _, in := range unicode.Nd.R32 {
		if rune(in.Lo) <= r && r <= rune(in.Hi) {
			return byte((r - rune(in.Lo)) % 10)
		}
	}
	return 0
}

// Region is the country of the number, ISO 3166-1 alpha-2, "" when its code is
// not a country's.
func (n Number) Region() string {
	parsed, err := phonenumbers.Parse(n.E164(), "")
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); region != "ZZ" && region != "001" {
		return region
	}
	return ""
}

// International is the number whole, as people write it: +46 70 174 06 05.
func (n Number) International() string {
	parsed, err := phonenumbers.Parse(n.E164(), "")
	if err != nil {
		return n.E164()
	}
	return phonenumbers.Format(parsed, phonenumbers.INTERNATIONAL)
}

// IsRegion says whether region is a country that phone numbers are read in.
func IsRegion(region string) bool {
	return len(region) == 2 && strings.ToUpper(region) == region && phonenumbers.GetCountryCodeForRegion(region) != 0
}

// Masked is the number as logs and pages may show it: country code, dots, and
// the last four digits, as in +46•••••4605. Of short numbers fewer are shown,
// so that at least three stay hidden.
func (n Number) Masked() string {
	if n.IsZero() {
		return ""
	}
	code := n.countryCodeDigits()
	tail := min(4, len(n.digits)-code-3)
	if tail < 1 {
		return "+" + n.digits[:code] + "•••••"
	}
	return "+" + n.digits[:code] + "•••••" + n.digits[len(n.digits)-tail:]
}

func (n Number) countryCodeDigits() int {
	code := 0
	for size := 1; size <= 3; size++ {
		code = code*10 + int(n.digits[size-1]-'0')
		if region := phonenumbers.GetRegionCodeForCountryCode(code); region != "ZZ" && region != "" {
			return size
		}
	}
	return 1
}
