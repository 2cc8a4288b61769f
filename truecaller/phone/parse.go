package phone

import (
	"cmp"
	"errors"
	"slices"
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
	Confirm     Kind = "phone_confirm"      // no mistake: Number is what may be meant, and only the user knows
)

// ParseError is every error of Parse. It does not contain the input.
type ParseError struct {
	Kind   Kind
	Number Number // of Confirm
}

func (e *ParseError) Error() string { return "phone: " + string(e.Kind) }

func mistake(kind Kind) error { return &ParseError{Kind: kind} }

// Parse parses a number as users type or paste it: international with +, 00 or the
// region's own prefix, or national in the given region (ISO 3166-1 alpha-2, "" for
// none); with spaces and punctuation; as a tel: URI (RFC 3966); in the decimal digits of
// any script. The result is valid in its country's numbering plan and may be a mobile
// number, in its line's spelling of today.
//
// Where the input may mean another number as well, or one whose plus was forgotten, the
// error is Confirm with the likeliest one: another may be a stranger's.
func Parse(input, region string) (Number, error) {
	text, err := plain(input)
	if err != nil {
		return Number{}, err
	}
	region = strings.ToUpper(region)
	if !IsRegion(region) {
		region = ""
	}
	if strings.HasPrefix(text, "+00") {
		text = text[1:] // both, by a careful user
	}
	abroad, zeros := strings.CutPrefix(text, "00")
	switch {
	case strings.HasPrefix(text, "+"):
		return choose(read(text, ""))
	case zeros && region == "":
		return choose(read("+"+abroad, ""))
	case zeros:
		// Most countries dial 00 before a country code, and people write it in all of them.
		// In some, more digits belong to the prefix: Australia dials 0011, and in Brazil
		// 0055 is a carrier's prefix and Brazil's own number.
		return choose(read("+"+abroad, ""), read(text, region))
	case region == "":
		return Number{}, mistake(NeedsRegion)
	}
	return parseBare(text, region)
}

// parseBare parses digits without a plus and without 00: a national number, if they are
// one; else a number after what the region dials abroad, or one whose plus was forgotten,
// which nobody but the user can know.
func parseBare(text, region string) (Number, error) {
	own := read(text, region)
	dialled := own.kind == "" && own.number.Digits() != text && strings.HasSuffix(text, own.number.Digits())
	if own.kind == "" && !dialled || text[0] == '0' {
		return choose(own)
	}
	forgotten := read("+"+text, "")
	switch {
	case forgotten.kind != "":
		return choose(own)
	case dialled:
		return choose(own, forgotten)
	}
	return Number{}, &ParseError{Kind: Confirm, Number: forgotten.number}
}

// reading is one way to read an input: a number, or why it is none.
type reading struct {
	number Number
	kind   Kind // "" for a number
}

// choose returns the number of the only reading that is one. If there are several, it
// asks for the first. If there is none, it says what is wrong with the first.
func choose(readings ...reading) (Number, error) {
	var found []Number
	for _, r := range readings {
		if r.kind == "" && !slices.Contains(found, r.number) {
			found = append(found, r.number)
		}
	}
	switch len(found) {
	case 0:
		return Number{}, mistake(readings[0].kind)
	case 1:
		return found[0], nil
	}
	return Number{}, &ParseError{Kind: Confirm, Number: found[0]}
}

// read reads digits, with or without a plus before them, in one way. A number in an old
// spelling is read as today's.
func read(text, region string) reading {
	parsed, err := phonenumbers.Parse(text, region)
	if err != nil {
		return reading{kind: kindOf(err, text)}
	}
	kind := kindOfNumber(parsed)
	n, err := FromDigits(phonenumbers.Format(parsed, phonenumbers.E164))
	if err != nil {
		return reading{kind: cmp.Or(kind, Invalid)}
	}
	if line := n.Line(); line != n {
		parsed, err := phonenumbers.Parse(line.E164(), "")
		if err == nil && kindOfNumber(parsed) == "" {
			return reading{number: line}
		}
	}
	if kind != "" {
		return reading{kind: kind}
	}
	return reading{number: n}
}

// kindOfNumber returns what is wrong with a number, "" for nothing.
func kindOfNumber(n *phonenumbers.PhoneNumber) Kind {
	if !phonenumbers.IsValidNumber(n) {
		switch phonenumbers.IsPossibleNumberWithReason(n) {
		case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
			return TooShort
		case phonenumbers.TOO_LONG:
			return TooLong
		case phonenumbers.INVALID_COUNTRY_CODE:
			return BadCountry
		}
		return Invalid
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.FIXED_LINE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST,
		phonenumbers.VOICEMAIL, phonenumbers.UAN, phonenumbers.PAGER:
		return Landline
	}
	return ""
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
