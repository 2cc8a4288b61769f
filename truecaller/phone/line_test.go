// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func number(t *testing.T, digits string) Number {
	t.Helper()
	n, err := FromDigits(digits)
	if err != nil {
		t.Fatal(digits, err)
	}
	return n
}

func TestSameLine(t *testing.T) {
	for _, spellings := range [][]string{
		{"525512345678", "5215512345678"},
		{"5491123456789", "541123456789"},
		{"5511981234567", "551181234567"},
		{"5551996123456", "555196123456"},
		{"2290197123456", "22997123456"},
		{"2250101234567", "22501234567"},
		{"2250544123456", "22544123456"},
		{"2250707123456", "22507123456"},
		{"84701234567", "841201234567"},
		{"84391234567", "841691234567"},
		{"46701740605"},
	} {
		line := number(t, spellings[0])
		var got []string
		for _, s := range line.Spellings() {
			got = append(got, s.Digits())
		}
		if !slices.Equal(got, spellings) {
			t.Errorf("%s has the spellings %q, want %q", line.E164(), got, spellings)
		}
		for _, s := range spellings {
			if n := number(t, s); n.Line() != line || !SameLine(n, line) || !slices.Equal(n.Spellings(), line.Spellings()) {
				t.Errorf("%s is line %s, want %s", s, n.Line().E164(), line.E164())
			}
		}
	}
	for _, two := range [][2]string{
		{"551171234567", "5511971234567"}, // trunked radio
		{"551131234567", "5511931234567"}, // a landline
		{"22569123456", "2250769123456"},  // a closed network
		{"525512345678", "15512345678"},
		{"46701740605", "701740605"},
		{"919999999999", "9999999999"},
		{"46701740605", "46701740606"},
	} {
		if SameLine(number(t, two[0]), number(t, two[1])) {
			t.Errorf("%s and %s are one line, want two", two[0], two[1])
		}
	}
	if SameLine(Number{}, Number{}) || len((Number{}).Spellings()) != 1 {
		t.Error("no number is a line")
	}
}

// What a plan has today is its own line: no other number of a plan becomes it, and an
// old spelling becomes one line only. Argentina's ten digits without the 9 are in the
// plan, for they are how the same lines are dialled at home.
func TestInvariant3_NoTwoLinesBecomeOne(t *testing.T) {
	changed := map[string]int{}
	check := func(n Number) {
		line := n.Line()
		if line.Line() != line {
			t.Fatalf("%s becomes %s, which becomes %s", n.E164(), line.E164(), line.Line().E164())
		}
		if !slices.Contains(n.Spellings(), n) {
			t.Fatalf("%s is not among the spellings of its line %s", n.E164(), line.E164())
		}
		if line == n {
			return
		}
		parsed, err := phonenumbers.Parse(n.E164(), "")
		if err == nil && phonenumbers.IsValidNumber(parsed) && !strings.HasPrefix(n.Digits(), "54") {
			t.Fatalf("%s, which is a number, becomes %s", n.E164(), line.E164())
		}
		if others := len(line.Spellings()); others != 2 {
			t.Fatalf("%s has %d spellings, want 2", line.E164(), others)
		}
		changed[phonenumbers.GetRegionCodeForCountryCode(codeOf(line))]++
	}
	// All the digits that a rule looks at, at every length.
	for _, code := range []string{"52", "54", "55", "229", "225", "84"} {
		for head := 0; head < 10_000; head += oneIn {
			digits := code + fmt.Sprintf("%04d", head)
			for length := 9; length <= 15; length++ {
				check(Number{digits + "2345678901234"[:max(0, length-len(digits))]})
			}
		}
	}
	for _, region := range []string{"MX", "AR", "BR", "BJ", "CI", "VN"} {
		if changed[region] == 0 {
			t.Errorf("no number of %s has an old spelling: %v", region, changed)
		}
	}
	// Pairs elsewhere: every mobile number is its own line.
	for _, p := range allPlans(t) {
		r := rand.New(rand.NewPCG(8, uint64(p.code)))
		for range 200 / oneIn {
			n, err := Parse("+"+strconv.Itoa(p.code)+p.mobile.random(r), "")
			if err != nil {
				continue
			}
			if n.Line() != n {
				t.Errorf("the mobile number %s becomes %s", n.E164(), n.Line().E164())
			}
		}
	}
}

func codeOf(n Number) int {
	code, _ := strconv.Atoi(n.digits[:n.countryCodeLen()])
	return code
}

func TestParseReadsOldSpellings(t *testing.T) {
	for _, row := range []struct{ input, region, want string }{
		{"+52 1 55 1234 5678", "", "+525512345678"},
		{"1 55 1234 5678", "MX", "+525512345678"},
		{"0052 1 55 1234 5678", "SE", "+525512345678"},
		{"11 2345 6789", "AR", "+5491123456789"},
		{"011 15 2345 6789", "AR", "+5491123456789"},
		{"+54 11 2345 6789", "", "+5491123456789"},
		{"+54 9 11 2345 6789", "", "+5491123456789"},
		{"(11) 8123-4567", "BR", "+5511981234567"},
		{"+55 11 8123 4567", "", "+5511981234567"},
		{"97 12 34 56", "BJ", "+2290197123456"},
		{"+229 97 12 34 56", "", "+2290197123456"},
		{"07 12 34 56", "CI", "+2250707123456"},
		{"+225 44 12 34 56", "", "+2250544123456"},
		{"0169 123 4567", "VN", "+84391234567"},
	} {
		if n, err := Parse(row.input, row.region); err != nil || n.E164() != row.want {
			t.Errorf("Parse(%q, %q) = %s, %v; want %s", row.input, row.region, n.E164(), err, row.want)
		}
	}
}
