// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/redact"
)

var (
	now    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	policy = Policy{
		AccessToken:  time.Hour,
		RefreshIdle:  24 * time.Hour,
		RefreshMax:   72 * time.Hour,
		RefreshGrace: 30 * time.Second,
	}
)

const verifier = "abcdefghijklmnopqrstuvwxyz-0123456789.ABCDEFG~"

func challenge() string { return challengeOf(verifier) }

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func code(offline bool) Code {
	return Code{
		Hash:        HashCode("code"),
		RedirectURI: "https://app.example/cb",
		Challenge:   challenge(),
		Expires:     now.Add(time.Minute),
		Grant: Grant{
			ID:       "g",
			ClientID: "app",
			Sub:      "sub",
			Scopes:   []string{"openid", "phone"},
			Created:  now,
			Expires:  now.Add(time.Minute),
			Offline:  offline,
		},
	}
}

func TestRedeem(t *testing.T) {
	redeem := func(change func(*Code), clientID, uri, proof string, at time.Time) Redemption {
		c := code(true)
		if change != nil {
			change(&c)
		}
		return policy.Redeem(c, nil, CodeUse{ClientID: clientID, RedirectURI: uri, Verifier: redact.Text(proof), Access: HashToken("access"), At: at})
	}
	got := redeem(nil, "app", "https://app.example/cb", verifier, now)
	if got.Refused != nil || !got.Code.Redeemed || got.Grant.Generation != 1 || got.Access.GrantID != "g" {
		t.Fatalf("got %+v, want a redeemed code, a grant and a token", got)
	}
	if !got.Access.Expires.Equal(now.Add(time.Hour)) || !got.Grant.Expires.Equal(now.Add(24*time.Hour)) {
		t.Errorf("access until %v, grant until %v", got.Access.Expires, got.Grant.Expires)
	}
	rows := []struct {
		what              string
		change            func(*Code)
		client, uri, pkce string
		at                time.Time
		want              error
	}{
		{"another client", nil, "other", "https://app.example/cb", verifier, now, ErrMismatch},
		{"another redirect URI", nil, "app", "https://app.example/cb/", verifier, now, ErrMismatch},
		{"no verifier", nil, "app", "https://app.example/cb", "", now, ErrMismatch},
		{"a wrong verifier", nil, "app", "https://app.example/cb", verifier + "x", now, ErrMismatch},
		{"a verifier that is too short", func(c *Code) {
			sum := sha256.Sum256([]byte("short"))
			c.Challenge = base64.RawURLEncoding.EncodeToString(sum[:])
		}, "app", "https://app.example/cb", "short", now, ErrMismatch},
		{"a verifier that nobody announced", func(c *Code) { c.Challenge = "" }, "app", "https://app.example/cb", verifier, now, ErrMismatch},
		{"too late", nil, "app", "https://app.example/cb", verifier, now.Add(time.Minute), ErrExpired},
	}
	for _, row := range rows {
		got := redeem(row.change, row.client, row.uri, row.pkce, row.at)
		if !errors.Is(got.Refused, row.want) || stores(got) || got.Current.ID != "g" {
			t.Errorf("%s: got %+v; want %v and nothing stored", row.what, got, row.want)
		}
	}
	if got := redeem(func(c *Code) { c.Challenge = "" }, "app", "https://app.example/cb", "", now); got.Refused != nil {
		t.Errorf("a code without PKCE: %v", got.Refused)
	}
}

// stores reports whether a redemption has anything to store.
func stores(r Redemption) bool { return r.Code != nil || r.Grant != nil || r.Access != nil }

func TestUsable(t *testing.T) {
	redeemed := code(false)
	redeemed.Redeemed = true
	for _, row := range []struct {
		what string
		code Code
		at   time.Time
		want error
	}{
		{"new", code(false), now, nil},
		{"redeemed", redeemed, now, ErrReused},
		{"expired", code(false), now.Add(time.Minute), ErrExpired},
	} {
		if got := row.code.Usable(row.at); !errors.Is(got, row.want) {
			t.Errorf("%s: got %v, want %v", row.what, got, row.want)
		}
	}
}

