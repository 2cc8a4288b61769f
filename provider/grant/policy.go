// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"errors"
	"slices"
	"time"

	"calleridp/provider/clock"
	"calleridp/provider/redact"
)

// Why a use is refused. All of them are invalid_grant to a client (RFC 6749 §5.2)
// except ErrScope and ErrCrowded; the difference is for the log and the audit.
var (
	ErrReused   = errors.New("grant: used a second time")
	ErrRevoked  = errors.New("grant: revoked")
	ErrExpired  = errors.New("grant: expired")
	ErrMismatch = errors.New("grant: presented by another client, for another redirect URI, or without its proof")
	ErrScope    = errors.New("grant: more scope asked for than was granted") // invalid_scope
	// ErrLost refuses a refresh token that is newer than its grant, as after a restore of an
	// older store. It revokes the grant, and is no sign of a theft.
	ErrLost = errors.New("grant: what is stored is older than the refresh token")
	// ErrCrowded refuses a use within the grace period and revokes nothing.
	ErrDenied  = errors.New("grant: the user has denied it") // access_denied (RFC 8628 §3.5)
	ErrCrowded = errors.New("grant: the refresh token before the current one was used too often")
)

// Policy says how long codes and tokens are good, and decides their use.
type Policy struct {
	AccessToken  time.Duration
	RefreshIdle  time.Duration // a refresh token that is not used so long expires
	RefreshMax   time.Duration // no refresh after this, counted from the sign-in
	RefreshGrace time.Duration // how long a used refresh token still gives its same successor
}

// CodeUse is what a client presents with a code at the token endpoint.
type CodeUse struct {
	ClientID    string
	RedirectURI string
	Verifier    redact.Text // PKCE code_verifier; "" for none
	Access      TokenHash   // of the access token to store if the use is accepted
	At          time.Time
}

// Redeem decides the use of a code at the token endpoint, and what it gives
// (RFC 6749 §4.1.3, RFC 7636 §4.6). A second use revokes what the first gave,
// whichever client makes it, because the code has leaked (RFC 6749
// §4.1.2). Any other mistake leaves the code as it is. stored is the code's stored
// grant, nil if it has none.
//
// All codes of one form have the same grant. Where the clocks of two servers have let two
// of them live at once, the second one is a second use. A code that expired unused, and
// whose form then gave another one, revokes nothing: a reload of an old callback is no
// theft.
func (p Policy) Redeem(c Code, stored *Grant, use CodeUse) Redemption {
	refuse := func(why error) Redemption { return Redemption{Current: c.Grant, Refused: why} }
	switch {
	case c.Denied:
		return refuse(ErrDenied)
	case c.Redeemed && stored == nil:
		return refuse(ErrReused)
	case c.Redeemed, stored != nil && use.At.Before(c.Expires.Add(clock.Tolerance)):
		revoked := Revoke(*stored)
		revoked.Refused = ErrReused
		return revoked
	case c.Grant.ClientID != use.ClientID:
		return refuse(ErrMismatch)
	case c.over(use.At):
		return refuse(ErrExpired)
	case c.RedirectURI != use.RedirectURI || !proves(c.Challenge, use.Verifier):
		return refuse(ErrMismatch)
	}
	issued := p.Issue(c.Grant, use.Access, use.At)
	c.Redeemed = true
	c.Grant.Expires = issued.Grant.Expires
	issued.Code = &c
	return issued
}

// Issue gives a new grant its first access token, and its first refresh token if
// it has offline access.
func (p Policy) Issue(g Grant, access TokenHash, now time.Time) Redemption {
	token := AccessToken{
		Hash:    access,
		GrantID: g.ID,
		Scopes:  g.Scopes,
		Issued:  now,
		Expires: now.Add(p.AccessToken),
	}
	g.Expires = token.Expires
	if g.Offline {
		g.Generation, g.Rotated = 1, now
		g.Expires = p.idleEnd(g, now)
	}
	return Redemption{Grant: &g, Access: &token, Current: g}
}

// Usable returns why a code cannot be redeemed any more, nil if it can.
func (c Code) Usable(now time.Time) error {
	switch {
	case c.Denied:
		return ErrDenied
	case c.Redeemed:
		return ErrReused
	case c.over(now):
		return ErrExpired
	}
	return nil
}

// Repeatable reports whether the response that c stands for, which has no code, may be
// given to its browser again: for as long as a code would live.
func (c Code) Repeatable(now time.Time) bool { return c.Redeemed && !c.over(now) }

// over reports whether a code has expired, or was created ahead of the clock and
// would live for too long.
func (c Code) over(now time.Time) bool {
	return !now.Before(c.Expires) || clock.Ahead(c.Grant.Created, now)
}

// Live reports whether the access token has not expired. One that was issued ahead
// of the clock would live for too long, and counts as expired.
func (t AccessToken) Live(now time.Time) bool {
	return now.Before(t.Expires) && !clock.Ahead(t.Issued, now)
}

