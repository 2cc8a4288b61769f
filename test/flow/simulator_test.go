// SPDX-License-Identifier: Apache-2.0

// Package flow walks whole sign-ins against the built binary: every row of the
// simulator's table, and what Truecaller's interface promises.
package flow

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// relyingParty is the demo client, without its pages.
type relyingParty struct {
	t        *testing.T
	server   *harness.Server // nil with relyingPartyAt
	provider *oidc.Provider
	config   oauth2.Config
}

func newRelyingParty(t *testing.T, server *harness.Server) *relyingParty {
	t.Helper()
	rp := relyingPartyAt(t, server.Issuer, "demo-secret", server.Demo+"/callback")
	rp.server = server
	return rp
}

// serveSimulated runs `calleridp serve` with a simulator. Without Apps in c, the
// simulator knows the server's own.
func serveSimulated(t *testing.T, c simulator.Config, more string, keys ...string) *harness.Production {
	t.Helper()
	return harness.ServeWith(t, func(callbackURL string) http.Handler {
		if c.Apps == nil {
			c.Apps = []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}}
		}
		sim := simulator.New(c)
		t.Cleanup(sim.Close)
		return sim.Handler()
	}, more, keys...)
}

// relyingPartyAt is the client demo of any server.
func relyingPartyAt(t *testing.T, issuer, secret, redirectURI string) *relyingParty {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	return &relyingParty{t: t, provider: provider, config: oauth2.Config{
		ClientID:     "demo",
		ClientSecret: secret,
		RedirectURL:  redirectURI,
		Endpoint:     provider.Endpoint(),
		Scopes:       []string{"openid", "profile", "email", "phone", "address", "truecaller"},
	}}
}

// begin opens the sign-in page and sends a number; it returns what follows the
// form.
func (rp *relyingParty) begin(browser *harness.Browser, number string) (harness.Page, string) {
	rp.t.Helper()
	verifier := oauth2.GenerateVerifier()
	page := browser.Get(rp.config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	return browser.Submit(page, number), verifier
}

// signIn signs in with a number, and returns the ID token's claims.
func (rp *relyingParty) signIn(browser *harness.Browser, number string) map[string]any {
	rp.t.Helper()
	page, verifier := rp.begin(browser, number)
	claims, page := rp.finish(browser, page, verifier)
	if claims == nil {
		rp.t.Fatalf("the sign-in stopped at %s (status %d):\n%s", page.URL, page.Status, page.Body)
	}
	return claims
}

// finish follows the sign-in to its end, and returns the ID token's claims, or
// nil and the page at which it stopped.
func (rp *relyingParty) finish(browser *harness.Browser, page harness.Page, verifier string) (map[string]any, harness.Page) {
	rp.t.Helper()
	return rp.finishWithin(harness.Timeout, browser, page, verifier)
}

// finishWithin is finish with a timeout; 0 follows redirects only.
func (rp *relyingParty) finishWithin(
	timeout time.Duration, browser *harness.Browser, page harness.Page, verifier string,
) (map[string]any, harness.Page) {
	rp.t.Helper()
	left, page := browser.Follow(page, timeout)
	if left == nil || left.Query().Get("code") == "" {
		return nil, page
	}
	got, err := rp.config.Exchange(rp.t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		rp.t.Fatal(err)
	}
	raw, _ := got.Extra("id_token").(string)
	id, err := rp.provider.Verifier(&oidc.Config{ClientID: rp.config.ClientID}).Verify(rp.t.Context(), raw)
	if err != nil {
		rp.t.Fatal(err)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		rp.t.Fatal(err)
	}
	return claims, page
}

func TestSimulatorRowsThatSignIn(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, harness.Dev(t))
	rows := []struct {
		xx    int
		what  string
		check func(t *testing.T, claims map[string]any)
	}{
		{5, "approves at once, full profile", func(t *testing.T, c map[string]any) {
			for _, claim := range []string{"name", "given_name", "family_name", "picture", "email", "address", "truecaller", "gender"} {
				if c[claim] == nil {
					t.Errorf("the claims have no %s", claim)
				}
			}
		}},
		{6, "approves after 2 s", nil},
		{10, "no e-mail", func(t *testing.T, c map[string]any) {
			if c["email"] != nil {
				t.Errorf("email is %v, want none", c["email"])
			}
		}},
		{11, "first name only", func(t *testing.T, c map[string]any) {
			if c["given_name"] == nil || c["name"] == nil || c["family_name"] != nil || c["email"] != nil {
				t.Errorf("the claims are %v, want a first name and no e-mail address", c)
			}
		}},
		{12, "callback sent three times", nil},
		{13, "callback overtakes the push response", nil},
		{16, "profile answers 503 twice, then 200", nil},
		{21, "numbers, booleans and ids as strings; onlineIdentities; several numbers", func(t *testing.T, c map[string]any) {
			if c["email"] == nil {
				t.Error("the claims have no e-mail address, want that of onlineIdentities")
			}
		}},
		{23, "bidi and control characters, 10 kB names", func(t *testing.T, c map[string]any) {
			name, _ := c["name"].(string)
			if name == "" || len(name) > 1000 || strings.ContainsAny(name, "\u202e\u202d\u2066\u2067\u2068\u2069\u200e\u200f\x00\x07\x1b\n") {
				t.Errorf("name is %.80q (%d bytes), want at most 1000 bytes without control characters", name, len(name))
			}
		}},
		{24, "a second Truecaller id for the number", nil},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			rp := *rp
			rp.t = t
			claims := rp.signIn(harness.NewBrowser(t, rp.server.Issuer), harness.Number(row.xx))
			if claims["phone_number"] != harness.Number(row.xx) || claims["phone_number_verified"] != true {
				t.Errorf("phone_number is %v (verified %v), want %s (true)", claims["phone_number"], claims["phone_number_verified"], harness.Number(row.xx))
			}
			if row.check != nil {
				row.check(t, claims)
			}
		})
	}
}

