// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/internal/testworld"
)

// Reopen finds the page of a sealed request, or shows an error page. The rooms
// test what it shows.
func TestReopenRefuses(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w := testworld.New(t)
		signIn := testworld.SealedRequest(t, w.Authorize("app"), "signin")
		_, session := w.Tokens("app", "openid")
		signOut := testworld.SealedRequest(t, w.Get("/logout", session), "confirm")
		time.Sleep(2 * time.Hour) // of the bubble's own time
		for what, row := range map[string]struct{ sealed, want string }{
			"nothing":             {"", "bad_request"},
			"not sealed":          {"sealed", "bad_request"},
			"not sealed, longer":  {strings.Repeat("A", 400), "bad_request"},
			"an expired sign-in":  {signIn, "request_expired"},
			"an expired sign-out": {signOut, "request_expired"},
		} {
			w.Reopen(authorize.Reopening{Request: row.sealed}, session).WantErrorPage(t, what, 400, row.want)
		}
	})
}
