// SPDX-License-Identifier: Apache-2.0

package language

import (
	"strings"

	"golang.org/x/text/language"
)

// zeros holds the zero of each numbering system that our languages use, by its name
// in Unicode's CLDR. The other digits follow their zero.
var zeros = map[string]rune{"latn": '0', "arab": '٠', "arabext": '۰', "beng": '০', "deva": '०'}

// arabDigits lists the countries that write Arabic with Arabic-Indic digits (CLDR
// 48). The Maghreb and the Emirates do not, nor does Arabic without a country.
const arabDigits = "BH DJ EG ER IL IQ JO KM KW LB MR OM PS QA SA SD SO SS SY TD YE"

// numbering returns the numbering system of a language's reader. The first of the
// wanted tags that is of this language and names a country decides, or the
// numbering system that such a tag names (the key nu, RFC 6067 and UTS #35).
func numbering(in language.Tag, wanted []language.Tag) string {
	base, _ := in.Base()
	country := ""
	for _, tag := range wanted {
		if b, _ := tag.Base(); b != base {
			continue
		}
		if system := tag.TypeForKey("nu"); zeros[system] != 0 {
			return system
		}
		if region, confidence := tag.Region(); confidence == language.Exact {
			country = region.String()
			break
		}
	}
	switch code := base.String(); {
	case code == "bn":
		return "beng"
	case code == "mr":
		return "deva"
	case code == "ar" && country != "" && strings.Contains(arabDigits, country):
		return "arab"
	case code == "ur" && country == "IN":
		return "arabext"
	}
	return "latn"
}

// native writes the digits of a text with another zero. Phone numbers never pass
// through it.
func native(text string, zero rune) string {
	if zero == '0' {
		return text
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, text)
}
