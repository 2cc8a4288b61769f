// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"testing"

	"calleridp/provider/internal/testworld"
)

// The list of applications leads to where a sign-in begins at each, with iss and without a
// word about the user (OpenID Connect Core §4).
func TestApplicationsOpen(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) { c.Clients[0].InitiateLoginURI = "https://app.example/login" })
	_, session := w.Tokens("app", "openid offline_access")
	w.CodeTokens(session, "old", "scope", "openid offline_access")
	want := map[string]string{"app": "https://app.example/login?iss=https%3A%2F%2Fid.example", "old": ""}
	for _, row := range rows(accountPage(t, w, session), "Applications") {
		id := row["Client"].(map[string]any)["ID"].(string)
		if row["Open"] != want[id] {
			t.Errorf("%s: got %v, want %q", id, row["Open"], want[id])
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("not on the page: %v", want)
	}
}
