// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"testing"

	"calleridp/provider/internal/testworld"
)

// One space separates scopes (RFC 6749 §3.3), at every endpoint the same, and nothing
// else that separates words. A refused refresh changes nothing.
func TestMalformedScopes(t *testing.T) {
	w, _ := testworld.NewNative(t)
	got, _ := w.Tokens("app", "openid phone offline_access")
	for _, scope := range []string{
		" openid", "openid ", "openid  phone", " ", "openid\tphone", "openid\nphone", "openid\r\n", "openid\u00a0phone", "openid\u3000phone",
		"openid phone\v", "openid\u2028phone", "openid \x00", "openid \x7f",
	} {
		what := "scope " + scope
		_, query := w.Authorize("app", "scope", scope).Redirect()
		if query.Get("error") != "invalid_scope" || query.Get("error_description") == "" {
			t.Errorf("an authorization request with %q: got %v, want invalid_scope", what, query)
		}
		w.Refresh("app", got.Refresh, "scope", scope).WantOAuthError(t, "refreshing with "+what, 400, "invalid_scope")
		w.Post("/token", testworld.ExchangeRequest("native", "scope", scope)).
			WantOAuthError(t, "an exchange with "+what, 400, "invalid_scope")
	}
	w.Refresh("app", got.Refresh, "scope", "openid phone").WantStatus(t, "refreshing", 200)
	w.Refresh("app", got.Refresh, "scope", "").WantStatus(t, "refreshing with an empty scope, which is none", 200)
	w.NativeTokens("native")
}

// prompt is such a list, too. Of ui_locales, what is malformed is ignored, as every
// unknown language is.
func TestMalformedLists(t *testing.T) {
	w := testworld.New(t)
	for _, prompt := range []string{" login", "login ", "login  consent", "login\tconsent", "none\n", "login\u00a0consent", " "} {
		_, query := w.Authorize("app", "prompt", prompt).Redirect()
		if query.Get("error") != "invalid_request" {
			t.Errorf("prompt %q: got %v, want invalid_request", prompt, query)
		}
	}
	view := w.Authorize("app", "ui_locales", " sv  de\ten fr\n hi").WantPage(t, "odd locales", "signin")
	if got := view["UILocales"]; len(got.([]any)) != 2 || got.([]any)[0] != "sv" || got.([]any)[1] != "hi" {
		t.Errorf("ui_locales: got %v, want sv and hi", got)
	}
}
