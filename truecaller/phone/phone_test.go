// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

func TestParse(t *testing.T) {
	rows := []struct{ input, region, want string }{
		{"+46 70 174 06 05", "", "+46701740605"},
		{"+46701740605", "IN", "+46701740605"},
		{"0046 70-174 06 05", "", "+46701740605"},
		{"070-174 06 05", "SE", "+46701740605"},
		{"(070) 174.06.05", "se", "+46701740605"},
		{"+46 (0)70 174 06 05", "", "+46701740605"},
		{"tel:+46-70-174-06-05;phone-context=x", "", "+46701740605"},
		{"\u202a+46 70 174 06 05\u202c", "", "+46701740605"},
		{"+४६ ७० १७४ ०६ ०५", "", "+46701740605"}, // Devanagari
		{"+٤٦٧٠١٧٤٠٦٠٥", "", "+46701740605"},     // Arabic-Indic
		{"+۴۶۷۰۱۷۴۰۶۰۵", "", "+46701740605"},     // Extended Arabic-Indic
		{"+৪৬৭০১৭৪০৬০৫", "", "+46701740605"},     // Bengali
		{"＋４６　７０　１７４　０６　０５", "", "+46701740605"}, // full width
		{"+௪௬௭௦௧௭௪௦௬௦௫", "", "+46701740605"},     // Tamil
		{"+૪૬ ૭૦ ૧૭૪ ૦૬ ૦૫", "", "+46701740605"}, // Gujarati
		{"+੪੬ ੭੦ ੧੭੪ ੦੬ ੦੫", "", "+46701740605"}, // Gurmukhi
		{"+೪೬ ೭೦ ೧೭೪ ೦೬ ೦೫", "", "+46701740605"}, // Kannada
		{"+൪൬ ൭൦ ൧൭൪ ൦൬ ൦൫", "", "+46701740605"}, // Malayalam
		{"+౪౬ ౭౦ ౧౭౪ ౦౬ ౦౫", "", "+46701740605"}, // Telugu
		{"०७०१७४०६०५", "SE", "+46701740605"},
		{"०० ४६ ७० १७४ ०६ ०५", "IN", "+46701740605"},
		{"\ufeff\u2066 070\u00a0174\u200906\u202f05 \u2069", "SE", "+46701740605"},
		{"(+46) 70–174–06–05", "IN", "+46701740605"},
		{"0046 (0)70 174 06 05", "", "+46701740605"},
		{"46 70 174 06 05", "SE", "+46701740605"}, // the plus forgotten
		{"0011 46 70 174 06 05", "AU", "+46701740605"},
		{"011 46 70 174 06 05", "US", "+46701740605"},
		{"0046 70 174 06 05", "US", "+46701740605"},
		{"TEL:+46701740605", "", "+46701740605"},
		{"tel:%2B46701740605", "", "+46701740605"},
		{"tel:070-1740605;phone-context=+46", "IN", "+46701740605"}, // RFC 3966 section 5.1.5
		{"tel:070-1740605;phone-context=example.com", "SE", "+46701740605"},
		{"+44 (0)7911 123456", "", "+447911123456"},
		{"+91 99999 99999", "", "+919999999999"},
		{"099999 99999", "IN", "+919999999999"},
		{"99999 99999", "IN", "+919999999999"},
		{"+1 (201) 555-0123", "", "+12015550123"}, // fixed line or mobile: unknown
	}
	for _, row := range rows {
		t.Run(row.input+" "+row.region, func(t *testing.T) {
			got, err := Parse(row.input, row.region)
			if row.want == "" {
				if err == nil {
					t.Errorf("Parse(%q, %q) = %s, want an error", row.input, row.region, got.E164())
				}
				return
			}
			if err != nil || got.E164() != row.want {
				t.Errorf("Parse(%q, %q) = %s, %v; want %s", row.input, row.region, got.E164(), err, row.want)
			}
		})
	}
	for xx := range 100 {
		want := fmt.Sprintf("+467017406%02d", xx)
		if got, err := Parse(want, ""); err != nil || got.E164() != want {
			t.Errorf("the fictional number %s: %s, %v", want, got.E164(), err)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	rows := []struct {
		input, region string
		want          Kind
	}{
		{"", "SE", Empty},
		{"  \t", "SE", Empty},
		{"\u200e", "SE", Empty}, // nothing that shows
		{"anna@example.com", "SE", NotANumber},
		{"+", "SE", NotANumber},
		{"070 174 06 05 ext 4", "SE", NotANumber},
		{"+46 70 174 06 05, +46 70 174 06 06", "", NotANumber},
		{"070+1740605", "SE", NotANumber},
		{"070 174 06 05;ext=4", "SE", NotANumber},
		{"tel:+46701740605;ext=4", "SE", NotANumber},
		{"tel:", "SE", NotANumber},
		{"tel:%zz", "SE", NotANumber},
		{"070*1740605", "SE", NotANumber},
		{"#31#0701740605", "SE", NotANumber},
		{"٪٪٪", "SE", NotANumber},
		{"-", "SE", NotANumber},
		{"07O1740605", "SE", NotANumber}, // the letter
		{"\xff0701740605", "SE", NotANumber},
		{"91999 99 99999", "", NeedsRegion},
		{"0701740605", "", NeedsRegion},
		{"0701740605", "XX", NeedsRegion},
		{"070 17", "SE", TooShort},
		{"+46 70 12", "", TooShort},
		{"+46", "", TooShort},
		{"+4", "", TooShort},
		{"00", "SE", TooShort},
		{"112", "SE", TooShort},
		{"+46 70 174 06 05 1234", "", TooLong},
		{"+46701740605123456789", "", TooLong},
		{strings.Repeat("0", 300), "SE", TooLong},
		{strings.Repeat(" ", 250) + "0701740605", "SE", TooLong},
		{"++46701740605", "", NotANumber},
		{strings.Repeat("1", 31), "SE", TooLong},
		{"+999 123 456 789", "", BadCountry},
		{"00 999 123 456 789", "SE", BadCountry},
		{"+800 1234 5678", "", Landline}, // freephone
		{"+1 800 555 0123", "", Landline},
		{"+46 00 000 00 00", "", Invalid},
		{"+1 124 555 0123", "", Invalid}, // no area code begins with 1
		{"+1 624 155 0123", "", Invalid},
		{"+1 024 555 0123", "", Invalid},
	}
	for _, row := range rows {
		t.Run(fmt.Sprintf("%.40q %s", row.input, row.region), func(t *testing.T) {
			n, err := Parse(row.input, row.region)
			problem, ok := errors.AsType[*ParseError](err)
			if !ok || problem.Kind != row.want || !n.IsZero() {
				t.Errorf("Parse(%.40q, %q) = %v, %v; want %s", row.input, row.region, n, err, row.want)
			}
		})
	}
}

func TestFromDigits(t *testing.T) {
	for _, ok := range []string{"46701740605", "+46701740605", "1234567", "123456789012345"} {
		if n, err := FromDigits(ok); err != nil || n.Digits() != strings.TrimPrefix(ok, "+") {
			t.Errorf("FromDigits(%q) = %v, %v, want it accepted", ok, n.Digits(), err)
		}
	}
	for _, bad := range []string{"", "+", "123456", "1234567890123456", "0123456789", "46 701740605", "4.67e10", "46701740605.0", "-46701740605", "++46701740605", "४६७०१७४०६०५"} {
		if n, err := FromDigits(bad); err == nil {
			t.Errorf("FromDigits(%q) = %s, want an error", bad, n.E164())
		}
	}
}

func TestInvariant10_NumbersMaskThemselves(t *testing.T) {
	n, err := FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	const want = "+46•••••0605"
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "number", n, "nested", map[string]any{"n": fmt.Sprint(n)})
	shown := []string{n.String(), n.Masked(), fmt.Sprint(n), log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		shown = append(shown, fmt.Sprintf(verb, n), fmt.Sprintf(verb, struct{ N Number }{n}), fmt.Sprintf(verb, []Number{n}))
	}
	for _, s := range shown {
		if !strings.Contains(s, want) || strings.Contains(s, "01740605") {
			t.Errorf("the number is shown as %q, want %q", s, want)
		}
	}
	for number, want := range map[string]string{"46701740605": "+46•••••05", "2901234": "+290•••••4"} {
		if n, err := FromDigits(number); err != nil || n.Hint() != want {
			t.Errorf("got the hint %q, %v, want %q", n.Hint(), err, want)
		}
	}
	if hint := (Number{}).Hint(); hint != "" {
		t.Errorf("the zero Number has the hint %q, want an empty text", hint)
	}
	if Masked := (Number{}).Masked(); Masked != "" {
		t.Errorf("the zero Number is masked as %q, want an empty text", Masked)
	}
	for digits, want := range map[string]string{"12015550123": "+1•••••0123", "919999999999": "+91•••••9999", "35312345678": "+353•••••5678", "2901234": "+290•••••4", "1234567": "+1•••••567", "97312345": "+973•••••45", "9991234567": "+9•••••4567"} {
		n, err := FromDigits(digits)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Masked(); got != want {
			t.Errorf("%s masked as %s, want %s", digits, got, want)
		}
	}
}

func TestInternationalAndRegion(t *testing.T) {
	n, err := Parse("0701740605", "SE")
	if err != nil {
		t.Fatal(err)
	}
	if got := n.International(); got != "+46 70 174 06 05" {
		t.Errorf("International() = %q, want +46 70 174 06 05", got)
	}
	if got := n.Region(); got != "SE" {
		t.Errorf("Region() = %q, want SE", got)
	}
	if got := (Number{}).Region() + (Number{}).International() + (Number{}).E164(); got != "" || (Number{}).Int64() != 0 {
		t.Errorf("the zero Number is %q, want an empty text and 0", got)
	}
	for digits, want := range map[string]string{"15062345678": "CA", "12015550123": "US", "77012345678": "KZ", "882161234567": "", "9991234567": ""} {
		n, err := FromDigits(digits)
		if err != nil || n.Region() != want {
			t.Errorf("%s is in %q, %v; want %q", digits, n.Region(), err, want)
		}
	}
	if !IsRegion("SE") || IsRegion("se") || IsRegion("XX") || IsRegion("") || IsRegion("001") {
		t.Error("IsRegion() accepts something other than SE, or not SE")
	}
}

// Every country's own example is read in each of its forms, and as itself.
func TestEveryCountry(t *testing.T) {
	for i, c := range Countries() {
		if i%oneIn != 0 {
			continue
		}
		example := phonenumbers.GetExampleNumberForType(c.Region, phonenumbers.MOBILE)
		if example == nil {
			continue // a place without mobile numbers of its own
		}
		n, err := Parse(phonenumbers.Format(example, phonenumbers.E164), c.Region)
		if err != nil {
			t.Errorf("the example of %s: %v", c.Region, err)
			continue
		}
		if !strings.HasPrefix(n.Digits(), strconv.Itoa(c.Code)) {
			t.Errorf("the example of %s is %s, want one in +%d", c.Region, n.E164(), c.Code)
		}
		for _, form := range []string{n.E164(), n.International(), "00" + n.Digits(), "tel:" + n.E164()} {
			for _, region := range []string{"", "SE", "IN", "US", "AU"} {
				again, err := Parse(form, region)
				if doubt, ok := errors.AsType[*ParseError](err); ok && doubt.Kind == Confirm && strings.HasPrefix(form, "00") && region == "AU" {
					again, err = doubt.Number, nil // 0011 and 0016 are Australia's
				}
				if err != nil || again != n {
					t.Errorf("%s: %q in %q is %s, %v; want %s", c.Region, form, region, again.E164(), err, n.E164())
				}
			}
		}
		checkMask(t, n)
	}
}

// The table of decimal digits is made of runs of ten that begin with a zero.
func TestDigitsOfEveryScript(t *testing.T) {
	for _, script := range []rune{'0', '٠', '۰', '०', '০', '੦', '૦', '௦', '౦', '೦', '൦', '０', '𝟎', '𞥐'} {
		for value := range rune(10) {
			if got := digitValue(script + value); rune(got) != value {
				t.Errorf("%c is %d, want %d", script+value, got, value)
			}
		}
	}
	for _, in := range unicode.Nd.R16 {
		if in.Stride != 1 || (in.Hi-in.Lo+1)%10 != 0 {
			t.Errorf("the range %+v is not made of runs of ten digits", in)
		}
	}
	for _, in := range unicode.Nd.R32 {
		if in.Stride != 1 || (in.Hi-in.Lo+1)%10 != 0 {
			t.Errorf("the range %+v is not made of runs of ten digits", in)
		}
	}
}

// The pages choose their sentence by these strings.
func TestKinds(t *testing.T) {
	want := []Kind{"phone_empty", "phone_not_a_number", "phone_too_short", "phone_too_long", "phone_country", "phone_invalid", "phone_landline", "phone_needs_region", "phone_confirm"}
	if got := []Kind{Empty, NotANumber, TooShort, TooLong, BadCountry, Invalid, Landline, NeedsRegion, Confirm}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// checkMask: no more is shown than a country code and the last four digits, and
// at least three digits are not (invariant 10).
func checkMask(t *testing.T, n Number) {
	t.Helper()
	code, tail, ok := strings.Cut(strings.TrimPrefix(n.Masked(), "+"), hidden)
	if !ok || len(code) < 1 || len(code) > 3 || len(tail) > 4 || len(n.Digits())-len(code)-len(tail) < 3 ||
		!strings.HasPrefix(n.Digits(), code) || !strings.HasSuffix(n.Digits(), tail) {
		t.Fatalf("Masked() of %s = %s, want its country code and last digits alone", n.E164(), n.Masked())
	}
}

// What parses is an E.164 number that parses to itself; what does not parse
// gives nothing at all.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"+46 70 174 06 05", "070-174 06 05", "＋４６", "tel:+46701740605", "+४६ ७०", "(0)", "+1 (0)201", "anna@example.com", "٠٧٠", "tel:070-1740605;phone-context=+46", "+393123456789", "+5491123456789", "+12015550123", "+2250123456789", "+37060112345", "+7 912 345-67-89", "+8613123456789", "+390612345678"} {
		f.Add(seed, "SE")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, input, region string) {
		n, err := Parse(input, region)
		if err != nil {
			if !n.IsZero() {
				t.Fatalf("Parse() = %v, %v, want no number with an error", n, err)
			}
			return
		}
		if d := n.Digits(); len(d) < 7 || len(d) > 15 || d[0] == '0' || strings.IndexFunc(d, func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
			t.Fatalf("Parse() = %q, want 7 to 15 digits", d)
		}
		again, err := Parse(n.E164(), "")
		if err != nil || again != n {
			t.Fatalf("Parse(%s) = %s, %v, want the same number", n.E164(), again.E164(), err)
		}
		checkMask(t, n)
	})
}
