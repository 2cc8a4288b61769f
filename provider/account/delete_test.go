// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
)

func TestDeleteTheAccount(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", testworld.AllScopes)
	_, elsewhere := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	sub := got.Claims(t)["sub"].(string)
	_, stranger := w.SignIn(testworld.AuthRequest("app"), testworld.OtherNumber)
	open := w.Approved(testworld.AuthRequest("app"), testworld.Number) // approved, and not used yet
	w.Log.Reset()
	a := send(t, w, session, "/account/delete", nil)
	a.WantRedirect(t, "deleting", "/account/deleted")
	if !slices.ContainsFunc(a.Header.Values("Set-Cookie"), func(set string) bool { return strings.HasPrefix(set, "__Host-calleridp_device=;") }) {
		t.Errorf("the device is remembered: %v", a.Header.Values("Set-Cookie"))
	}
	if !a.ClearsSession() {
		t.Fatalf("deleting: got headers %v, want the session cookie deleted", a.Header)
	}
	v := w.Get("/account/deleted").WantPage(t, "the page afterwards", "step")
	if v["Step"] != "deleted" || v["Token"] != "" {
		t.Errorf("the page afterwards: got %v, want step deleted without a token", v)
	}
	for what, c := range map[string]*http.Cookie{"here": session, "elsewhere": elsewhere} {
		w.Get("/account", c).WantPage(t, "the account page "+what, "signin")
		if w.SignedIn(c) {
			t.Errorf("session %s: got it live, want it ended", what)
		}
	}
	w.Userinfo(got.Access).WantStatus(t, "userinfo", 401)
	w.Refresh("app", got.Refresh).WantOAuthError(t, "refreshing", 400, "invalid_grant")
	if _, err := w.Continue(open); !errors.Is(err, login.ErrState) {
		t.Errorf("continuing an open attempt: got %v, want %v", err, login.ErrState)
	}
	if !w.SignedIn(stranger) {
		t.Error("another user's session: got it ended, want it live")
	}
	// The audit has the sub and nothing else about the user.
	log := w.Log.Text()
	i := strings.Index(log, `"person.deleted"`)
	if i < 0 {
		t.Fatalf("audit: got\n%s\nwant person.deleted", log)
	}
	line := log[i : i+strings.IndexByte(log[i:], '\n')]
	if !strings.Contains(line, sub) || strings.Contains(line, "0605") || strings.Contains(line, "Asha") ||
		strings.Contains(line, "sid") {
		t.Errorf("audit: got %s, want the sub %s alone", line, sub)
	}
	// The next user with the number is a new one.
	again, _ := w.Tokens("app", testworld.AllScopes)
	if next := again.Claims(t)["sub"]; next == sub {
		t.Errorf("sub of the next user: got %v, want another one", next)
	}
}

// A number that has changed hands: the earlier user's session has ended, so that only an
// operator deletes the account, which leaves the next user theirs.
func TestTheAccountOfANumberThatChangedHands(t *testing.T) {
	w := testworld.New(t)
	tokens, old := w.Tokens("app", "openid")
	_, next := w.SignInAs(testworld.AuthRequest("app"), testworld.AnotherProfile(t, testworld.Number))
	if w.SignedIn(old) {
		t.Error("the earlier user is still signed in")
	}
	if v := accountPage(t, w, next); v["NumberLost"] != false {
		t.Errorf("the next user's page: got %v, want NumberLost false", v)
	}
	if err := w.Store.DeletePerson(t.Context(), tokens.Claims(t)["sub"].(string)); err != nil {
		t.Fatal(err)
	}
	if v := accountPage(t, w, next); v["NumberLost"] != false {
		t.Errorf("the next user's page after the deletion: got %v, want NumberLost false", v)
	}
}
