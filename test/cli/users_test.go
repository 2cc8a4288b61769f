// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/provider/admin"
	"calleridp/test/harness"
)

// An operator finds a user by number, signs them out and deletes them.
func TestUsersOfARunningServer(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	socket := filepath.Join(server.Data, "admin.sock")
	browser := harness.NewBrowser(t, server.Issuer)
	number := harness.Number(5)
	signIn := func() {
		t.Helper()
		if _, page := browser.Follow(browser.Submit(browser.Get(server.Issuer+"/account"), number), harness.Timeout); !page.Has("account") {
			t.Fatalf("the sign-in stopped at %s (status %d), want the account page", page.URL, page.Status)
		}
	}
	signIn()
	var u admin.User
	if err := json.Unmarshal([]byte(good(t, "user", "find", "070-174 06 05", "--output", "json", "--socket", socket)), &u); err != nil || u.Number != "+46•••••0605" || len(u.Sessions) != 1 {
		t.Fatalf("user find printed %+v (%v), want the masked number and one session", u, err)
	}
	shown := good(t, "user", "show", u.Sub, "--socket", socket)
	for _, line := range []string{"sub           " + u.Sub + "\n", "number        +46•••••0605\n", "last sign-in  20", "session       " + u.Sessions[0].SID + "  unknown browser, signed in 20"} {
		if !strings.Contains(shown, line) {
			t.Errorf("user show printed no %q:\n%s", line, shown)
		}
	}
	if out := good(t, "user", "signout", u.Sub, "--socket", socket); !strings.Contains(out, "is signed out everywhere; 1 session revoked") {
		t.Errorf("user signout printed %q, want one session revoked", out)
	}
	if page := browser.Get(server.Issuer + "/account"); !page.Has("phone") {
		t.Errorf("the account page after user signout is %s (status %d), want the sign-in form", page.URL, page.Status)
	}
	signIn()
	// An application's access goes as a whole: its grants, its tokens, the consent.
	sum := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	const redirect = "http://127.0.0.1/callback"
	left, page := browser.Follow(browser.Get(server.Issuer+"/authorize?"+url.Values{
		"client_id": {"demo-public"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()), harness.Timeout)
	if left == nil {
		t.Fatalf("the sign-in stopped at %s (status %d):\n%s", page.URL, page.Status, page.Body)
	}
	response, err := http.PostForm(server.Issuer+"/token", url.Values{
		"client_id": {"demo-public"}, "redirect_uri": {redirect}, "grant_type": {"authorization_code"},
		"code": {left.Query().Get("code")}, "code_verifier": {strings.Repeat("v", 43)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&tokens); err != nil || tokens.AccessToken == "" {
		t.Fatalf("token: %d, %v", response.StatusCode, err)
	}
	userinfo := func() int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.Issuer+"/userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if status := userinfo(); status != http.StatusOK {
		t.Errorf("userinfo before: %d", status)
	}
	remove := []string{"grant", "remove", "--client", "demo-public", "--sub", u.Sub, "--socket", socket}
	if out := good(t, remove...); out != "client demo-public has no access to user "+u.Sub+" any more; 1 grant revoked\n" {
		t.Errorf("grant remove printed %q", out)
	}
	if status := userinfo(); status != http.StatusUnauthorized {
		t.Errorf("userinfo after grant remove: got %d, want 401", status)
	}
	server.Logged(`"user.access_revoked"`, u.Sub)
	one(t, "client demo-public has no access to this user", remove...)
	one(t, "missing --client CLIENT_ID or --sub SUB", "grant", "remove", "--client", "demo-public", "--socket", socket)
	if out := good(t, "user", "delete", u.Sub, "--socket", socket); !strings.Contains(out, u.Sub+" (+46•••••0605) is deleted") {
		t.Errorf("user delete printed %q, want that %s is deleted", out, u.Sub)
	}
	if page := browser.Get(server.Issuer + "/account"); !page.Has("phone") {
		t.Errorf("the account page after user delete is %s (status %d), want the sign-in form", page.URL, page.Status)
	}
	one(t, "there is no user with the sub "+u.Sub, "user", "show", u.Sub, "--socket", socket)
	one(t, "no user has signed in with the number +46•••••0605", "user", "find", number, "--socket", socket)
	one(t, "missing SUB; usage: calleridp user delete SUB", "user", "delete", "--socket", socket)
	if strings.Contains(server.Logged(`"user.deleted"`), number[1:]) {
		t.Errorf("the log has the number (invariant 10)")
	}
}
