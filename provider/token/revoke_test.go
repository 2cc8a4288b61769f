// SPDX-License-Identifier: Apache-2.0

package token_test

import (
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

func TestRevocation(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", testworld.AllScopes)
	access, refresh := got.Access, got.Refresh
	revoke := func(token, clientID, secret string) testworld.Response {
		return w.Post("/revoke", url.Values{"token": {token}}, testworld.Basic(clientID, secret))
	}
	wantActive := func(t *testing.T, what string, wantAccess, wantRefresh bool) {
		t.Helper()
		gotAccess := w.Userinfo(access).StatusCode == 200
		gotRefresh := w.Introspect(refresh, "app", testworld.Secret).JSON()["active"] == true
		if gotAccess != wantAccess || gotRefresh != wantRefresh {
			t.Fatalf("%s: got access token active %v and refresh token %v, want %v and %v",
				what, gotAccess, gotRefresh, wantAccess, wantRefresh)
		}
	}
	for what, a := range map[string]testworld.Response{
		"nonsense":                 revoke("nonsense", "app", testworld.Secret),
		"another client's access":  revoke(access, "old", testworld.Secret),
		"another client's refresh": revoke(refresh, "old", testworld.Secret),
		"a public client's try":    w.Post("/revoke", url.Values{"token": {refresh}, "client_id": {"public"}}),
	} {
		t.Run(what, func(t *testing.T) {
			if a.StatusCode != 200 || a.Text != "" && a.Text != "null\n" {
				t.Errorf("got %v, want 200 without a body", a)
			}
			wantActive(t, "afterwards", true, true)
		})
	}
	if a := revoke(access, "app", "wrong"); a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("wrong secret: got %v, want 401 and a challenge", a)
	}
	wrongHint := url.Values{"token": {access}, "token_type_hint": {"refresh_token"}}
	w.Post("/revoke", wrongHint, testworld.Basic("app", testworld.Secret))
	wantActive(t, "revoking the access token", false, true)
	access = testworld.TokensIn(t, w.Refresh("app", refresh)).Access
	revoke(refresh, "app", testworld.Secret)
	wantActive(t, "revoking the refresh token", false, false)
}

// A revocation is audited once it has happened, with its client, grant and user; a try of
// another client, and one that failed here, are no revocation.
func TestRevocationIsAudited(t *testing.T) {
	var f testworld.Breaks
	w := testworld.New(t, breakable(&f))
	got, session := w.Tokens("app", testworld.AllScopes)
	sub := w.Claim(session, "sub")
	revoke := func(clientID string) testworld.Response {
		return w.Post("/revoke", url.Values{"token": {got.Refresh}}, testworld.Basic(clientID, testworld.Secret))
	}
	revoke("old").WantStatus(t, "another client", 200)
	f.Op = "using the grant"
	revoke("app").WantStatus(t, "while the store fails", 500)
	f.Op = ""
	w.WantNotLogged("grant.revoked")
	grantID, _, _ := strings.Cut(got.Refresh, ".")
	revoke("app").WantStatus(t, "its own client", 200)
	events := w.Events("grant.revoked")
	if len(events) != 1 {
		t.Fatalf("audit: got %v, want one grant.revoked", events)
	}
	testworld.WantMembers(t, "the audit", events[0], map[string]any{"client": "app", "grant": grantID, "sub": sub})
	w.Post("/revoke", url.Values{"token_type_hint": {"access_token"}}, testworld.Basic("app", testworld.Secret)).
		WantOAuthError(t, "without a token", 400, "invalid_request")
}