func TestInvariant9_SecondUseOfACodeRevokes(t *testing.T) {
	c := code(false)
	use := func(clientID, access string, at time.Time) CodeUse {
		return CodeUse{ClientID: clientID, RedirectURI: c.RedirectURI, Verifier: verifier, Access: HashToken(redact.Text(access)), At: at}
	}
	first := policy.Redeem(c, nil, use("app", "a", now))
	if first.Refused != nil {
		t.Fatal(first.Refused)
	}
	for _, clientID := range []string{"app", "other"} { // whoever it is has a code that leaked
		again := policy.Redeem(*first.Code, first.Grant, use(clientID, "b", now.Add(time.Second)))
		if !errors.Is(again.Refused, ErrReused) || again.Grant == nil || !again.Grant.Revoked || again.Access != nil || !again.Current.Revoked {
			t.Errorf("by %s: got %+v, want a refusal that revokes the grant", clientID, again)
		}
		swept := policy.Redeem(*first.Code, nil, use(clientID, "b", now.Add(time.Second)))
		if !errors.Is(swept.Refused, ErrReused) || stores(swept) {
			t.Errorf("by %s, without a grant: got %+v, want a refusal alone", clientID, swept)
		}
	}
}

func TestInvariant9_RefreshRotates(t *testing.T) {
	c := code(true)
	issued := policy.Redeem(c, nil, CodeUse{ClientID: "app", RedirectURI: c.RedirectURI, Verifier: verifier, Access: HashToken("a"), At: now})
	if issued.Refused != nil {
		t.Fatal(issued.Refused)
	}
	g := *issued.Grant
	use := func(n uint32, at time.Duration) (uint32, error) {
		r := refresh(g, n, "app", nil, now.Add(at))
		if r.Grant != nil {
			g = *r.Grant
		}
		return r.Current.Generation, r.Refused
	}
	if next, err := use(1, time.Hour); err != nil || next != 2 {
		t.Fatalf("the first: %d, %v", next, err)
	}
	if next, err := use(1, time.Hour+29*time.Second); err != nil || next != 2 {
		t.Errorf("repeated within the grace: %d, %v; want the same successor", next, err)
	}
	if next, err := use(2, 2*time.Hour); err != nil || next != 3 {
		t.Errorf("the second: %d, %v", next, err)
	}
	if _, err := use(1, 2*time.Hour+time.Second); !errors.Is(err, ErrReused) || !g.Revoked {
		t.Errorf("an older one: %v, revoked %v", err, g.Revoked)
	}
	if _, err := use(3, 2*time.Hour+time.Second); !errors.Is(err, ErrRevoked) {
		t.Errorf("the current one of a revoked family: %v", err)
	}
}

func refresh(g Grant, n uint32, clientID string, scopes []string, at time.Time) Redemption {
	return policy.Refresh(g, RefreshUse{Generation: n, ClientID: clientID, Scopes: scopes, Allowed: g.Scopes, Access: HashToken("x"), At: at})
}

func TestRefreshReusedAfterTheGraceRevokes(t *testing.T) {
	g := Grant{ID: "g", ClientID: "app", Offline: true, Generation: 2, Rotated: now, Created: now, Expires: now.Add(time.Hour)}
	r := refresh(g, 1, "app", nil, now.Add(30*time.Second))
	if !errors.Is(r.Refused, ErrReused) || !r.Grant.Revoked {
		t.Errorf("got %+v, want a refusal that revokes the grant", r)
	}
}

