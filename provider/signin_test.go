// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/internal/testworld"
)

// A sign-in from the authorization request to the ID token, for each kind of
// client.
func TestSignIn(t *testing.T) {
	w := testworld.New(t)
	for _, c := range []struct {
		id   string
		hash func(string) string // at_hash
	}{
		{"app", left256},
		{"public", left256},
		{"es256", left256},
		{"eddsa", left512},
		{"pair", left256},
	} {
		t.Run(c.id, func(t *testing.T) {
			w := w.In(t)
			before := time.Now().Truncate(time.Second)
			done, _ := w.SignIn(testworld.AuthRequest(c.id, "scope", "openid phone"), testworld.Number)
			if at := done.Response.RedirectURI; at != testworld.RedirectURI(c.id) {
				t.Errorf("response: got redirect URI %s, want %s", at, testworld.RedirectURI(c.id))
			}
			for name, want := range map[string]string{"state": "the-state", "iss": testworld.Issuer} {
				if got := testworld.Param(done.Response, name); got != want {
					t.Errorf("%s in the response: got %q, want %q", name, got, want)
				}
			}
			a := w.Exchange(c.id, testworld.Param(done.Response, "code"))
			got := testworld.TokensIn(t, a)
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("token response: got headers %v, want JSON and no-store", a.Header)
			}
			testworld.WantMembers(t, "the token response", got.JSON(), map[string]any{
				"token_type":    "Bearer",
				"expires_in":    3600.0,
				"scope":         "openid phone",
				"refresh_token": nil,
			})
			id := got.Claims(t)
			testworld.WantMembers(t, "the ID token", id, map[string]any{
				"iss":                   testworld.Issuer,
				"aud":                   c.id,
				"azp":                   c.id,
				"nonce":                 "the-nonce",
				"acr":                   claims.ACRPush,
				"at_hash":               c.hash(got.Access),
				"phone_number":          testworld.Number,
				"phone_number_verified": true,
			})
			sub, _ := id["sub"].(string)
			if sub == "" || strings.Contains(sub, ":") || len(sub) > 255 {
				t.Errorf("sub: got %q, want 255 characters at most, without a colon", sub)
			}
			authTime := testworld.Seconds(id["auth_time"])
			iat, exp := testworld.Seconds(id["iat"]), testworld.Seconds(id["exp"])
			if authTime.Before(before) || iat.Before(authTime) || iat.After(time.Now()) ||
				exp.Sub(iat) < 5*time.Minute {
				t.Errorf("times: got auth_time %v, iat %v, exp %v, want them in this order since %v",
					authTime, iat, exp, before)
			}
		})
	}
}

func left256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func left512(s string) string {
	sum := sha512.Sum512([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:32])
}

// The log has no credential and no whole number.
func TestInvariant10_LogsKeepSecrets(t *testing.T) {
	w := testworld.New(t)
	// The library logs to the process's own logger.
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewJSONHandler(w.Log, nil)))
	done, session := w.SignIn(testworld.AuthRequest("app", "scope", testworld.AllScopes), testworld.Number)
	code := testworld.Param(done.Response, "code")
	tokens := testworld.TokensIn(t, w.Exchange("app", code))
	w.Exchange("app", code)
	w.Exchange("app", "nonsense-code")
	w.Refresh("app", tokens.Refresh+"x")
	w.Post("/token", url.Values{"grant_type": {"refresh_token"}}, testworld.Basic("app", "wrong-secret"))
	w.Userinfo("wrong-token")
	w.Authorize("app", "redirect_uri", "https://evil.example/")
	log := w.Log.Text()
	if !strings.Contains(log, "grant.reused") {
		t.Errorf("audit: got\n%s\nwant grant.reused", log)
	}
	for what, text := range map[string]string{
		"code":           code,
		"access token":   tokens.Access,
		"refresh token":  tokens.Refresh,
		"ID token":       tokens.ID,
		"session cookie": session.Value,
		"browser cookie": testworld.Browser,
		"client secret":  testworld.Secret,
		"wrong secret":   "wrong-secret",
		"wrong token":    "wrong-token",
		"number":         testworld.Number[1:],
		"verifier":       testworld.Verifier,
	} {
		if text == "" || strings.Contains(log, text) {
			t.Errorf("log: got\n%s\nwant no %s (%q)", log, what, text)
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log: got the line %q, want JSON", line)
		}
	}
}
