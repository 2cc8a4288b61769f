package phone

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/nyaruka/phonenumbers"
)

// hidden stands for the digits that are not shown: always as many, so that it
// does not tell how many there are.
const hidden = "•••••"

// Masked is the number as logs and pages may show it: country code, dots, and
// the last four digits, as in +46•••••4605. Of short numbers fewer are shown,
// so that at least three digits stay hidden. The zero Number gives "".
func (n Number) Masked() string {
	if n.IsZero() {
		return ""
	}
	code := n.countryCodeLen()
	tail := max(0, min(4, len(n.digits)-code-3))
	return "+" + n.digits[:code] + hidden + n.digits[len(n.digits)-tail:]
}

// countryCodeLen is how many digits are the country code: one to three, of
// which none begins another. Of a number in no country one digit is shown.
func (n Number) countryCodeLen() int {
	code := 0
	for size := 1; size <= 3; size++ {
		code = code*10 + int(n.digits[size-1]-'0')
		if region := phonenumbers.GetRegionCodeForCountryCode(code); region != "ZZ" && region != "" {
			return size
		}
	}
	return 1
}

// String is the masked form, so that a number that slips into a message stays
// private.
func (n Number) String() string { return n.Masked() }

// Format writes the masked form for every verb, also for those that would print
// the fields of a struct.
func (n Number) Format(f fmt.State, _ rune) { io.WriteString(f, n.Masked()) }

// LogValue is the masked form (invariant 10).
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
