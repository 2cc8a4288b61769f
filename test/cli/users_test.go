package cli

import (
	"encoding/json"
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
