// SPDX-License-Identifier: Apache-2.0

package logout_test

import (
	"net/url"
	"testing"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
)

// A sign-out prompt that another version of the program has sealed is no failure.
func TestPromptsOfAnotherVersion(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	sealed := signOutRequest(t, w, session, "client_id=app&state=s&ui_locales=sv&post_logout_redirect_uri=https://app.example/bye")
	for what, other := range testworld.OtherVersions(t, keys.PurposeLogoutRequest, sealed) {
		for which, a := range map[string]testworld.Response{
			"reopening":  w.Reopen(authorize.Reopening{Request: other}, session),
			"confirming": w.Post("/logout/confirm", url.Values{"request": {other}}, testworld.Cookie(session)),
		} {
			if a.StatusCode >= 500 {
				t.Errorf("%s with %s: got %v, want no failure of ours", which, what, a)
			}
		}
	}
}
