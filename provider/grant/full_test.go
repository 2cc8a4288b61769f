// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider/redact"
)

// What a use gives is all of this and nothing else.
func TestRedemptionsInFull(t *testing.T) {
	access := HashToken("access")
	token := func(scopes []string, expires time.Time) *AccessToken {
		return &AccessToken{Hash: access, GrantID: "g", Scopes: scopes, Issued: now, Expires: expires}
	}
	all := []string{"openid", "phone"}
	redeem := func(offline bool) (Code, Redemption) {
		c := code(offline)
		return c, policy.Redeem(c, nil, CodeUse{ClientID: "app", RedirectURI: c.RedirectURI, Verifier: verifier, Access: access, At: now})
	}
	rows := map[string]struct{ got, want Redemption }{}
	for what, offline := range map[string]bool{"a code": false, "a code with offline access": true} {
		c, got := redeem(offline)
		g := c.Grant
		g.Expires = now.Add(time.Hour)
		if offline {
			g.Generation, g.Rotated, g.Expires = 1, now, now.Add(24*time.Hour)
		}
		c.Redeemed, c.Grant.Expires = true, g.Expires
		rows[what] = struct{ got, want Redemption }{got, Redemption{Code: &c, Grant: &g, Access: token(all, now.Add(time.Hour)), Current: g}}
	}
	family := Grant{
		ID:         "g",
		ClientID:   "app",
		Sub:        "sub",
		Scopes:     all,
		Offline:    true,
		Generation: 2,
		Rotated:    now.Add(-time.Second),
		Repeats:    3,
		Created:    now.Add(-time.Hour),
		Expires:    now.Add(time.Minute),
	}
	use := func(g Grant, n uint32) Redemption {
		return policy.Refresh(g, RefreshUse{Generation: n, ClientID: "app", Scopes: []string{"openid"}, Allowed: all, Access: access, At: now})
	}
	add := func(what string, g Grant, n uint32, access *AccessToken, change func(*Grant)) {
		got := use(g, n)
		change(&g)
		rows[what] = struct{ got, want Redemption }{got, Redemption{Grant: &g, Access: access, Current: g}}
	}
	add("the current token", family, 2, token([]string{"openid"}, now.Add(time.Hour)), func(g *Grant) {
		g.Generation, g.Rotated, g.Repeats, g.Expires = 3, now, 0, now.Add(24*time.Hour)
	})
	// A repetition prolongs nothing, and its access token ends with the family.
	add("the one before it", family, 1, token([]string{"openid"}, now.Add(time.Minute)), func(g *Grant) { g.Repeats = 4 })
	old := family
	old.Created = now.Add(-72*time.Hour + 10*time.Minute)
	add("at the end of the family", old, 2, token([]string{"openid"}, now.Add(10*time.Minute)), func(g *Grant) {
		g.Generation, g.Rotated, g.Repeats, g.Expires = 3, now, 0, now.Add(10*time.Minute)
	})
	revoked := family
	revoked.Revoked = true
	rows["revoking"] = struct{ got, want Redemption }{Revoke(family), Redemption{Grant: &revoked, Current: revoked}}
	rows["revoking again"] = struct{ got, want Redemption }{Revoke(revoked), Redemption{Current: revoked}}
	rows["a revoked family"] = struct{ got, want Redemption }{use(revoked, 2), Redemption{Current: revoked, Refused: ErrRevoked}}
	rows["generation 0"] = struct{ got, want Redemption }{use(family, 0), Redemption{Current: family, Refused: ErrMismatch}}
	for what, row := range rows {
		if !reflect.DeepEqual(row.got, row.want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", what, row.got, row.want)
		}
	}
}

// Generation 0 was never issued, also not before the first rotation, whose
// predecessor it would be.
func TestRefreshableIsWhatRefreshAccepts(t *testing.T) {
	family := Grant{ID: "g", ClientID: "app", Scopes: []string{"openid"}, Offline: true, Generation: 1, Rotated: now, Created: now, Expires: now.Add(time.Hour)}
	second := family
	second.Generation = 2
	plain := family
	plain.Offline = false
	for _, row := range []struct {
		what string
		g    Grant
		n    uint32
		at   time.Time
		want bool
	}{
		{"the first", family, 1, now, true},
		{"none", family, 0, now, false},
		{"the next", family, 2, now, false},
		{"an expired one", family, 1, now.Add(time.Hour), false},
		{"the one before, within the grace", second, 1, now, true},
		{"the one before, later", second, 1, now.Add(30 * time.Second), false},
		{"without offline access", plain, 1, now, false},
	} {
		if got := policy.Refreshable(row.g, row.n, row.at); got != row.want {
			t.Errorf("%s: got %v, want %v", row.what, got, row.want)
		}
	}
}

// RFC 7636 §4.1: 43 to 128 characters.
func TestVerifierLengths(t *testing.T) {
	for n, want := range map[int]bool{42: false, 43: true, 44: true, 127: true, 128: true, 129: false} {
		v := strings.Repeat("a", n)
		c := code(false)
		c.Challenge = challengeOf(v)
		got := policy.Redeem(c, nil, CodeUse{ClientID: "app", RedirectURI: c.RedirectURI, Verifier: redact.Text(v), At: now})
		if (got.Refused == nil) != want {
			t.Errorf("a verifier of %d characters: got %v, want accepted: %v", n, got.Refused, want)
		}
	}
}

