// SPDX-License-Identifier: Apache-2.0

package logout_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
)

func TestReopenTheSignOutPrompt(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	sealed := signOutRequest(t, w, session, "client_id=app&post_logout_redirect_uri=https://app.example/bye")
	again := w.Reopen(authorize.Reopening{Request: sealed}, session).WantPage(t, "reopening", "confirm")
	if again["Client"].(map[string]any)["Name"] != "App" || again["FormAction"] != "https://app.example" {
		t.Errorf("prompt: got %v, want the client and its form action", again)
	}
	if !w.SignedIn(session) {
		t.Error("after reopening: got the session ended, want it live")
	}
	w.AddClient(testworld.App("brief"))
	gone := signOutRequest(t, w, session, "client_id=brief")
	w.RemoveClient("brief")
	bare := signOutRequest(t, w, session, "")
	for what, row := range map[string]struct{ sealed, page, kind string }{
		"of no client":             {bare, "confirm", ""},
		"of a client that is gone": {gone, "error", "bad_request"},
		"nonsense":                 {"nonsense", "error", "bad_request"},
		"an expired one":           {testworld.Aged(t, keys.PurposeLogoutRequest, sealed), "error", "request_expired"},
	} {
		view := w.Reopen(authorize.Reopening{Request: row.sealed}, session).WantPage(t, what, row.page)
		if kind, _ := view["Kind"].(string); kind != row.kind {
			t.Errorf("%s: got %v, want %s", what, view, row.kind)
		}
	}
}

// The prompt's form can send whatever the endpoint accepts. A state that is too long
// is refused at the door.
func TestLongStateAtSignOut(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	for _, character := range []string{"a", "<", "\x01", "ä"} {
		for _, size := range []int{1000, 4096, 4098, 9000} {
			state := strings.Repeat(character, size/len(character))
			query := url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {state}}
			a := w.Get("/logout?"+query.Encode(), session)
			if size > 4096 || character == "\x01" && size == 4096 {
				a.WantErrorPage(t, fmt.Sprintf("%d of %q", size, character), 413, "too_large")
				continue
			}
			sealed := testworld.SealedRequest(t, a, "confirm")
			_, session = w.Tokens("app", "openid")
			done := w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session))
			if _, got := done.Redirect(); got.Get("state") != state {
				t.Errorf("%d of %q: got %v, want the state back", size, character, done)
			}
		}
	}
}
