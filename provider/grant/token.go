// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
)

// CodeHash is the SHA-256 of an authorization code, by which it is stored. One
// hash is enough for 256 random bits.
type CodeHash [sha256.Size]byte

// TokenHash is the SHA-256 of an access token, by which it is stored.
type TokenHash [sha256.Size]byte

// The methods of package redact keep hashes out of logs (invariant 10).
func (CodeHash) String() string                 { return redact.Mark }
func (CodeHash) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (CodeHash) LogValue() slog.Value           { return redact.Value() }
func (CodeHash) MarshalText() ([]byte, error)   { return redact.Encode() }
func (CodeHash) MarshalBinary() ([]byte, error) { return redact.Encode() }

// The methods of package redact keep hashes out of logs (invariant 10).
func (TokenHash) String() string                 { return redact.Mark }
func (TokenHash) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (TokenHash) LogValue() slog.Value           { return redact.Value() }
func (TokenHash) MarshalText() ([]byte, error)   { return redact.Encode() }
func (TokenHash) MarshalBinary() ([]byte, error) { return redact.Encode() }

// HashCode returns the hash by which a code is stored.
func HashCode(code redact.Text) CodeHash { return sha256.Sum256([]byte(code)) }

// HashToken returns the hash by which an access token is stored.
func HashToken(token redact.Text) TokenHash { return sha256.Sum256([]byte(token)) }

// NewID returns an ID for a grant: 16 random bytes as 22 characters of base64url.
func NewID() string { return keys.RandomText(16) }

// NewCode returns a new code: 32 random bytes as 43 characters of base64url.
func NewCode() redact.Text { return redact.Text(keys.RandomText(32)) }

// LaterCode returns the code that a form gives when it is sent again and its first code,
// and all up to the n-th, can be redeemed no more: always the same one, which only who
// has the master key can compute. It is first itself if n is 0.
func LaterCode(mac MAC, first redact.Text, n uint32) redact.Text {
	if n == 0 {
		return first
	}
	sum := mac([]byte(first), binary.BigEndian.AppendUint32(nil, n))
	return redact.Text(base64.RawURLEncoding.EncodeToString(sum[:]))
}

// NewToken returns a new access token, 32 random bytes as 43 characters of
// base64url, and its hash.
func NewToken() (token redact.Text, hash TokenHash) {
	token = redact.Text(keys.RandomText(32))
	return token, HashToken(token)
}

// NewFront returns what an access token of the authorization endpoint is stored as. g says
// who may use it for what; its grant has another ID, which follows from the token, and no
// refresh token.
func (p Policy) NewFront(g Grant, token redact.Text, now time.Time) *Front {
	hash := HashToken(token)
	g.ID = base64.RawURLEncoding.EncodeToString(hash[:16])
	g.Offline = false
	issued := p.Issue(g, hash, now)
	return &Front{Grant: *issued.Grant, Access: *issued.Access}
}

// MAC authenticates the parts under the master key.
type MAC func(parts ...[]byte) [32]byte

// RefreshToken returns the refresh token of generation n of the grant: grant,
// generation and a MAC over both. Nothing that is stored can be used as one.
func RefreshToken(mac MAC, grantID string, n uint32) string {
	generation := binary.BigEndian.AppendUint32(nil, n)
	sum := mac([]byte(grantID), generation)
	encode := base64.RawURLEncoding.EncodeToString
	return grantID + "." + encode(generation) + "." + encode(sum[:])
}

// ParseRefreshToken undoes RefreshToken; ok is false for anything that we did
// not make.
func ParseRefreshToken(mac MAC, token string) (grantID string, n uint32, ok bool) {
	if len(token) > 256 {
		return "", 0, false
	}
	grantID, rest, _ := strings.Cut(token, ".")
	number, _, _ := strings.Cut(rest, ".")
	generation, err := base64.RawURLEncoding.DecodeString(number)
	if err != nil || len(generation) != 4 {
		return "", 0, false
	}
	n = binary.BigEndian.Uint32(generation)
	if subtle.ConstantTimeCompare([]byte(RefreshToken(mac, grantID, n)), []byte(token)) != 1 {
		return "", 0, false
	}
	return grantID, n, true
}
