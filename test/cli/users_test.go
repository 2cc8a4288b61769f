package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/provider/admin"
	"calleridp/test/harness"
)

// An operator finds a person by their number, signs them out and deletes them.
func TestUsersOfARunningServer(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	socket := filepath.Join(server.Data, "admin.sock")
	browser := harness.NewBrowser(t, server.Issuer)
	number := harness.Number(5)
	signIn := func() {
		t.Helper()
		if _, page := browser.Follow(browser.Submit(browser.Get(server.Issuer+"/account"), number), harness.Timeout); !page.Has("account") {
			t.Fatalf("%s (%d)", page.URL, page.Status)
		}
	}
	signIn()
	var u admin.User
	if err := json.Unmarshal([]byte(good(t, "user", "find", "070-174 06 05", "--json", "--socket", socket)), &u); err != nil || u.Number != "+46•••••0605" || len(u.Sessions) != 1 {
		t.Fatalf("%+v, %v", u, err)
	}
	shown := good(t, "user", "show", "--", u.Sub, "--socket", socket)
	for _, line := range []string{"sub           " + u.Sub + "\n", "number        +46•••••0605\n", "last sign-in  20", "session       " + u.Sessions[0].SID + "  unknown browser, signed in 20"} {
		if !strings.Contains(shown, line) {
			t.Errorf("no %q in\n%s", line, shown)
		}
	}
	if out := good(t, "user", "signout", "--", u.Sub, "--socket", socket); !strings.Contains(out, "is signed out everywhere; 1 session has ended") {
		t.Error(out)
	}
	if page := browser.Get(server.Issuer + "/account"); !page.Has("phone") {
		t.Error("still signed in")
	}
	signIn()
	if out := good(t, "user", "delete", "--", u.Sub, "--socket", socket); !strings.Contains(out, u.Sub+" (+46•••••0605) is deleted") {
		t.Error(out)
	}
	if page := browser.Get(server.Issuer + "/account"); !page.Has("phone") {
		t.Error("still signed in")
	}
	one(t, "there is nobody with the sub "+u.Sub, "user", "show", "--", u.Sub, "--socket", socket)
	one(t, "nobody has signed in with the number +46•••••0605", "user", "find", number, "--socket", socket)
	one(t, "SUB is missing", "user", "delete", "--socket", socket)
	if strings.Contains(server.Logged(`"user.deleted"`), number[1:]) {
		t.Errorf("the log has the number (invariant 10)")
	}
}