// RFC 7636 §4.1: unreserved characters only, also if the challenge is that of the verifier.
func TestVerifierCharacters(t *testing.T) {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	for b := range 256 {
		v := strings.Repeat("a", 21) + string([]byte{byte(b)}) + strings.Repeat("a", 21)
		c := code(false)
		c.Challenge = challengeOf(v)
		got := policy.Redeem(c, nil, CodeUse{ClientID: "app", RedirectURI: c.RedirectURI, Verifier: redact.Text(v), At: now})
		if want := strings.IndexByte(unreserved, byte(b)) >= 0; (got.Refused == nil) != want {
			t.Errorf("%#x: got %v, want accepted: %v", b, got.Refused, want)
		}
	}
}

// An access token lives until it expires, and not then.
func TestAccessTokensExpire(t *testing.T) {
	token := policy.Issue(Grant{ID: "g", ClientID: "app", Created: now}, TokenHash{}, now).Access
	for after, want := range map[time.Duration]bool{0: true, time.Hour - 1: true, time.Hour: false, 2 * time.Hour: false} {
		if got := token.Live(now.Add(after)); got != want {
			t.Errorf("after %s: got live %v, want %v", after, got, want)
		}
	}
}

// The stored hashes are SHA-256 of the values, which no change may lose.
func TestHashes(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	code, token := HashCode("abc"), HashToken("abc")
	if hex.EncodeToString(code[:]) != abc || hex.EncodeToString(token[:]) != abc {
		t.Errorf("got %x and %x, want the SHA-256 of abc", code[:], token[:])
	}
}

func TestIsChallenge(t *testing.T) {
	good := challenge()
	for text, want := range map[string]bool{good: true, "": false, good + "A": false, good[:42]: false, good[:42] + "_": false, good + "=": false, "!" + good[1:]: false} {
		if got := IsChallenge(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// What a store keeps of a code, and for how long.
func TestCodesAreKeptWhileAFormMayAskForThem(t *testing.T) {
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	for _, row := range []struct {
		what                 string
		expires, form, grant int // minutes; no form: 0
		redeemed             bool
		want                 int
	}{
		{"a code", 1, 0, 9, false, 1},
		{"of a form", 1, 60, 9, false, 60},
		{"of a form that expires first", 3, 2, 9, false, 3},
		{"redeemed", 1, 0, 9, true, 9},
		{"redeemed, of a form", 1, 60, 9, true, 60},
		{"redeemed, of a form, with a longer grant", 1, 60, 90, true, 90},
		{"redeemed, with a shorter grant", 3, 0, 2, true, 3},
	} {
		c := Code{Expires: at(row.expires), Redeemed: row.redeemed, Grant: Grant{Expires: at(row.grant)}}
		if row.form > 0 {
			c.FormExpires = at(row.form)
		}
		if got := c.Kept(); !got.Equal(at(row.want)) {
			t.Errorf("%s: got it kept until %s, want %s", row.what, got, at(row.want))
		}
		voided, keep := c.Voided()
		if keep != (row.form > 0) || !voided.Expires.IsZero() || voided.FormExpires != c.FormExpires {
			t.Errorf("%s: got it voided as %+v, kept: %v", row.what, voided, keep)
		}
	}
}

// A code that was not redeemed, but whose grant exists, is the second code of its form.
func TestInvariant9_TwoCodesOfAFormGiveOneGrant(t *testing.T) {
	c := code(false)
	use := CodeUse{ClientID: "app", RedirectURI: c.RedirectURI, Verifier: verifier, Access: HashToken("access"), At: now}
	first := policy.Redeem(c, nil, use)
	second := policy.Redeem(c, first.Grant, use)
	if first.Refused != nil || second.Refused != ErrReused || second.Access != nil || second.Grant == nil || !second.Grant.Revoked {
		t.Errorf("got %+v, then %+v; want tokens, then ErrReused and the grant revoked", first, second)
	}

	// One that has expired, by every clock, or was voided took nothing.
	expired, use := c, use
	use.At = c.Expires.Add(time.Minute)
	voided, _ := c.Voided()
	for what, unused := range map[string]Code{"expired": expired, "voided": voided} {
		for _, client := range []string{"app", "other"} {
			use.ClientID = client
			if got := policy.Redeem(unused, first.Grant, use); got.Refused == nil || got.Refused == ErrReused || got.Grant != nil || got.Access != nil {
				t.Errorf("%s, by %s: got %+v, want it refused and the grant as it is", what, client, got)
			}
		}
	}
}

// Each code of a form is another one, and needs the master key.
func TestLaterCodes(t *testing.T) {
	mac := func(key string) MAC {
		return func(parts ...[]byte) [32]byte {
			return sha256.Sum256(append([]byte(key), bytes.Join(parts, []byte("|"))...))
		}
	}
	seen := map[redact.Text]bool{}
	for _, first := range []redact.Text{"first", "other"} {
		for n := range uint32(300) {
			seen[LaterCode(mac("key"), first, n)] = true
		}
		if got := LaterCode(mac("key"), first, 0); got != first || len(LaterCode(mac("key"), first, 1)) != len(NewCode()) {
			t.Errorf("got another first code than the form's, or another length")
		}
	}
	if len(seen) != 600 || seen[LaterCode(mac("another"), "first", 1)] {
		t.Errorf("got %d codes, want 600, and none under another key", len(seen))
	}
}