// A store that was restored knows an older generation than the client has. The client's
// token is refused, and no theft is recorded; and from then on the older generation, which
// an attacker may have kept although it was used, gives nothing either.
func TestThreat_RestoredStoreTakesNoUsedRefreshToken(t *testing.T) {
	g := Grant{ID: "g", ClientID: "app", Offline: true, Generation: 2, Rotated: now, Created: now, Expires: now.Add(time.Hour)}
	if r := refresh(g, 4, "other", nil, now); !errors.Is(r.Refused, ErrMismatch) || r.Grant != nil {
		t.Errorf("another client: got %+v, want a refusal that changes nothing", r)
	}
	r := refresh(g, 4, "app", nil, now)
	if !errors.Is(r.Refused, ErrLost) || errors.Is(r.Refused, ErrReused) || r.Access != nil || r.Grant == nil || !r.Grant.Revoked {
		t.Fatalf("got %+v, want ErrLost and the grant revoked", r)
	}
	if r := refresh(*r.Grant, 2, "app", nil, now); !errors.Is(r.Refused, ErrRevoked) || r.Access != nil {
		t.Errorf("the older generation afterwards: got %+v, want ErrRevoked", r)
	}
}

func TestRefreshEnds(t *testing.T) {
	g := Grant{
		ID:         "g",
		ClientID:   "app",
		Scopes:     []string{"openid", "phone"},
		Offline:    true,
		Generation: 1,
		Rotated:    now,
		Created:    now,
		Expires:    now.Add(24 * time.Hour),
	}
	r := refresh(g, 1, "app", nil, now.Add(23*time.Hour))
	if r.Refused != nil || !r.Grant.Expires.Equal(now.Add(47*time.Hour)) {
		t.Fatalf("got %+v, want it to expire 24 h after its use", r)
	}
	r2 := refresh(*r.Grant, 2, "app", nil, now.Add(46*time.Hour))
	r = refresh(*r2.Grant, 3, "app", nil, now.Add(69*time.Hour))
	if r2.Refused != nil || r.Refused != nil || !r.Grant.Expires.Equal(now.Add(72*time.Hour)) {
		t.Fatalf("got %v, %+v; want it to expire at the maximum", r2.Refused, r)
	}
	if r := refresh(*r.Grant, 4, "app", nil, now.Add(72*time.Hour)); !errors.Is(r.Refused, ErrExpired) {
		t.Errorf("after the maximum: got %v, want %v", r.Refused, ErrExpired)
	}
	if r := refresh(g, 1, "other", nil, now); !errors.Is(r.Refused, ErrMismatch) {
		t.Errorf("another client: got %v, want %v", r.Refused, ErrMismatch)
	}
	if r := refresh(g, 1, "app", []string{"openid", "email"}, now); !errors.Is(r.Refused, ErrScope) {
		t.Errorf("wider scope: got %v, want %v", r.Refused, ErrScope)
	}
	if r := refresh(g, 1, "app", []string{"openid"}, now); r.Refused != nil || len(r.Access.Scopes) != 1 || len(r.Grant.Scopes) != 2 {
		t.Errorf("narrower scope: got %+v", r)
	}
}