// dated returns the grant with the times that a clock which was fast has left in it
// set to now, so that its family lives no longer than RefreshMax from here on, and
// the grace of its last rotation is over.
func (g Grant) dated(now time.Time) Grant {
	if clock.Ahead(g.Created, now) {
		g.Created = now
	}
	if clock.Ahead(g.Rotated, now) {
		g.Rotated = time.Time{}
	}
	return g
}

// RefreshUse is what a client presents with a refresh token.
type RefreshUse struct {
	Generation uint32
	ClientID   string
	Scopes     []string  // that the client names; none: all that were granted
	Allowed    []string  // of those granted, what the client may still have: no token gets more
	Access     TokenHash // of the access token to store if the use is accepted
	At         time.Time
}

// Refresh decides the use of a refresh token, and what it gives (RFC 6749 §6, RFC
// 9700 §4.14). The generation of the refresh token to hand out is that of
// Redemption.Current.
//
// The current generation is rotated. The one before it, within the grace period,
// gives the same successor again: the response may have been lost, or two
// processes of the client may have raced. Any older one, or that one later,
// revokes the family, and so does one that is newer than the current one: the store is
// older than the token, and its current generation was used before. Too often within the
// grace period it gives nothing more, and
// revokes nothing: its holder gains nothing that the grace period did not give them
// before, and a client with many processes keeps its family
// (DESIGN.md#refresh-a-crowd-within-the-grace-period).
func (p Policy) Refresh(g Grant, use RefreshUse) Redemption {
	refuse := func(why error) Redemption { return Redemption{Current: g, Refused: why} }
	n, now := use.Generation, use.At
	g = g.dated(now)
	switch {
	case g.ClientID != use.ClientID || !g.Offline:
		return refuse(ErrMismatch)
	case g.Revoked:
		return refuse(ErrRevoked)
	case !now.Before(g.Expires):
		return refuse(ErrExpired)
	case n == 0:
		return refuse(ErrMismatch)
	case n > g.Generation:
		// Only this program makes refresh tokens that authenticate, so the store has lost
		// the rotation: it was restored. Its generation has been used, and a party that
		// still presents that one is not the client, which has this one (RFC 9700 §4.14.2).
		revoked := Revoke(g)
		revoked.Refused = ErrLost
		return revoked
	}
	repeated := n == g.Generation-1 && now.Sub(g.Rotated) < p.RefreshGrace
	if n < g.Generation && !repeated {
		revoked := Revoke(g)
		revoked.Refused = ErrReused
		return revoked
	}
	if repeated && g.Repeats >= maxRepeats {
		return refuse(ErrCrowded)
	}
	scopes, ok := use.scopes(g)
	if !ok {
		return refuse(ErrScope)
	}
	if repeated {
		g.Repeats++
	} else {
		g.Generation, g.Rotated, g.Repeats = n+1, now, 0
		g.Expires = p.idleEnd(g, now)
	}
	token := AccessToken{
		Hash:    use.Access,
		GrantID: g.ID,
		Scopes:  scopes,
		Issued:  now,
		Expires: now.Add(p.AccessToken),
	}
	if g.Expires.Before(token.Expires) {
		token.Expires = g.Expires
	}
	return Redemption{Grant: &g, Access: &token, Current: g}
}

// scopes returns the scopes of the new access token. ok is false when the client
// names more than was granted (RFC 6749 §6), or only what it may not have any more.
func (use RefreshUse) scopes(g Grant) (scopes []string, ok bool) {
	named := use.Scopes
	if len(named) == 0 {
		named = g.Scopes
	}
	for _, scope := range named {
		switch {
		case !slices.Contains(g.Scopes, scope):
			return nil, false
		case slices.Contains(use.Allowed, scope):
			scopes = append(scopes, scope)
		}
	}
	if len(use.Scopes) > 0 && len(scopes) == 0 {
		return nil, false
	}
	return scopes, true
}

// maxRepeats bounds the grace in number, as RefreshGrace does in time.
const maxRepeats = 10

// Refreshable reports whether a use of the refresh token of generation n would be
// accepted now (RFC 7662 §2.2, active).
func (p Policy) Refreshable(g Grant, n uint32, now time.Time) bool {
	return p.Refresh(g, RefreshUse{Generation: n, ClientID: g.ClientID, At: now}).Refused == nil
}

// Revoke ends the grant and everything that came of it.
func Revoke(g Grant) Redemption {
	if g.Revoked {
		return Redemption{Current: g}
	}
	g.Revoked = true
	return Redemption{Grant: &g, Current: g}
}

// idleEnd returns when a grant with refresh tokens expires unless it is used
// again.
func (p Policy) idleEnd(g Grant, now time.Time) time.Time {
	end := now.Add(p.RefreshIdle)
	if last := g.Created.Add(p.RefreshMax); last.Before(end) {
		end = last
	}
	return end
}
