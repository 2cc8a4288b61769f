package grant

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/keys"
)

var (
	now   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	lives = Lives{Code: time.Minute, AccessToken: time.Hour, RefreshIdle: 24 * time.Hour, RefreshMax: 72 * time.Hour, RefreshGrace: 30 * time.Second}
)

const verifier = "abcdefghijklmnopqrstuvwxyz-0123456789.ABCDEFG~"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func code(offline bool) Code {
	return Code{
		Hash: Hash("code"), RedirectURI: "https://app.example/cb", Challenge: challenge(), Expires: now.Add(time.Minute),
		Grant: Grant{ID: "g", ClientID: "app", Sub: "sub", Scopes: []string{"openid", "phone"}, Created: now, Expires: now.Add(time.Minute), Offline: offline},
	}
}

func TestRedeem(t *testing.T) {
	redeem := func(change func(*Code), clientID, uri, proof string, at time.Time) (Redemption, error) {
		c := code(true)
		if change != nil {
			change(&c)
		}
		return lives.Redeem(c, nil, clientID, uri, proof, Hash("access"), at)
	}
	got, err := redeem(nil, "app", "https://app.example/cb", verifier, now)
	if err != nil || !got.Code.Redeemed || got.Grant.Generation != 1 || got.Access.GrantID != "g" {
		t.Fatalf("%+v, %v", got, err)
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
		got, err := redeem(row.change, row.client, row.uri, row.pkce, row.at)
		if !errors.Is(err, row.want) || got != (Redemption{}) {
			t.Errorf("%s: %v, %+v; want %v and nothing written", row.what, err, got, row.want)
		}
	}
	if _, err := redeem(func(c *Code) { c.Challenge = "" }, "app", "https://app.example/cb", "", now); err != nil {
		t.Errorf("a code without PKCE: %v", err)
	}
}

func TestInvariant9_SecondUseOfACodeRevokes(t *testing.T) {
	c := code(false)
	first, err := lives.Redeem(c, nil, "app", c.RedirectURI, verifier, Hash("a"), now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := lives.Redeem(*first.Code, first.Grant, "app", c.RedirectURI, verifier, Hash("b"), now.Add(time.Second))
	if !errors.Is(err, ErrReused) || again.Grant == nil || !again.Grant.Revoked || again.Access != nil {
		t.Errorf("%v, %+v", err, again)
	}
	stranger, err := lives.Redeem(*first.Code, first.Grant, "other", c.RedirectURI, verifier, Hash("b"), now.Add(time.Second))
	if !errors.Is(err, ErrMismatch) || stranger != (Redemption{}) {
		t.Errorf("another client can revoke: %v, %+v", err, stranger)
	}
}

func TestInvariant9_RefreshRotates(t *testing.T) {
	c := code(true)
	bought, err := lives.Redeem(c, nil, "app", c.RedirectURI, verifier, Hash("a"), now)
	if err != nil {
		t.Fatal(err)
	}
	g := *bought.Grant
	use := func(n uint32, at time.Duration) (uint32, error) {
		r, next, err := lives.Refresh(g, n, "app", nil, Hash("x"), now.Add(at))
		if r.Grant != nil {
			g = *r.Grant
		}
		return next, err
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
	if _, err := use(4, 2*time.Hour); !errors.Is(err, ErrMismatch) || g.Revoked {
		t.Errorf("one that was never issued: %v", err)
	}
	if _, err := use(1, 2*time.Hour+time.Second); !errors.Is(err, ErrReused) || !g.Revoked {
		t.Errorf("an older one: %v, revoked %v", err, g.Revoked)
	}
	if _, err := use(3, 2*time.Hour+time.Second); !errors.Is(err, ErrRevoked) {
		t.Errorf("the current one of a revoked family: %v", err)
	}
}

func TestRefreshReusedAfterTheGraceRevokes(t *testing.T) {
	g := Grant{ID: "g", ClientID: "app", Offline: true, Generation: 2, Rotated: now, Created: now, Expires: now.Add(time.Hour)}
	r, _, err := lives.Refresh(g, 1, "app", nil, Hash("x"), now.Add(30*time.Second))
	if !errors.Is(err, ErrReused) || !r.Grant.Revoked {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestRefreshEnds(t *testing.T) {
	g := Grant{ID: "g", ClientID: "app", Scopes: []string{"openid", "phone"}, Offline: true, Generation: 1, Rotated: now, Created: now, Expires: now.Add(24 * time.Hour)}
	r, _, err := lives.Refresh(g, 1, "app", nil, Hash("x"), now.Add(23*time.Hour))
	if err != nil || !r.Grant.Expires.Equal(now.Add(47*time.Hour)) {
		t.Fatalf("%v, %+v", err, r.Grant)
	}
	r, _, err = lives.Refresh(*r.Grant, 2, "app", nil, Hash("x"), now.Add(46*time.Hour))
	r, _, err2 := lives.Refresh(*r.Grant, 3, "app", nil, Hash("x"), now.Add(69*time.Hour))
	if err != nil || err2 != nil || !r.Grant.Expires.Equal(now.Add(72*time.Hour)) {
		t.Fatalf("%v, %v, %+v; want an end at the maximum", err, err2, r.Grant)
	}
	if _, _, err := lives.Refresh(*r.Grant, 4, "app", nil, Hash("x"), now.Add(72*time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("after the maximum: %v", err)
	}
	if _, _, err := lives.Refresh(g, 1, "other", nil, Hash("x"), now); !errors.Is(err, ErrMismatch) {
		t.Errorf("another client: %v", err)
	}
	if _, _, err := lives.Refresh(g, 1, "app", []string{"openid", "email"}, Hash("x"), now); !errors.Is(err, ErrScope) {
		t.Errorf("wider scope: %v", err)
	}
	if r, _, err := lives.Refresh(g, 1, "app", []string{"openid"}, Hash("x"), now); err != nil || len(r.Access.Scopes) != 1 || len(r.Grant.Scopes) != 2 {
		t.Errorf("narrower scope: %v, %+v", err, r)
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

// The grace is bounded in number too.
func TestRefreshGraceIsBoundedInNumber(t *testing.T) {
	g := Grant{ID: "g", ClientID: "app", Offline: true, Generation: 2, Rotated: now, Created: now, Expires: now.Add(time.Hour)}
	for i := range maxRepeats {
		r, next, err := lives.Refresh(g, 1, "app", nil, Hash("x"), now)
		if err != nil || next != 2 {
			t.Fatalf("repetition %d: %d, %v", i, next, err)
		}
		g = *r.Grant
	}
	if r, _, err := lives.Refresh(g, 1, "app", nil, Hash("x"), now); !errors.Is(err, ErrReused) || !r.Grant.Revoked {
		t.Errorf("one too many: %v", err)
	}
	g.Generation, g.Revoked = 2, false
	r, _, err := lives.Refresh(g, 2, "app", nil, Hash("x"), now)
	if err != nil || r.Grant.Repeats != 0 {
		t.Errorf("the next rotation: %v, %+v", err, r.Grant)
	}
}
