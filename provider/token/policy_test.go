package token_test

import (
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
