// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

const readingsFile = "../../test/browser/testdata/readings.json"

// outcome says what becomes of a number that is typed in another form: it is read as
// itself, the user is asked for it or for the other reading, or it is none. A
// stranger's number is a failure.
func outcome(t *testing.T, typed, region string, want Number) string {
	t.Helper()
	n, err := Parse(typed, region)
	problem, _ := errors.AsType[*ParseError](err)
	switch {
	case err == nil && n == want:
		return "="
	case err == nil:
		t.Errorf("%q in %q is read as %s, a stranger; want %s", typed, region, n.E164(), want.E164())
		return "x"
	case problem.Kind == Confirm && problem.Number == want:
		return "?"
	case problem.Kind == Confirm:
		return "!"
	}
	return "-"
}

// exitsOf are prefixes that are dialled in a region before a country code.
func exitsOf(t *testing.T, r *rand.Rand, m *phonenumbers.PhoneMetadata) []string {
	t.Helper()
	prefix := strings.ReplaceAll(m.GetPreferredInternationalPrefix(), "~", "")
	if m.GetInternationalPrefix() == "" {
		t.Fatalf("%s dials nothing before a country code", m.GetId())
	}
	all := newAutomaton(t, m.GetInternationalPrefix())
	exits := []string{prefix}
	for range 4 {
		exits = append(exits, all.random(r))
	}
	slices.Sort(exits)
	exits = slices.Compact(exits)
	return slices.DeleteFunc(exits, func(exit string) bool { return exit == "" || exit == "00" })
}

// A number with 00, or with what the region dials, is read as itself or asked about, in
// every region and for every country's numbers, and so does the script of the page
// (test/browser/readings.test.mjs).
func TestThreat_AnExitCodeNeverLeadsToAStranger_Groups(t *testing.T) {
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	var numbers []Number
	var shown []string
	var random []Number
	for _, p := range allPlans(t) {
		r := rand.New(rand.NewPCG(5, uint64(p.code)))
		for _, region := range p.regions[:1] {
			example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
			n, err := Parse(phonenumbers.Format(example, phonenumbers.E164), "")
			if err != nil {
				t.Fatal(region, err)
			}
			numbers, shown = append(numbers, n), append(shown, n.International())
		}
		for range 4 {
			if n, err := Parse("+"+strconv.Itoa(p.code)+p.mobile.random(r), ""); err == nil {
				random = append(random, n)
			}
		}
	}

	// What regions have in common is written once.
	type row struct {
		Exit, Outcomes string
		Regions        []string
	}
	var rows []row
	asked := 0
	add := func(exit, region string) {
		var b strings.Builder
		for _, n := range numbers {
			got := outcome(t, exit+n.Digits(), region, n)
			if got == "-" || exit == "00" && got == "!" {
				t.Errorf("%s in %s: %s, want the number or a question about it", exit+n.Digits(), region, got)
			}
			b.WriteString(got)
		}
		asked += len(numbers) - strings.Count(b.String(), "=")
		same := func(r row) bool { return r.Exit == exit && r.Outcomes == b.String() }
		if i := slices.IndexFunc(rows, same); i >= 0 {
			rows[i].Regions = append(rows[i].Regions, region)
			return
		}
		rows = append(rows, row{exit, b.String(), []string{region}})
	}
	seen := map[string]bool{}
	for i, m := range metadata.GetMetadata() {
		if i%oneIn != 0 || !IsRegion(m.GetId()) {
			continue
		}
		add("00", m.GetId())
		if seen[m.GetInternationalPrefix()] {
			continue
		}
		seen[m.GetInternationalPrefix()] = true
		for _, exit := range exitsOf(t, rand.New(rand.NewPCG(6, 6)), m) {
			add(exit, m.GetId())
		}
		for _, n := range random {
			if got := outcome(t, "00"+n.Digits(), m.GetId(), n); got != "=" && got != "?" {
				t.Errorf("00%s in %s: %s, want the number or a question about it", n.Digits(), m.GetId(), got)
			}
		}
	}
	if asked == 0 {
		t.Error("no question was asked, want one where there are two readings")
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Regions[0]+a.Exit, b.Regions[0]+b.Exit) })
	text, err := json.MarshalIndent(map[string]any{"numbers": shown, "rows": rows, "old": oldSpellings(t)}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if oneIn == 1 {
		generated(t, readingsFile, string(text)+"\n")
	}
}

// oldSpellings are old spellings and what today's look like.
func oldSpellings(t *testing.T) [][2]string {
	t.Helper()
	var all [][2]string
	for _, code := range []string{"52", "54", "55", "229", "225", "84"} {
		for head := 0; head < 100_000; head += 331 {
			n := Number{code + strconv.Itoa(head) + "234567890"[:9-len(strconv.Itoa(head))%2]}
			for _, end := range []int{10, 11, 12, 13} {
				cut := Number{n.digits[:min(end, len(n.digits))]}
				if cut.Line() == cut {
					continue
				}
				if read, err := Parse(cut.E164(), ""); err == nil {
					all = append(all, [2]string{cut.E164(), read.International()})
				}
			}
		}
	}
	if len(all) < 100 {
		t.Fatalf("%d old spellings, want some of each country", len(all))
	}
	return all
}

