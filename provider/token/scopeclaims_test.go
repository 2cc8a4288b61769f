// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// The claims of the scopes are where the client is to get them (OpenID Connect Core §5.4),
// also after a refresh, and a client always gets them somewhere.
func TestScopeClaims(t *testing.T) {
	for _, row := range []struct {
		where                     client.ScopeClaims
		back, userinfo            bool // the ID tokens of the token endpoint, userinfo
		idToken, implicit, hybrid bool // those of the authorization endpoint, by response type
	}{
		{client.ScopeClaimsBoth, true, true, true, false, false},
		{client.ScopeClaimsInIDToken, true, false, true, true, false},
		{client.ScopeClaimsAtUserinfo, false, true, true, false, false},
	} {
		w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
			for i := range c.Clients {
				c.Clients[i].ScopeClaims = row.where
			}
		})
		has := func(what string, claims map[string]any, want bool) {
			t.Helper()
			for _, claim := range []string{"phone_number", "name", "email_verified"} {
				if _, got := claims[claim]; got != want {
					t.Errorf("%q, %s: got %s %v, want %v", row.where, what, claim, claims[claim], want)
				}
			}
			if claims["sub"] == nil {
				t.Errorf("%q, %s: got no sub", row.where, what)
			}
		}
		const scope = "openid profile phone email offline_access"
		tokens, session := w.Tokens("app", scope)
		has("ID token", tokens.Claims(t), row.back)
		has("userinfo", w.Userinfo(tokens.Access).JSON(), row.userinfo)
		next := testworld.TokensIn(t, w.Refresh("app", tokens.Refresh))
		has("refreshed ID token", next.Claims(t), row.back)
		has("userinfo after a refresh", w.Userinfo(next.Access).JSON(), row.userinfo)
		for rt, want := range map[string]bool{"id_token": row.idToken, "id_token token": row.implicit, "code id_token": row.hybrid, "code id_token token": row.hybrid} {
			d := w.AuthorizeWith(session, "app", "response_type", rt, "scope", scope).Delivered()
			has(rt, testworld.Claims(t, d.Get("id_token")), want)
			if token := d.Get("access_token"); token != "" {
				has("userinfo of "+rt, w.Userinfo(token).JSON(), row.userinfo)
			}
		}
	}
}
