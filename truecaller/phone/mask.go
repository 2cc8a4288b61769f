// SPDX-License-Identifier: Apache-2.0

package phone

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// hidden replaces the hidden digits. Its length is constant, so that it does not reveal
// their number.
const hidden = "•••••"

// Masked returns the number for logs and pages: country code, dots, and the last four
// digits, as in +46•••••4605. Short numbers show fewer, so that at least three digits
// stay hidden. The zero Number returns "".
func (n Number) Masked() string {
	if n.IsZero() {
		return ""
	}
	code := n.countryCodeLen()
	tail := max(0, min(4, len(n.digits)-code-3))
	return "+" + n.digits[:code] + hidden + n.digits[len(n.digits)-tail:]
}

// Hint returns the number for a browser whose user may be another one by now: as Masked,
// with two digits at most.
func (n Number) Hint() string {
	masked := n.Masked()
	code, tail, _ := strings.Cut(masked, hidden)
	if n.IsZero() {
		return ""
	}
	return code + hidden + tail[max(0, len(tail)-2):]
}

// countryCodeLen returns the length of the country code, one to three digits; no code
// begins with another. It returns 1 for a number in no country.
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

// String returns the masked form, so that a number in a message stays private.
func (n Number) String() string { return n.Masked() }

// Format writes the masked form for every verb, including those that print the fields of
// a struct.
func (n Number) Format(f fmt.State, _ rune) { io.WriteString(f, n.Masked()) }

// LogValue returns the masked form (invariant 10).
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }
