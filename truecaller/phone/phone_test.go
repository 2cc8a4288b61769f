package phone

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"
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
		{"०७०१७४०६०५", "SE", "+46701740605"},
		{"91999 99 99999", "", ""},
		{"+91 99999 99999", "", "+919999999999"},
		{"099999 99999", "IN", "+919999999999"},
		{"99999 99999", "IN", "+919999999999"},
		{"+1 (201) 555-0123", "", "+12015550123"}, // fixed line or mobile: nobody can tell
	}
	for _, row := range rows {
		got, err := Parse(row.input, row.region)
		if row.want == "" {
			if err == nil {
				t.Errorf("Parse(%q, %q) = %s, want an error", row.input, row.region, got.E164())
			}
			continue
		}
		if err != nil || got.E164() != row.want {
			t.Errorf("Parse(%q, %q) = %s, %v; want %s", row.input, row.region, got.E164(), err, row.want)
		}
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
		{"\u200e", "SE", NotANumber},
		{"anna@example.com", "SE", NotANumber},
		{"+", "SE", NotANumber},
		{"070 174 06 05 ext 4", "SE", NotANumber},
		{"+46 70 174 06 05, +46 70 174 06 06", "", NotANumber},
		{"070+1740605", "SE", NotANumber},
		{"0701740605", "", NeedsRegion},
		{"0701740605", "XX", NeedsRegion},
		{"070 17", "SE", TooShort},
		{"+46 70 12", "", TooShort},
		{"+46 70 174 06 05 1234", "", TooLong},
		{"+46701740605123456789", "", TooLong},
		{strings.Repeat("0", 300), "SE", TooLong},
		{"+999 123 456 789", "", BadCountry},
		{"+46 8 123 456 78", "", Landline},
		{"+91 11 2345 6789", "", Landline},
		{"+46 00 000 00 00", "", Invalid},
	}
	for _, row := range rows {
		n, err := Parse(row.input, row.region)
		problem := (*ParseError)(nil)
		if !errors.As(err, &problem) || problem.Kind != row.want || !n.IsZero() {
			t.Errorf("Parse(%.40q, %q) = %v, %v; want %s", row.input, row.region, n, err, row.want)
		}
	}
}

func TestFromDigits(t *testing.T) {
	for _, ok := range []string{"46701740605", "+46701740605", "1234567", "123456789012345"} {
		if n, err := FromDigits(ok); err != nil || n.Digits() != strings.TrimPrefix(ok, "+") {
			t.Errorf("%q: %v, %v", ok, n.Digits(), err)
		}
	}
	for _, bad := range []string{"", "+", "123456", "1234567890123456", "0123456789", "46 701740605", "4.67e10", "46701740605.0", "-46701740605", "++46701740605", "४६७०१७४०६०५"} {
		if n, err := FromDigits(bad); err == nil {
			t.Errorf("%q gave %s", bad, n.E164())
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
	for _, shown := range []string{n.String(), n.Masked(), fmt.Sprint(n), fmt.Sprintf("%v %s", n, n), log.String()} {
		if !strings.Contains(shown, want) || strings.Contains(shown, "701740605") {
			t.Errorf("shown as %q", shown)
		}
	}
	for digits, want := range map[string]string{"12015550123": "+1•••••0123", "919999999999": "+91•••••9999", "35312345678": "+353•••••5678", "2901234": "+290•••••4"} {
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
		t.Errorf("International = %q", got)
	}
	if got := n.Region(); got != "SE" {
		t.Errorf("Region = %q", got)
	}
	if !IsRegion("SE") || IsRegion("se") || IsRegion("XX") || IsRegion("") || IsRegion("001") {
		t.Error("IsRegion")
	}
}

// What parses is an E.164 number that parses to itself; what does not parse
// gives nothing at all.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"+46 70 174 06 05", "070-174 06 05", "＋４６", "tel:+46701740605", "+४६ ७०", "(0)", "+1 (0)201", "anna@example.com", "٠٧٠"} {
		f.Add(seed, "SE")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, input, region string) {
		n, err := Parse(input, region)
		if err != nil {
			if !n.IsZero() {
				t.Fatalf("an error and a number: %v", err)
			}
			return
		}
		if d := n.Digits(); len(d) < 7 || len(d) > 15 || d[0] == '0' || strings.IndexFunc(d, func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
			t.Fatalf("digits %q", d)
		}
		again, err := Parse(n.E164(), "")
		if err != nil || again != n {
			t.Fatalf("%s parses to %s, %v", n.E164(), again.E164(), err)
		}
		hidden := len(n.Digits()) - len(strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return r
			}
			return -1
		}, n.Masked()))
		if hidden < 3 {
			t.Fatalf("%s masked as %s", n.E164(), n.Masked())
		}
	})
}
