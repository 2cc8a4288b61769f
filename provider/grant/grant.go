// SPDX-License-Identifier: Apache-2.0

// Package grant owns what one sign-in gave one client: the authorization code,
// the access tokens and the refresh family. Its decisions are pure functions
// that stores run inside one transaction, so that a code or a refresh token is
// consumed once (invariant 9).
package grant

import (
	"context"
	"errors"
	"time"
)

// Grant is the authorization that a code, and every token that comes of it,
// stands for. Revoking it revokes them all.
type Grant struct {
	ID       string // 22 characters of base64url
	ClientID string
	Sub      string // the user's own sub, also for pairwise clients
	SID      string // the browser session it came from
	Scopes   []string
	Nonce    string // echoed in every ID token of the code exchange
	AuthTime time.Time
	ACR      string
	AMR      []string
	Created  time.Time
	Expires  time.Time // when the record may be swept: no token of it lives longer
	Revoked  bool

	// Offline says that offline_access was granted: refresh tokens exist, and
	// they outlive the session.
	Offline bool

	// IDTokenClaims and UserinfoClaims are the claims that were requested by name (OpenID
	// Connect Core §5.5), beside those of the scopes.
	IDTokenClaims  []string
	UserinfoClaims []string

	// Generation is the number of the current refresh token of the family; 0
	// when none was issued. Rotated is when that one was issued. Repeats counts
	// how often the one before it has been presented again since.
	Generation uint32
	Rotated    time.Time
	Repeats    uint8
}

// Code is an authorization code (RFC 6749 §4.1.2), kept by the SHA-256 of its
// value, with what its redemption must present and the grant that it buys.
type Code struct {
	Hash        CodeHash
	RedirectURI string
	Challenge   string // PKCE S256 code_challenge; "" only for clients excused from PKCE
	Grant       Grant
	Expires     time.Time
	// Redeemed codes are kept as tombstones, so that a second use is recognised. One that
	// is created redeemed was never sent: it stands for a response without a code, which
	// is given once too.
	Redeemed bool
	// Denied says that the user has denied what a device asked for, see DeniedCode.
	Denied bool

	// FormExpires is when no form can ask for this code again (see LaterCode); zero for
	// a code that no form gives twice. Until then a code that has expired or was voided
	// is kept as well: without its tombstone, the form would make it again.
	FormExpires time.Time

	// Front is the access token that the authorization response gives at once, beside
	// the code or without one; nil for none. The transaction that creates the code stores
	// it, under keys of its own: a code that is read has none.
	Front *Front
}

// Front is an access token of the authorization endpoint, with a grant of its own: a
// second use of the code revokes what came of the code.
type Front struct {
	Grant  Grant
	Access AccessToken
}

// Redemption returns what a store keeps of f, nothing if f is nil.
func (f *Front) Redemption() Redemption {
	if f == nil {
		return Redemption{}
	}
	return Redemption{Grant: &f.Grant, Access: &f.Access}
}

// Kept returns until when a store finds a code: until it expires, while a form may ask
// for it, and, if it was redeemed, as long as anything that it gave. So its second use
// is recognised for as long as there is something to revoke (RFC 6749 §4.1.2).
func (c Code) Kept() time.Time {
	kept := c.Expires
	if c.FormExpires.After(kept) {
		kept = c.FormExpires
	}
	if c.Redeemed && c.Grant.Expires.After(kept) {
		kept = c.Grant.Expires
	}
	return kept
}

// Voided returns what a store keeps of a code that was not redeemed before its session
// or its consent ended: a code that has expired. keep is false if no form can ask for
// it; the store deletes it then.
func (c Code) Voided() (voided Code, keep bool) {
	c.Expires = time.Time{}
	return c, !c.FormExpires.IsZero()
}

// AccessToken is an opaque bearer token (RFC 6750), kept by its SHA-256.
type AccessToken struct {
	Hash    TokenHash
	GrantID string
	Scopes  []string
	Issued  time.Time
	Expires time.Time
}

// Redemption is everything about one use of a code or a refresh token: what to
// store, and what the caller needs to know. The zero value stores nothing.
type Redemption struct {
	// Code, if set, replaces the stored code.
	Code *Code
	// Grant, if set, is stored, new or replaced.
	Grant *Grant
	// Access, if set, is stored.
	Access *AccessToken

	// Current is the grant that the use is about, as it is afterwards; also of a
	// use that is refused. It is not stored.
	Current Grant
	// Refused is why the use gives nothing; nil if it is accepted. It is not
	// stored, and does not keep the rest from being stored: a second use of a code
	// is refused, and its grant is revoked.
	Refused error
}

// ErrNotFound is returned by stores for a thing that is not there or has
// expired.
var ErrNotFound = errors.New("grant: not found")

// ErrExists is returned by stores for a code that is there already.
var ErrExists = errors.New("grant: there is such a code already")

// ErrChanged is returned by stores for a use that was decided by what RecallCode has
// returned, and that is not so any more. Nothing was stored.
var ErrChanged = errors.New("grant: what was recalled has changed")

// Store keeps codes, grants and access tokens. Everything written is durable
// when the method returns nil.
//
// A use function decides inside the transaction. A store may run it more than
// once, when the transaction has to be repeated, and returns the Redemption of
// the run that was committed. The function must be pure: it depends on its
// arguments and on values that were fixed before, such as the time, and changes
// nothing.
type Store interface {
	// CreateCode keeps a new code, and its Code.Front. In the same transaction it notes that the
	// grant's session was used, and the user's consent to the client, if there
	// is one (session.Session and consent.Consent, LastUsed). ErrExists when
	// there is a code with this hash, used, expired or not; session.ErrNotFound when the
	// grant names a session that has ended, and subject.ErrNotFound when its user
	// was deleted: then nothing is written. (The code of a sign-in is created by the
	// transaction that finishes its attempt, see login.Store, and one that needs
	// consent by consent.Store.)
	CreateCode(ctx context.Context, c Code) error

	// Code finds a code by its hash, with its stored grant, as UseCode does: until
	// Code.Kept, so also one that has expired. It only reads.
	Code(ctx context.Context, hash CodeHash) (Code, *Grant, error)

	// RecallCode is Code, perhaps out of date: as this server has last seen the code and,
	// for the rest of the request that ctx is of, the code's user (subject.Store.Person).
	// It is for what UseCode decides again. UseCode in the same request then fails with
	// ErrChanged if one of them has changed: the caller reads both (Code) and starts again.
	RecallCode(ctx context.Context, hash CodeHash) (Code, *Grant, error)

	// UseCode finds the code by its hash until Code.Kept, also one that was redeemed or
	// has expired, and stores what use returns in the same transaction. g is the code's
	// stored grant, nil until the code has been redeemed. ErrNotFound: no such code.
	UseCode(ctx context.Context, hash CodeHash, use func(c Code, g *Grant) Redemption) (Redemption, error)

	// UseGrant is the same for a grant, for refreshing and revoking.
	UseGrant(ctx context.Context, id string, use func(g Grant) Redemption) (Redemption, error)

	// AccessToken finds a token that has not expired, with its grant, which may
	// be revoked.
	AccessToken(ctx context.Context, hash TokenHash) (AccessToken, Grant, error)

	// Grant finds a grant, which may be revoked.
	Grant(ctx context.Context, id string) (Grant, error)

	// DropAccessToken deletes one access token. Dropping an absent one is no
	// error.
	DropAccessToken(ctx context.Context, hash TokenHash) error
}
