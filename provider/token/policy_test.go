// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"slices"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// What the client may have is checked at every use of a grant, not only at
// sign-in.
func TestPolicyCountsAtEveryUse(t *testing.T) {
	w := testworld.New(t)
	c := testworld.App("")
	c.SecretHashes = nil
	c, secret := w.AddClient(c)
	request := testworld.AuthRequest("app", "client_id", c.ID, "scope", testworld.AllScopes)
	done, _ := w.SignIn(request, testworld.Number)
	redeem := testworld.CodeRequest("app", testworld.Param(done.Response, "code"))
	got := testworld.TokensIn(t, w.Post("/token", redeem, testworld.Basic(c.ID, secret)))
	refresh := func(token string) testworld.Response {
		return w.Post("/token", testworld.RefreshRequest(token), testworld.Basic(c.ID, secret))
	}
	restrict := func(scopes ...string) {
		t.Helper()
		err := w.Store.UpdateClient(t.Context(), c.ID, func(c *client.Client) error { c.Scopes = scopes; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}

	restrict("openid", "phone", "offline_access")
	next := testworld.TokensIn(t, refresh(got.Refresh))
	if next.JSON()["scope"] != "openid phone offline_access" || next.Claims(t)["email"] != nil {
		t.Errorf("refreshing with fewer scopes: got %v, want openid phone offline_access", next)
	}
	if info := w.Userinfo(got.Access).JSON(); info["email"] != nil || info["phone_number"] == nil {
		t.Errorf("userinfo with fewer scopes: got %v, want the number alone", info)
	}
	// It may name scopes, and gets no more: in the tokens, and wherever they are used.
	restrict("openid", "phone", "offline_access")
	for _, row := range []struct {
		named, allowed, want string
	}{
		{"openid phone email", "openid phone offline_access", "openid phone"},
		{"openid phone email", "openid offline_access", "openid"},
		{"openid", "openid phone offline_access", "openid"},
		{"openid phone email", "openid phone email offline_access profile", "openid email phone"},
		{testworld.AllScopes, "openid offline_access", "openid offline_access"},
		{"phone", "openid offline_access", ""},
		{"openid cheese", "openid offline_access", ""},
	} {
		what := row.named + " of " + row.allowed
		restrict(strings.Fields(row.allowed)...)
		named := testworld.RefreshRequest(next.Refresh)
		named.Set("scope", row.named)
		a := w.Post("/token", named, testworld.Basic(c.ID, secret))
		if row.want == "" {
			a.WantOAuthError(t, what, 400, "invalid_scope")
			continue
		}
		next = testworld.TokensIn(t, a)
		seen := w.Introspect(next.Access, c.ID, secret).Member("scope")
		restrict(strings.Fields(testworld.AllScopes)...) // what the token itself says, whatever the client may have now
		later, info, id := w.Introspect(next.Access, c.ID, secret).Member("scope"), w.Userinfo(next.Access).JSON(), next.Claims(t)
		for place, got := range map[string]any{
			"the response": next.JSON()["scope"], "introspection": seen, "introspection later": later,
		} {
			if !sameScopes(got, row.want) {
				t.Errorf("%s: %s: got %v, want %s", what, place, got, row.want)
			}
		}
		for scope, claim := range map[string]string{"phone": "phone_number", "email": "email", "profile": "name"} {
			want := slices.Contains(strings.Fields(row.want), scope)
			if (info[claim] != nil) != want || (id[claim] != nil) != want {
				t.Errorf("%s: got %s %v in userinfo, %v in the ID token; want it there: %v", what, claim, info[claim], id[claim], want)
			}
		}
	}
	restrict("openid")
	refresh(next.Refresh).WantOAuthError(t, "refreshing without offline_access", 400, "invalid_grant")
	restrict("openid", "phone", "offline_access")
	refresh(next.Refresh).WantStatus(t, "refreshing when it is allowed again", 200)

	w.RemoveClient(c.ID)
	w.Userinfo(got.Access).WantStatus(t, "userinfo after the client was removed", 401)
	// The next client with its ID gets nothing of what it had.
	c, secret = w.AddClient(c)
	w.Userinfo(got.Access).WantStatus(t, "userinfo after another client has its ID", 401)
	refresh(next.Refresh).WantOAuthError(t, "refreshing as another client with its ID", 400, "invalid_grant")
}

// sameScopes reports whether got is these scopes, in any order.
func sameScopes(got any, want string) bool {
	text, _ := got.(string)
	a, b := strings.Fields(text), strings.Fields(want)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
