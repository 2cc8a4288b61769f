// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"encoding/base64"
	"testing"

	"calleridp/provider/internal/testworld"
)

// A form can be posted to the web only. The response to any other redirect URI is a
// redirect, that of the refusal too.
func TestFormPostNeedsTheWeb(t *testing.T) {
	w := testworld.New(t)
	object := "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"response_mode":"form_post"}`)) + "."
	for what, pairs := range map[string][]string{
		"response_mode":       {"response_mode", "form_post"},
		"silently":            {"response_mode", "form_post", "prompt", "none"},
		"a request object's":  {"request", object},
		"and another mistake": {"response_mode", "form_post", "scope", "phone"},
	} {
		a := w.Authorize("public", pairs...)
		at, query := a.Redirect()
		if a.StatusCode != 303 || at != testworld.RedirectURI("public") || query.Get("error") != "invalid_request" || query.Get("state") == "" {
			t.Errorf("%s: got %v, want a redirect to the application with invalid_request", what, a)
		}
	}
	w.Authorize("public", "response_mode", "form_post", "redirect_uri", "http://127.0.0.1:51004/cb").WantPage(t, "a loopback address", "signin")
}
