// SPDX-License-Identifier: Apache-2.0

package phone

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
)

// groups_test.go generates groups.txt from the metadata of phonenumbers.
//
//go:embed groups.txt
var groups string

// Groups returns how each country groups the digits of its mobile numbers, for a script
// that formats a number as the user types. It has one line for each calling code:
//
//	46|SE|0|7[02369]=2 3 2 2|6-12|
//
// the code; the regions that share it, two letters each, the main one first; the
// trunk prefix that numbers begin with at home, which may be empty; rules,
// separated by semicolons; the least and the most digits that any number there has
// after the code; and what is dialled before other countries' codes, as a regular
// expression, if it is not 00. A rule says how the digits after the calling code may
// begin (alternatives, separated by commas, in digits, classes and dots as in
// regular expressions) and how many digits stand together. The more numbers a
// rule is for, the earlier it stands.
//
// Every number that is certainly a mobile one follows a rule, which groups it as
// International does. Some other numbers follow a rule too.
func Groups() string { return groups }

// Country is a country with phone numbers. Several may share a code: the United States,
// Canada and others have +1.
type Country struct {
	Region string // ISO 3166-1 alpha-2
	Code   int    // calling code, without a plus
}

// Countries returns all countries, sorted by region, for a list of choices.
func Countries() []Country {
	var all []Country
	for line := range strings.Lines(groups) {
		code, rest, _ := strings.Cut(line, "|")
		regions, _, _ := strings.Cut(rest, "|")
		number, _ := strconv.Atoi(code) // a test compares the file with the metadata
		for region := range slices.Chunk([]byte(regions), 2) {
			all = append(all, Country{string(region), number})
		}
	}
	slices.SortFunc(all, func(a, b Country) int { return strings.Compare(a.Region, b.Region) })
	return all
}
