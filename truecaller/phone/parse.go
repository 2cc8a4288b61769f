// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"cmp"
	"errors"
	"strconv"
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
	Landline    Kind = "phone_landline"     // a service's number: freephone, premium rate and the like
	NeedsRegion Kind = "phone_needs_region" // a national number without a region
	Confirm     Kind = "phone_confirm"      // no mistake: Number is what may be meant, and only the user knows
)

// ParseError is every error of Parse. It does not contain the input.
type ParseError struct {
	Kind Kind

	// Of Confirm:
	Number  Number
	Several bool // another number may be meant as well, or this one with a plus
}

func (e *ParseError) Error() string { return "phone: " + string(e.Kind) }

func mistake(kind Kind) error { return &ParseError{Kind: kind} }

// Parse parses a number as users type or paste it: international with +, 00 or the
// region's own prefix, or national in the given region (ISO 3166-1 alpha-2, "" for
// none); with spaces and punctuation; as a tel: URI (RFC 3966); in the decimal digits of
// any script. The result is valid in its country's numbering plan and may be a mobile
// number, in its line's spelling of today.
//
// The error is Confirm, with the likeliest number, where only the user can know: if the
// input may mean another number as well, which may be a stranger's; if its plus may have
// been forgotten; if the number is a landline's; or if no plan that we know has it.
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
// which only the user can know.
func parseBare(text, region string) (Number, error) {
	own := read(text, region)
	dialled := own.kind == "" && own.number.Digits() != text && strings.HasSuffix(text, own.number.Digits())
	if own.kind == "" && own.rank == certain && !dialled || text[0] == '0' {
		return choose(own)
	}
	forgotten := read("+"+text, "")
	if forgotten.kind != "" || forgotten.rank != certain {
		return choose(own)
	}
	forgotten.rank = plusForgotten
	if strings.HasPrefix(text, strconv.Itoa(phonenumbers.GetCountryCodeForRegion(region))) {
		forgotten.rank = ownPlusForgotten
	}
	if own.kind != "" {
		return choose(forgotten)
	}
	return choose(own, forgotten)
}

// reading is one way to read an input: a number, or why it is none.
type reading struct {
	number Number
	rank   rank
	kind   Kind // "" for a number
}

// rank says how sure a reading is. Only one that is certain needs no question.
type rank int

const (
	certain          rank = iota // its plan has such numbers
	ownPlusForgotten             // if the plus of a number of the region was forgotten
	unassigned                   // no plan has it, and a newer one may
	plusForgotten                // if the plus of another country's number was forgotten
	landline                     // its plan has it for a line that is rarely used to sign in
)

// choose returns the number of the only reading that is one. If it is not certain, or if
// there are several, it asks for the likeliest. If there is none, it says what is wrong
// with the first.
func choose(readings ...reading) (Number, error) {
	var best *reading
	several := false
	for i, r := range readings {
		if r.kind != "" {
			continue
		}
		several = several || best != nil && r.number != best.number
		if best == nil || r.rank < best.rank {
			best = &readings[i]
		}
	}
	switch {
	case best == nil:
		return Number{}, mistake(readings[0].kind)
	case several || best.rank != certain:
		several = several || best.rank == ownPlusForgotten || best.rank == plusForgotten
		return Number{}, &ParseError{Kind: Confirm, Number: best.number, Several: several}
	}
	return best.number, nil
}

// read reads digits, with or without a plus before them, in one way. A number in an old
// spelling is read as today's.
func read(text, region string) reading {
	parsed, err := phonenumbers.Parse(text, region)
	if err != nil {
		return reading{kind: kindOf(err, text)}
	}
	n, err := FromDigits(phonenumbers.Format(parsed, phonenumbers.E164))
	if err != nil {
		_, kind := rankOf(parsed)
		return reading{kind: cmp.Or(kind, Invalid)}
	}
	if line := n.Line(); line != n {
		today, err := phonenumbers.Parse(line.E164(), "")
		if rank, kind := rankOf(today); err == nil && kind == "" && rank == certain {
			return reading{number: line}
		}
	}
	rank, kind := rankOf(parsed)
	if kind != "" {
		return reading{kind: kind}
	}
	return reading{number: n, rank: rank}
}

// rankOf returns how likely it is that a user has the number, or what is wrong with it.
func rankOf(n *phonenumbers.PhoneNumber) (rank, Kind) {
	if !phonenumbers.IsValidNumber(n) {
		switch phonenumbers.IsPossibleNumberWithReason(n) {
		case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
			return 0, TooShort
		case phonenumbers.TOO_LONG:
			return 0, TooLong
		case phonenumbers.INVALID_COUNTRY_CODE:
			return 0, BadCountry
		}
		if mayBeAssigned(n) {
			return unassigned, ""
		}
		return 0, Invalid
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.FIXED_LINE:
		return landline, ""
	case phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST,
		phonenumbers.VOICEMAIL, phonenumbers.UAN, phonenumbers.PAGER:
		return 0, Landline
	}
	return certain, ""
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