// 19: Truecaller responds to the push only after the server has given up waiting.
// The push may have been sent all the same: its callback completes the sign-in.
func TestSimulatorRowSlowPush(t *testing.T) {
	t.Parallel()
	server := serveSimulated(t, simulator.Config{SlowPush: 3 * time.Second}, "", "timeout: 1s")
	rp := relyingPartyAt(t, server.Issuer, harness.ClientSecret, harness.RedirectURI)
	rp.config.Scopes = []string{"openid", "phone"}
	claims := rp.signIn(harness.NewBrowser(t, server.Issuer), harness.Number(19))
	if got := claims["phone_number"]; got != harness.Number(19) {
		t.Errorf("phone_number is %v, want %s", got, harness.Number(19))
	}
}

func TestSimulatorRowsThatFail(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp := newRelyingParty(t, server)
	rows := []struct {
		xx   int
		what string
		log  string // what the operator finds in the log
	}{
		{8, "declines after 1 s", "user_rejected"},
		{14, "approves, but the profile is another number's", "phone_mismatch"},
		{15, "profile answers 401", "profile_failed"},
		{18, "push answers 503", "unavailable"},
		{20, "endpoint names a foreign host", "foreign_endpoint"},
		{22, "profile is 1 MiB of JSON", "profile_failed"},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			rp := *rp
			rp.t = t
			browser := harness.NewBrowser(t, server.Issuer)
			page, verifier := rp.begin(browser, harness.Number(row.xx))
			claims, page := rp.finish(browser, page, verifier)
			if claims != nil {
				t.Fatalf("the sign-in gave %v, want a page that says why not", claims)
			}
			if page.Has("waiting") {
				t.Fatalf("%s is still the waiting page, want how the attempt ended", page.URL)
			}
			server.Logged(row.log)
			for _, secret := range []string{"user_rejected", "phone_mismatch", "profile_failed", "foreign_endpoint", "4670174", "7017406"} {
				if strings.Contains(page.Body, secret) {
					t.Errorf("the page says %q (invariant 10)", secret)
				}
			}
		})
	}
	for _, whole := range []string{"46701740608", "46701740614", "701740608"} {
		if strings.Contains(server.Log(), whole) {
			t.Errorf("the log has the whole number %s (invariant 10)", whole)
		}
	}
}

// 09 never decides and 17 has no account: their pages are the same as that of 07, which
// is undecided (invariant 7).
func TestInvariant7_PagesDoNotTellWhoIsOnTruecaller(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, harness.Dev(t))
	type shape struct {
		status int
		body   string
	}
	numbers, shapes := []int{7, 9, 17}, make([]shape, 3)
	t.Run("waiting", func(t *testing.T) {
		for i, xx := range numbers {
			t.Run(harness.Number(xx), func(t *testing.T) {
				t.Parallel()
				rp := *rp
				rp.t = t
				browser := harness.NewBrowser(t, rp.server.Issuer)
				page, _ := rp.begin(browser, harness.Number(xx))
				_, page = browser.Follow(page, time.Second)
				if !page.Has("waiting") {
					t.Errorf("the page after a second is %s (status %d), want the waiting page", page.URL, page.Status)
				}
				body := strings.NewReplacer(
					strings.TrimPrefix(page.URL, rp.server.Issuer), "ATTEMPT",
					harness.Number(xx)[8:], "NNNN").Replace(page.Body)
				shapes[i] = shape{page.Status, withoutDigits(body)}
			})
		}
	})
	for i, xx := range numbers[1:] {
		if got := shapes[i+1]; got != shapes[0] {
			t.Errorf("the page of %02d is\n%+v\nwant that of 07:\n%+v", xx, got, shapes[0])
		}
	}
	// And the lock treats them alike.
	for _, xx := range numbers {
		page, _ := rp.begin(harness.NewBrowser(t, rp.server.Issuer), harness.Number(xx))
		if page.Status != 429 {
			t.Errorf("%02d asked for again at once: %d, want 429", xx, page.Status)
		}
	}
}

// withoutDigits drops times and nonces, which differ between any two pages.
func withoutDigits(body string) string {
	var out []string
	for line := range strings.SplitSeq(body, "\n") {
		if strings.Contains(line, "nonce=") || strings.Contains(line, "data-") || strings.Contains(line, "datetime") {
			continue
		}
		out = append(out, line)
	}
	// The last link names the request that the page has shown.
	text := regexp.MustCompile(`/continue\?for=[A-Za-z0-9_-]+`).ReplaceAllString(strings.Join(out, "\n"), "/continue")
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// 24: a different Truecaller id for a known number is a new user, and an old sub is
// never issued again.
func TestChangedHandsGetsANewSub(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, harness.Dev(t))
	seen := map[string]bool{}
	for range 3 {
		claims := rp.signIn(harness.NewBrowser(t, rp.server.Issuer), harness.Number(24))
		sub := claims["sub"].(string)
		if seen[sub] {
			t.Fatalf("sub %s was issued again", sub)
		}
		seen[sub] = true
	}
}

func TestSameNumberSameSub(t *testing.T) {
	t.Parallel()
	rp := newRelyingParty(t, harness.Dev(t))
	var sub any
	for range 2 {
		claims := rp.signIn(harness.NewBrowser(t, rp.server.Issuer), harness.Number(5))
		if sub != nil && claims["sub"] != sub {
			t.Errorf("the sub of the second sign-in is %v, want %v", claims["sub"], sub)
		}
		sub = claims["sub"]
	}
}
