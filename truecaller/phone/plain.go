// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"net/url"
	"strings"
	"unicode"
)

// maxInput is the longest input, in bytes.
const maxInput = 250

// plain returns the ASCII digits of the input, after a plus if it has one. Characters
// that numbers are not written with are a mistake: an extension, a second number or an
// e-mail address must not become a number by accident.
func plain(input string) (string, error) {
	if len(input) > maxInput {
		return "", mistake(TooLong)
	}
	input = strings.TrimFunc(input, ignorable)
	if input == "" {
		return "", mistake(Empty)
	}
	if len(input) >= 4 && strings.EqualFold(input[:4], "tel:") {
		var err error
		if input, err = fromURI(input[4:]); err != nil {
			return "", err
		}
	}
	return digitsOf(input)
}

func digitsOf(text string) (string, error) {
	var b strings.Builder
	digits := false
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Nd, r):
			b.WriteByte('0' + digitValue(r))
			digits = true
		case r == '+' || r == '＋' || r == '﹢':
			if b.Len() > 0 {
				return "", mistake(NotANumber)
			}
			b.WriteByte('+')
		case separates(r):
			// The zero of +46 (0)70 stays: phonenumbers knows it as a national prefix.
		default:
			return "", mistake(NotANumber)
		}
	}
	if !digits {
		return "", mistake(NotANumber)
	}
	return b.String(), nil
}

// fromURI returns the number of a tel: URI, without the scheme (RFC 3966 §3). A local
// number belongs to its phone-context if that is a prefix (§5.1.5).
func fromURI(uri string) (string, error) {
	uri, err := url.PathUnescape(uri)
	if err != nil {
		return "", mistake(NotANumber)
	}
	number, parameters, _ := strings.Cut(uri, ";")
	number = strings.TrimFunc(number, ignorable)
	if number == "" {
		return "", mistake(NotANumber)
	}
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		switch strings.ToLower(name) {
		case "ext", "isub":
			return "", mistake(NotANumber) // no mobile phone has these
		case "phone-context":
			if strings.HasPrefix(value, "+") && !strings.HasPrefix(number, "+") {
				number = value + number
			}
		}
	}
	return number, nil
}

// marks are what people group digits with, beside spaces and dashes. Among them are the
// long vowel marks and middle dots of Japanese keyboards, in both widths, and other
// characters that look like a dash or a dot. No letter is, and so neither is the Chinese
// one, which is a digit to some.
const marks = "()[]./~·•" + "−⁄∕∙⋅˗⁃─" + "〜～（）［］．／" + "ーｰ・･"

// separates reports whether r may stand between digits. The script of the page accepts the
// same (ui/static/field.js).
func separates(r rune) bool {
	return ignorable(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune(marks, r)
}

// ignorable reports whether r is invisible: a space, or a character that a paste brings
// along, such as a direction mark or a byte order mark.
func ignorable(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// digitValue returns the value of a decimal digit of any script. The digits of a script
// are a run of ten that begins with its zero, and the table's ranges consist of such
// runs.
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
