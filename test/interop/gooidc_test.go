// SPDX-License-Identifier: Apache-2.0

// Package interop runs the sign-in with OpenID Connect clients that others
// wrote. This file: coreos/go-oidc with golang.org/x/oauth2.
package interop

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"calleridp/test/harness"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type tokens struct {
	oauth *oauth2.Token
	id    *oidc.IDToken
	raw   map[string]any
}

func signIn(t *testing.T, ctx context.Context, provider *oidc.Provider, config oauth2.Config, browser *harness.Browser, number string, scopes ...string) tokens {
	t.Helper()
	config.Endpoint = provider.Endpoint()
	config.Scopes = append([]string{oidc.ScopeOpenID}, scopes...)
	verifier := oauth2.GenerateVerifier()
	page := browser.Get(config.AuthCodeURL("the-state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the-nonce")))
	left, page := browser.Follow(browser.Submit(page, number), harness.Timeout)
	if left == nil {
		t.Fatalf("the sign-in stopped at %s (%d):\n%s", page.URL, page.Status, page.Body)
	}
	if got := left.Query().Get("iss"); got != browser.Issuer {
		t.Errorf("iss = %q on the authorization response, want %q (RFC 9207)", got, browser.Issuer)
	}
	if got := left.Query().Get("state"); got != "the-state" {
		t.Errorf("state is %q, want the-state", got)
	}
	got, err := config.Exchange(ctx, left.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatalf("the code exchange failed: %v", err)
	}
	id := verified(t, provider, config, got)
	if id.Nonce != "the-nonce" {
		t.Errorf("nonce is %q, want the-nonce", id.Nonce)
	}
	if err := id.VerifyAccessToken(got.AccessToken); err != nil {
		t.Errorf("at_hash is wrong: %v", err)
	}
	out := tokens{oauth: got, id: id}
	if err := id.Claims(&out.raw); err != nil {
		t.Fatal(err)
	}
	return out
}

// verified returns the ID token of a token response, which must be valid.
func verified(t *testing.T, provider *oidc.Provider, config oauth2.Config, response *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := response.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: config.ClientID}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("the ID token is not valid: %v", err)
	}
	return id
}

func TestGoOIDC(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, server.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]oauth2.Config{
		"confidential": {ClientID: "demo", ClientSecret: "demo-secret"},
		"public":       {ClientID: "demo-public"},
		"ES256":        {ClientID: "demo-es256", ClientSecret: "demo-es256-secret"},
	}
	for name, config := range clients {
		t.Run(name, func(t *testing.T) {
			config.RedirectURL = server.Demo + "/callback"
			started := time.Now()
			got := signIn(t, ctx, provider, config, harness.NewBrowser(t, server.Issuer), "+46 70 174 06 05",
				"profile", "email", "phone", "address", "truecaller", "offline_access")

			want := map[string]any{
				"iss": server.Issuer, "aud": config.ClientID, "azp": config.ClientID,
				"phone_number": "+46701740605", "phone_number_verified": true, "email_verified": false,
			}
			for claim, value := range want {
				if got.raw[claim] != value {
					t.Errorf("%s = %v, want %v", claim, got.raw[claim], value)
				}
			}
			for _, claim := range []string{"sub", "auth_time", "exp", "iat", "at_hash", "sid", "name", "email", "phone_number_verified_at"} {
				if got.raw[claim] == nil {
					t.Errorf("the ID token has no %s", claim)
				}
			}
			if at := time.Unix(int64(got.raw["auth_time"].(float64)), 0); at.Before(started.Add(-2*time.Second)) || at.After(time.Now().Add(time.Second)) {
				t.Errorf("auth_time is %v, want the time of the sign-in, %v", at, started)
			}

			info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(got.oauth))
			if err != nil {
				t.Fatalf("userinfo failed: %v", err)
			}
			var fromUserinfo map[string]any
			if err := info.Claims(&fromUserinfo); err != nil {
				t.Fatal(err)
			}
			for claim, value := range fromUserinfo {
				if a, b := asJSON(t, value), asJSON(t, got.raw[claim]); a != b {
					t.Errorf("%s at userinfo is %s, want %s as in the ID token", claim, a, b)
				}
			}

			config.Endpoint = provider.Endpoint()
			next, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: got.oauth.RefreshToken}).Token()
			if err != nil {
				t.Fatalf("the refresh failed: %v", err)
			}
			if id := verified(t, provider, config, next); id.Subject != got.id.Subject {
				t.Errorf("the sub after the refresh is %q, want %q", id.Subject, got.id.Subject)
			}
		})
	}
}

// The first authentication method that x/oauth2 tries may fail; the code must
// still be good for the second (consumers of RFC 6749 §2.3.1 probe).
func TestFailedClientAuthenticationLeavesTheCode(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, server.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	browser := harness.NewBrowser(t, server.Issuer)
	verifier := oauth2.GenerateVerifier()
	config := oauth2.Config{ClientID: "demo", ClientSecret: "wrong", RedirectURL: server.Demo + "/callback", Endpoint: provider.Endpoint(), Scopes: []string{"openid"}}
	page := browser.Get(config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	left, page := browser.Follow(browser.Submit(page, harness.Number(5)), harness.Timeout)
	if left == nil {
		t.Fatalf("the sign-in stopped at %s (%d):\n%s", page.URL, page.Status, page.Body)
	}
	code := left.Query().Get("code")
	if _, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier)); err == nil {
		t.Fatal("the exchange with a wrong secret succeeded")
	}
	config.ClientSecret = "demo-secret"
	if _, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier)); err != nil {
		t.Errorf("the exchange after a failed client authentication: %v, want tokens", err)
	}
}

func TestUserinfoRefusesWithAChallenge(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	for _, path := range []string{"", "?access_token=guess"} {
		answer, err := http.Get(server.Issuer + "/userinfo" + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("userinfo%s without a token: status %d, WWW-Authenticate %q; want 401 and a challenge (RFC 6750 §3)", path, answer.StatusCode, answer.Header.Get("WWW-Authenticate"))
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
