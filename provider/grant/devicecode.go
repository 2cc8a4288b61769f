// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"calleridp/keys"
	"calleridp/provider/clock"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
)

// DeviceRequest is what a device waits for that has no browser (RFC 8628 §3.1). It never
// changes. What becomes of it is a Code, whose hash is that of the device code: the first
// to create that code decides, whether by allowing (a code that the device redeems) or by
// denying (DeniedCode). So the request is answered once, and what ends codes (a sign-out,
// a consent that is taken back, a deleted user) ends it, too.
type DeviceRequest struct {
	User     UserCodeHash // by which it is found
	Code     CodeHash     // HashDeviceCode
	ClientID string
	Scopes   []string
	Network  string // from which the device asked, see limit.NetworkOf
	Created  time.Time
	Expires  time.Time // the device code and the user code (expires_in)
}

// expiredKept is how long a request stays after its end, so that a device reads
// expired_token and not invalid_grant (RFC 8628 §3.5).
const expiredKept = 10 * time.Minute

// Kept returns until when a store finds the request.
func (d DeviceRequest) Kept() time.Time { return d.Expires.Add(expiredKept) }

// Live reports whether the request waits for its user still. One that was made ahead of
// the clock would wait for too long, and counts as expired.
func (d DeviceRequest) Live(now time.Time) bool {
	return now.Before(d.Expires) && !clock.Ahead(d.Created, now)
}

// DeviceStore keeps the requests of devices.
type DeviceStore interface {
	// CreateDeviceRequest keeps a request until d.Kept, and takes what it costs in the same
	// transaction. ErrExists: its user code is taken; a *limit.Exceeded: it costs too much.
	// Then no request is stored. It is durable when the method returns nil.
	CreateDeviceRequest(ctx context.Context, d DeviceRequest, spend limit.Spend, now time.Time) error
	// DeviceRequest finds a request by its user code until d.Kept, also one that has expired
	// or is answered, or returns ErrNotFound. It only reads.
	DeviceRequest(ctx context.Context, user UserCodeHash) (DeviceRequest, error)
}

// OfDevice reports whether the code is the answer to a device's request, and not one that
// a redirect URI brings.
func (c Code) OfDevice() bool { return c.RedirectURI == "" }

// DeniedCode returns the code of a request that its user denied. It has no user and no
// session, and gives nothing.
func DeniedCode(hash CodeHash, clientID string, now, expires time.Time) Code {
	return Code{
		Hash:    hash,
		Expires: expires,
		Denied:  true,
		Grant:   Grant{ID: NewID(), ClientID: clientID, Created: now, Expires: expires},
	}
}

// UserCodeHash is the MAC of a user code, by which the request of a device is stored. A
// plain hash of so few letters could be undone.
type UserCodeHash [sha256.Size]byte

// The methods of package redact keep hashes out of logs (invariant 10).
func (UserCodeHash) String() string                 { return redact.Mark }
func (UserCodeHash) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (UserCodeHash) LogValue() slog.Value           { return redact.Value() }
func (UserCodeHash) MarshalText() ([]byte, error)   { return redact.Encode() }
func (UserCodeHash) MarshalBinary() ([]byte, error) { return redact.Encode() }

// HashUserCode returns the hash of a user code in the form that ParseUserCode returns.
func HashUserCode(mac MAC, code string) UserCodeHash { return mac([]byte(code)) }

// HashDeviceCode returns the hash by which the answer to a device code is stored. It is no
// HashCode: a device code is never redeemed as an authorization code.
func HashDeviceCode(mac MAC, code redact.Text) CodeHash { return mac([]byte(code)) }

// NewDeviceCode returns a device code for the request with this user code: where it is
// found, and 32 random bytes.
func NewDeviceCode(user UserCodeHash) redact.Text {
	return redact.Text(base64.RawURLEncoding.EncodeToString(user[:]) + "." + keys.RandomText(32))
}

// ParseDeviceCode returns where the request of a device code is found. Whether it is the
// code of that request, only DeviceRequest.Code says.
func ParseDeviceCode(code redact.Text) (user UserCodeHash, ok bool) {
	where, secret, _ := strings.Cut(string(code), ".")
	if len(code) > 128 || secret == "" {
		return UserCodeHash{}, false
	}
	hash, err := base64.RawURLEncoding.Strict().DecodeString(where)
	if err != nil || len(hash) != len(user) {
		return UserCodeHash{}, false
	}
	return UserCodeHash(hash), true
}

// User codes have the letters of RFC 8628 §6.1: no vowels, so that they spell nothing, and
// no digits. Nine of them, 20^9 = 5.1e11 codes: see DESIGN.md#device-flow-nine-letters.
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 9
	userCodeGroup   = 3
	maxTypedCode    = 100 // bytes of what a user may type
)

// NewUserCode returns a random user code, as ParseUserCode does.
func NewUserCode() string {
	code := make([]byte, 0, userCodeLength)
	var b [1]byte
	for len(code) < userCodeLength {
		rand.Read(b[:])
		if n := int(b[0]); n < 256-256%len(userCodeLetters) { // each letter as likely as any other
			code = append(code, userCodeLetters[n%len(userCodeLetters)])
		}
	}
	return string(code)
}

// FormatUserCode returns a user code as users read it: groups with dashes between them.
func FormatUserCode(code string) string {
	var b strings.Builder
	for i, letter := range code {
		if i > 0 && i%userCodeGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(letter)
	}
	return b.String()
}

// ParseUserCode reads what a user typed: in capitals or not, with any dashes, spaces and
// marks of direction, and with characters that look like a letter of a user code.
func ParseUserCode(typed string) (code string, ok bool) {
	if len(typed) > maxTypedCode {
		return "", false
	}
	letters := make([]byte, 0, userCodeLength)
	for _, r := range typed {
		if '！' <= r && r <= '～' { // full width
			r -= '！' - '!'
		}
		r = unicode.ToUpper(r)
		switch {
		case unicode.IsSpace(r) || unicode.In(r, unicode.Dash, unicode.Cf) || r == '_' || r == '.':
			continue
		case lookalikes[r] != 0:
			r = rune(lookalikes[r])
		}
		if r > unicode.MaxASCII || strings.IndexByte(userCodeLetters, byte(r)) < 0 || len(letters) == userCodeLength {
			return "", false
		}
		letters = append(letters, byte(r))
	}
	return string(letters), len(letters) == userCodeLength
}

// lookalikes are capitals and digits that look like one letter of a user code, and like no
// other: of Latin, Cyrillic and Greek keyboards. O and 0 look like D and like Q.
var lookalikes = map[rune]byte{
	'1': 'L', 'I': 'L', '2': 'Z', '5': 'S', '6': 'G', '8': 'B', 'U': 'V',
	'В': 'B', 'С': 'C', 'Н': 'H', 'Ј': 'J', 'К': 'K', 'М': 'M', 'Р': 'P', 'Ѕ': 'S', 'Т': 'T', 'Х': 'X',
	'Β': 'B', 'Η': 'H', 'Κ': 'K', 'Μ': 'M', 'Ν': 'N', 'Ρ': 'P', 'Τ': 'T', 'Χ': 'X', 'Ζ': 'Z',
}
