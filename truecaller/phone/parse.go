package phone

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Kind is a kind of mistake in the input.
type Kind string

// The kinds of mistakes.
const (
	Empty       Kind = "phone_empty"
	NotANumber  Kind = "phone_not_a_number"
	TooShort    Kind = "phone_too_short"
	TooLong     Kind = "phone_too_long"
	BadCountry  Kind = "phone_country"      // the country code belongs to no country
	Invalid     Kind = "phone_invalid"      // no such number in its country
	Landline    Kind = "phone_landline"     // certainly not a mobile phone
	NeedsRegion Kind = "phone_needs_region" // a national number without a region
)

// ParseError is every error of Parse. It does not contain the input.
type ParseError struct{ Kind Kind }

func (e *ParseError) Error() string { return "phone: " + string(e.Kind) }

// Parse parses a number as users type or paste it: international with +, 00 or the
// region's own prefix, or national in the given region (ISO 3166-1 alpha-2, "" for
// none); with spaces and punctuation; as a tel: URI (RFC 3966); in the decimal digits of
// any script. The result is valid in its country's numbering plan and may be a mobile
// number.
func Parse(input, region string) (Number, error) {
	text, err := plain(input)
	if err != nil {
		return Number{}, err
	}
	region = strings.ToUpper(region)
	if !IsRegion(region) {
		region = ""
	}
	if rest, ok := strings.CutPrefix(text, "00"); ok {
		// Most countries dial 00 before a country code, but Australia dials 0011. The
		// region's own prefix is tried first; 00 works in every region.
		if region != "" {
			if n, err := read(text, region); err == nil {
				return n, nil
			}
		}
		text = "+" + rest
	}
	if region == "" && !strings.HasPrefix(text, "+") {
		return Number{}, &ParseError{NeedsRegion}
	}
	return read(text, region)
}

// read parses digits, with or without a plus before them.
func read(text, region string) (Number, error) {
	parsed, err := phonenumbers.Parse(text, region)
	if err != nil {
		return Number{}, &ParseError{kindOf(err, text)}
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
	short := len(strings.TrimPrefix(text, "+")) <= 3
	switch {
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return TooLong
	case short, errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return TooShort
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return BadCountry
	}
	return NotANumber
}
