// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A renumbering is a public rule by which each number of a plan got another spelling, and
// stayed the same line: new digits at the place where a prefix ends. No old spelling is a
// number of another line today.
type renumbering struct {
	old, new string         // how the digits begin, before and since
	rest     *regexp.Regexp // all the others, which stayed as they were
}

func rest(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }

var renumberings = slices.Concat(
	[]renumbering{
		// Mexico's mobile numbers had a 1 until August 2019.
		{"521", "52", rest(`[2-9]\d{9}`)},
		// Argentina's mobile numbers have a 9 when they are called from abroad, and not in
		// messages or at home. Fixed and mobile lines share one set of ten digits.
		{"54", "549", rest(`[1-3]\d{9}`)},
		// All of Benin's numbers got 01 on 30 November 2024; those with 8 are no lines of people.
		{"229", "22901", rest(`[4569]\d{7}`)},
		// Ivory Coast's mobile numbers got the digits of their operator on 31 January 2021:
		// Moov, MTN and Orange, which the second digit told apart. Closed networks got none.
		{"225", "22501", rest(`(?:0[1-3]|[457][0-3])\d{6}`)},
		{"225", "22505", rest(`[04-9][4-6]\d{6}`)},
		{"225", "22507", rest(`(?:0[7-9]|[4578][7-9]|9[78]|6[78])\d{6}`)},
	},
	brazil(),
	vietnam(),
)

// brazil has the ninth digit, which mobile numbers got from 2012 to 2016, area by area.
// Those that begin with 7 are left out: trunked radio kept eight digits there.
func brazil() []renumbering {
	mobile := rest(`[689]\d{7}`)
	var all []renumbering
	for area := 11; area <= 99; area++ {
		if area%10 != 0 {
			all = append(all, renumbering{"55" + strconv.Itoa(area), "55" + strconv.Itoa(area) + "9", mobile})
		}
	}
	return all
}

// vietnam has the eleven-digit mobile numbers, which lost a digit in autumn 2018.
func vietnam() []renumbering {
	seven := rest(`\d{7}`)
	var all []renumbering
	for old, now := range map[string]string{
		"120": "70", "121": "79", "122": "77", "126": "76", "128": "78",
		"123": "83", "124": "84", "125": "85", "127": "81", "129": "82",
		"162": "32", "163": "33", "164": "34", "165": "35", "166": "36", "167": "37", "168": "38", "169": "39",
		"186": "56", "188": "58", "199": "59",
	} {
		all = append(all, renumbering{"84" + old, "84" + now, seven})
	}
	return all
}

// Line returns today's spelling of the number, by which a line is kept and compared.
// Most numbers have one spelling only.
func (n Number) Line() Number {
	for _, r := range renumberings {
		if tail, ok := strings.CutPrefix(n.digits, r.old); ok && r.rest.MatchString(tail) {
			return Number{r.new + tail}
		}
	}
	return n
}

// Spellings returns all spellings of the number's line, today's first.
func (n Number) Spellings() []Number {
	line := n.Line()
	all := []Number{line}
	for _, r := range renumberings {
		if tail, ok := strings.CutPrefix(line.digits, r.new); ok && r.rest.MatchString(tail) {
			all = append(all, Number{r.old + tail})
		}
	}
	return all
}

// SameLine reports whether two numbers are one line. It is the only way to compare
// numbers that come from different sources (invariant 3).
func SameLine(a, b Number) bool { return !a.IsZero() && a.Line() == b.Line() }