func TestParseAsksWhereThereAreTwoReadings(t *testing.T) {
	for _, row := range []struct{ input, region, want string }{
		{"0055 51 98401-0101", "BR", "+5551984010101"}, // or carrier 55, and Peru
		{"+0055 51 98401-0101", "BR", "+5551984010101"},
		{"0055 51 98401-0101", "SE", ""},
		{"0055 51 98401-0101", "", ""},
		{"0021 55 51 98401-0101", "BR", ""}, // carrier 21
		{"0082 10 2000 0000", "KR", ""},
		{"0046 70 174 06 05", "BR", ""},
	} {
		n, err := Parse(row.input, row.region)
		doubt, _ := errors.AsType[*ParseError](err)
		if row.want == "" && err != nil || row.want != "" && (doubt == nil || doubt.Kind != Confirm || doubt.Number.E164() != row.want) {
			t.Errorf("Parse(%q, %q) = %s, %v; want a question about %q", row.input, row.region, n.E164(), err, row.want)
		}
	}
}

func TestParseAsksWhetherThePlusWasForgotten(t *testing.T) {
	for _, row := range []struct{ input, region, want string }{
		{"491755762074", "DE", "+491755762074"}, // Leer's 0491 has such landlines
		{"46 70 174 06 05", "DE", "+46701740605"},
		{"919999999999", "SE", "+919999999999"},
		{"5551984010101", "PT", "+5551984010101"},
		{"46 70 174 06 05", "SE", ""}, // no other reading
		{"99999 99999", "IN", ""},     // national numbers
		{"201 555 0123", "US", ""},
		{"1 201 555 0123", "US", ""},
		{"8 10 46 70 174 06 05", "RU", ""},
	} {
		n, err := Parse(row.input, row.region)
		doubt, _ := errors.AsType[*ParseError](err)
		if row.want == "" && err != nil || row.want != "" && (doubt == nil || doubt.Kind != Confirm || doubt.Number.E164() != row.want) {
			t.Errorf("Parse(%q, %q) = %s, %v; want a question about %q", row.input, row.region, n.E164(), err, row.want)
		}
	}
	for _, row := range []struct {
		input, region string
		want          Kind
	}{
		{"46 70 174 06 05", "", NeedsRegion}, // and then it is asked about
		{"49 17", "SE", TooShort},
		{"0 49 175 5762074", "SE", Invalid},
		{"46 8 123 456 78", "NO", TooLong},
	} {
		_, err := Parse(row.input, row.region)
		if problem, ok := errors.AsType[*ParseError](err); !ok || problem.Kind != row.want {
			t.Errorf("Parse(%q, %q): %v, want %s", row.input, row.region, err, row.want)
		}
	}
}

// Numbers of plans that are newer than the library's, and landlines, may be tried, and
// only the user knows whether they are meant.
func TestParseAsksAboutNumbersThatMayExist(t *testing.T) {
	for _, row := range []struct {
		input, region, want string
		several             bool
	}{
		{"+1 624 555 0123", "", "+16245550123", false},
		{"+1 436 555 0123", "", "+14365550123", false},
		{"624 555 0123", "US", "+16245550123", false},
		{"1 (436) 555-0123", "US", "+14365550123", false},
		{"+46 8 123 456 78", "", "+46812345678", false},
		{"08-123 456 78", "SE", "+46812345678", false},
		{"+91 11 2345 6789", "", "+911123456789", false},
	} {
		n, err := Parse(row.input, row.region)
		doubt, _ := errors.AsType[*ParseError](err)
		if doubt == nil || doubt.Kind != Confirm || doubt.Number.E164() != row.want || doubt.Several != row.several {
			t.Errorf("Parse(%q, %q) = %s, %v, %+v; want a question about %q", row.input, row.region, n.E164(), err, doubt, row.want)
		}
	}
}

// A number is somebody's if a plan has it or may have it.
func TestMayExist(t *testing.T) {
	for digits, want := range map[string]bool{
		"46701740605": true, "919999999999": true, "12015550123": true, "46812345678": true,
		"16245550123": true, "14365550123": true, "5215512345678": true, "525512345678": true, "541123456789": true,
		"1234567": false, "999999999999999": false, "9999999999": false, "701740605": false,
		"460701740605": false, "467017406050": false, "18005550123": false, "80012345678": false,
		"16241550123": false, "11245550123": false, "2345678": false, "7017406050": false,
	} {
		if got := number(t, digits).MayExist(); got != want {
			t.Errorf("%s may exist: %v, want %v", digits, got, want)
		}
	}
}

// A number without its plus is the region's own one, or itself, and then the user knows.
func TestThreat_AForgottenPlusNeverLeadsToAnotherCountry(t *testing.T) {
	asked := 0
	main := slices.DeleteFunc(Countries(), func(c Country) bool {
		return phonenumbers.GetRegionCodeForCountryCode(c.Code) != c.Region
	})
	for i, home := range main {
		if i%oneIn != 0 {
			continue
		}
		for _, c := range main {
			example := phonenumbers.GetExampleNumberForType(c.Region, phonenumbers.MOBILE)
			if example == nil {
				continue
			}
			digits := strings.TrimPrefix(phonenumbers.Format(example, phonenumbers.E164), "+")
			n, err := Parse(digits, home.Region)
			doubt, _ := errors.AsType[*ParseError](err)
			switch code := strconv.Itoa(home.Code); {
			case err == nil && n.Digits() != digits && !strings.HasPrefix(n.Digits(), code):
				t.Errorf("%s in %s is read as %s, without a question", digits, home.Region, n.E164())
			case err == nil && n.Digits() == digits && home.Code != c.Code:
				t.Errorf("%s in %s is read as international, without a question", digits, home.Region)
			case err != nil && doubt.Kind == Confirm && doubt.Number.Digits() == digits:
				asked++
			}
		}
	}
	if asked < 20_000/oneIn {
		t.Errorf("%d questions, want them for most pairs of countries", asked)
	}
}
