// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// The account page says what an application got by name, as it says what it got by scope.
func TestClaimsThatWereRequestedByName(t *testing.T) {
	w := testworld.New(t)
	request := testworld.AuthRequest("app", "claims", `{"id_token":{"email":null},"userinfo":{"phone_number":null}}`)
	done, session := w.SignIn(request, testworld.Number)
	testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code")))
	page := w.Get("/account", session)
	page.WantPage(t, "the account page", "account")
	if !strings.Contains(page.Text, `"Scopes":["openid","email","phone"]`) {
		t.Errorf("account page: got %s, want the scopes openid, email and phone", page.Text)
	}
}
