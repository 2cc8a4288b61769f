// SPDX-License-Identifier: Apache-2.0

package signals

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"calleridp/provider/redact"
)

// The scopes of receivers (CAEP Interoperability Profile 1.0 §2.7.2).
const (
	ScopeManage = "ssf.manage" // everything of the client's own stream, also to read it
	ScopeRead   = "ssf.read"   // to read its configuration and status
)

// Scopes are all scopes of receivers.
var Scopes = []string{ScopeManage, ScopeRead}

// TokenLife is how long an access token of a receiver is valid.
const TokenLife = 10 * time.Minute

// Access is what an access token of a receiver permits.
type Access struct {
	ClientID string
	Scopes   []string
	Issued   time.Time
}

// MAC authenticates the parts under the master key.
type MAC func(parts ...[]byte) [32]byte

// prefix is what such a token begins with, by which it is told from others.
const prefix = "ssf_"

// NewToken returns an access token, authenticated and not stored.
func NewToken(mac MAC, a Access) redact.Text {
	scopes := byte(0)
	for i, s := range Scopes {
		if slices.Contains(a.Scopes, s) {
			scopes |= 1 << i
		}
	}
	body := append([]byte{scopes}, binary.BigEndian.AppendUint64(nil, uint64(a.Issued.UnixNano()))...)
	body = append(body, a.ClientID...)
	sum := mac(body)
	return redact.Text(prefix + base64.RawURLEncoding.EncodeToString(append(sum[:], body...)))
}

// IsToken reports whether a text may be an access token of a receiver.
func IsToken(token redact.Text) bool { return strings.HasPrefix(string(token), prefix) }

// ReadToken undoes NewToken; ok is false for anything that was not made here, and for what
// has expired. The client may be gone, or be no receiver any more.
func ReadToken(mac MAC, token redact.Text, now time.Time) (a Access, ok bool) {
	text, is := strings.CutPrefix(string(token), prefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !is || err != nil || len(raw) < 32+9 || len(raw) > 32+9+255 {
		return Access{}, false
	}
	body := raw[32:]
	sum := mac(body)
	if subtle.ConstantTimeCompare(sum[:], raw[:32]) != 1 {
		return Access{}, false
	}
	a = Access{ClientID: string(body[9:]), Issued: time.Unix(0, int64(binary.BigEndian.Uint64(body[1:9])))}
	for i, s := range Scopes {
		if body[0]&(1<<i) != 0 {
			a.Scopes = append(a.Scopes, s)
		}
	}
	// A clock that is slow takes a token of another server for one of the future, for a while.
	return a, now.Sub(a.Issued) < TokenLife && a.Issued.Sub(now) < TokenLife
}