func TestRefreshTokens(t *testing.T) {
	master, err := keys.NewMaster(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	mac := func(parts ...[]byte) [32]byte { return master.MAC("test", parts...) }
	id := NewID()
	token := RefreshToken(mac, id, 7)
	if gotID, n, ok := ParseRefreshToken(mac, token); !ok || gotID != id || n != 7 {
		t.Fatalf("%q: %q, %d, %v", token, gotID, n, ok)
	}
	for _, bad := range []string{"", ".", "..", token + "x", token[1:], strings.Replace(token, ".", "", 1), RefreshToken(mac, id, 8)[:len(token)-1], strings.Repeat("a", 1000)} {
		if _, _, ok := ParseRefreshToken(mac, bad); ok {
			t.Errorf("%q was accepted", bad)
		}
	}
	// Changing the generation without the key is of no use.
	parts := strings.Split(token, ".")
	other := strings.Split(RefreshToken(mac, id, 8), ".")
	if _, _, ok := ParseRefreshToken(mac, parts[0]+"."+other[1]+"."+parts[2]); ok {
		t.Error("a forged generation was accepted")
	}
}

// A token that is too long to be one of ours is refused before any work is done for it.
func TestThreat_ALongRefreshTokenCostsNothing(t *testing.T) {
	macs := 0
	mac := func(parts ...[]byte) [32]byte { macs++; return [32]byte{7} }
	longest := RefreshToken(mac, strings.Repeat("g", 256-len(RefreshToken(mac, "", 7))), 7)
	if _, _, ok := ParseRefreshToken(mac, longest); !ok || len(longest) != 256 {
		t.Errorf("%d bytes: got ok %v, want true for 256", len(longest), ok)
	}
	macs = 0
	if _, _, ok := ParseRefreshToken(mac, "g"+longest); ok || macs != 0 {
		t.Errorf("257 bytes: got ok %v and %d MACs, want false and 0", ok, macs)
	}
}

// The grace is bounded in number too.
func TestRefreshGraceIsBoundedInNumber(t *testing.T) {
	g := Grant{ID: "g", ClientID: "app", Offline: true, Generation: 2, Rotated: now, Created: now, Expires: now.Add(time.Hour)}
	for i := range maxRepeats {
		r := refresh(g, 1, "app", nil, now)
		if r.Refused != nil || r.Current.Generation != 2 {
			t.Fatalf("repetition %d: got %+v, want generation 2", i, r)
		}
		g = *r.Grant
	}
	late := now.Add(30 * time.Second)
	if r := refresh(g, 1, "app", nil, late.Add(-1)); !errors.Is(r.Refused, ErrCrowded) || stores(r) {
		t.Errorf("one too many: got %+v, want a refusal that revokes nothing", r)
	}
	if r := refresh(g, 1, "app", nil, late); !errors.Is(r.Refused, ErrReused) || !r.Grant.Revoked {
		t.Errorf("after the grace: got %+v, want a refusal that revokes the grant", r)
	}
	if r := refresh(g, 2, "app", nil, now); r.Refused != nil || r.Grant.Repeats != 0 {
		t.Errorf("the next rotation: got %+v", r)
	}
}

// Whatever a client names, a refreshed token has no scope that the client may not
// have any more.
func TestRefreshGivesNoMoreThanIsAllowed(t *testing.T) {
	g := Grant{
		ID:         "g",
		ClientID:   "app",
		Scopes:     []string{"openid", "phone", "email", "offline_access"},
		Offline:    true,
		Generation: 1,
		Rotated:    now,
		Created:    now,
		Expires:    now.Add(time.Hour),
	}
	for _, row := range []struct{ named, allowed, want string }{
		{"", "openid phone email offline_access", "openid phone email offline_access"},
		{"", "openid offline_access", "openid offline_access"},
		{"openid phone email", "openid offline_access", "openid"},
		{"openid phone", "openid phone offline_access", "openid phone"},
		{"openid", "openid phone offline_access", "openid"},
		{"phone email", "openid offline_access", ""},
		{"phone", "", ""},
		{"openid profile", "openid profile offline_access", ""}, // never granted
	} {
		r := policy.Refresh(g, RefreshUse{
			Generation: 1,
			ClientID:   "app",
			Scopes:     strings.Fields(row.named),
			Allowed:    strings.Fields(row.allowed),
			At:         now,
		})
		if row.want == "" {
			if !errors.Is(r.Refused, ErrScope) || stores(r) {
				t.Errorf("%q of %q: got %+v, want %v", row.named, row.allowed, r, ErrScope)
			}
			continue
		}
		if r.Refused != nil || strings.Join(r.Access.Scopes, " ") != row.want {
			t.Errorf("%q of %q: got %+v, want %s", row.named, row.allowed, r, row.want)
		}
	}
}

// A hash prints as a mark, however it is printed.
func TestHashesAreRedacted(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, hash := range []any{HashCode("x"), HashToken("x")} {
		logger.Info("x", "hash", hash)
		c := fmt.Sprintf("%v %+v %#v %s %x %d %q", hash, hash, hash, hash, hash, hash, hash)
		if want := strings.TrimSpace(strings.Repeat("[redacted] ", 7)); c != want {
			t.Errorf("got %s, want %s", c, want)
		}
	}
	if n := strings.Count(log.String(), "hash=[redacted]"); n != 2 {
		t.Errorf("got the log %s", log.String())
	}
}
