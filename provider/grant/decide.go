package grant

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"
)

// Errors of the decisions. All of them are invalid_grant to a client (RFC 6749
// §5.2); the difference is for the log and the audit.
var (
	ErrReused   = errors.New("grant: used a second time")
	ErrRevoked  = errors.New("grant: revoked")
	ErrExpired  = errors.New("grant: expired")
	ErrMismatch = errors.New("grant: presented by another client, for another redirect URI, or without its proof")
	ErrScope    = errors.New("grant: more scope asked for than was granted") // invalid_scope
)

// Lives are how long things last.
type Lives struct {
	Code         time.Duration
	AccessToken  time.Duration
	RefreshIdle  time.Duration // a refresh token that is not used so long is dead
	RefreshMax   time.Duration // no refresh after this, counted from the sign-in
	RefreshGrace time.Duration // how long a used refresh token still gives its same successor
}

// NewID is the ID of a grant: 16 random bytes as 22 characters of base64url.
func NewID() string { return randomText(16) }

// NewToken is a fresh code or access token, 32 random bytes as 43 characters of
// base64url, and the hash by which it is kept.
func NewToken() (token string, hash [32]byte) {
	token = randomText(32)
	return token, Hash(token)
}

// Hash is how tokens are kept: SHA-256, which is enough for 256 random bits.
func Hash(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// Redeem decides the use of a code at the token endpoint, and what it buys
// (RFC 6749 §4.1.3, RFC 7636 §4.6). A second use revokes what the first gave
// (RFC 6749 §4.1.2); any other mistake leaves the code as it is. access is the
// token that is stored when the error is nil; the grant in the Redemption is
// the one that was bought.
func (l Lives) Redeem(c Code, stored *Grant, clientID, redirectURI, verifier string, access [32]byte, now time.Time) (Redemption, error) {
	switch {
	case c.Grant.ClientID != clientID:
		return Redemption{}, ErrMismatch
	case c.Redeemed:
		if stored == nil {
			return Redemption{}, ErrReused
		}
		return Revoke(*stored), ErrReused
	case !now.Before(c.Expires):
		return Redemption{}, ErrExpired
	case c.RedirectURI != redirectURI || !proves(c.Challenge, verifier):
		return Redemption{}, ErrMismatch
	}
	bought := l.Issue(c.Grant, access, now)
	c.Redeemed = true
	c.Grant.Expires = bought.Grant.Expires
	bought.Code = &c
	return bought, nil
}

// Issue gives a new grant its first access token, and its first refresh token
// where it has offline access.
func (l Lives) Issue(g Grant, access [32]byte, now time.Time) Redemption {
	token := AccessToken{Hash: access, GrantID: g.ID, Scopes: g.Scopes, Issued: now, Expires: now.Add(l.AccessToken)}
	g.Expires = token.Expires
	if g.Offline {
		g.Generation, g.Rotated = 1, now
		g.Expires = l.idleEnd(g, now)
	}
	return Redemption{Grant: &g, Access: &token}
}

// proves checks a PKCE verifier against an S256 challenge (RFC 7636 §4.6). A
// code without a challenge takes no verifier: one that comes anyway belongs to
// another request.
func proves(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	if !validVerifier(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// validVerifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
func validVerifier(v string) bool {
	return len(v) >= 43 && len(v) <= 128 && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// Refresh decides the use of a refresh token of generation n, and what it gives
// (RFC 6749 §6, RFC 9700 §4.14). scopes narrows the new access token, nil keeps
// what was granted. next is the generation of the refresh token to hand out.
//
// The current generation is rotated. The one before it, within the grace
// period, gives the same successor again: its answer may have been lost, or two
// processes of the client may have raced. Any older one, or that one later or
// too often, revokes the family.
func (l Lives) Refresh(g Grant, n uint32, clientID string, scopes []string, access [32]byte, now time.Time) (r Redemption, next uint32, err error) {
	switch {
	case g.ClientID != clientID || !g.Offline:
		return Redemption{}, 0, ErrMismatch
	case g.Revoked:
		return Redemption{}, 0, ErrRevoked
	case !now.Before(g.Expires):
		return Redemption{}, 0, ErrExpired
	case n == 0 || n > g.Generation:
		return Redemption{}, 0, ErrMismatch
	}
	repeated := n == g.Generation-1 && now.Sub(g.Rotated) < l.RefreshGrace && g.Repeats < maxRepeats
	if n < g.Generation && !repeated {
		return Revoke(g), 0, ErrReused
	}
	for _, scope := range scopes {
		if !slices.Contains(g.Scopes, scope) {
			return Redemption{}, 0, ErrScope
		}
	}
	if scopes == nil {
		scopes = g.Scopes
	}
	if repeated {
		g.Repeats++
	} else {
		g.Generation, g.Rotated, g.Repeats = n+1, now, 0
		g.Expires = l.idleEnd(g, now)
	}
	token := AccessToken{Hash: access, GrantID: g.ID, Scopes: scopes, Issued: now, Expires: now.Add(l.AccessToken)}
	if g.Expires.Before(token.Expires) {
		token.Expires = g.Expires
	}
	return Redemption{Grant: &g, Access: &token}, g.Generation, nil
}

// maxRepeats bounds the grace in number, as RefreshGrace does in time.
const maxRepeats = 10

// Refreshable says whether the refresh token of generation n would be answered
// now (RFC 7662 §2.2, active).
func (l Lives) Refreshable(g Grant, n uint32, now time.Time) bool {
	_, _, err := l.Refresh(g, n, g.ClientID, nil, [32]byte{}, now)
	return err == nil
}

// Revoke ends the grant and everything that came of it.
func Revoke(g Grant) Redemption {
	if g.Revoked {
		return Redemption{}
	}
	g.Revoked = true
	return Redemption{Grant: &g}
}

// idleEnd is when a grant with refresh tokens dies unless it is used again.
func (l Lives) idleEnd(g Grant, now time.Time) time.Time {
	end := now.Add(l.RefreshIdle)
	if last := g.Created.Add(l.RefreshMax); last.Before(end) {
		end = last
	}
	return end
}

// MAC authenticates the parts under the master key.
type MAC func(parts ...[]byte) [32]byte

// RefreshToken is the refresh token of generation n of the grant: grant,
// generation and a MAC over both. Nothing at rest can be used as one.
func RefreshToken(mac MAC, grantID string, n uint32) string {
	generation := binary.BigEndian.AppendUint32(nil, n)
	sum := mac([]byte(grantID), generation)
	return grantID + "." + base64.RawURLEncoding.EncodeToString(generation) + "." + base64.RawURLEncoding.EncodeToString(sum[:])
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

func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// IsChallenge says whether s has the form of an S256 code_challenge: a SHA-256
// in base64url (RFC 7636 §4.2).
func IsChallenge(s string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(sum) == sha256.Size
}
