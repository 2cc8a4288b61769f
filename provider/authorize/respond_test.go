// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

func TestFormPostResponse(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	a := w.AuthorizeWith(session, "app", "response_mode", "form_post")
	view := a.WantPage(t, "a code by form_post", "formpost")
	if view["action"] != testworld.RedirectURI("app") {
		t.Errorf("action: got %v, want %s", view["action"], testworld.RedirectURI("app"))
	}
	for _, field := range []string{`["code",`, `["iss","` + testworld.Issuer + `"]`, `["state","the-state"]`} {
		if !strings.Contains(a.Text, field) {
			t.Errorf("fields: got %v, want %s among them", a, field)
		}
	}
	// Errors take the same way.
	a = w.Authorize("app", "response_mode", "form_post", "prompt", "none")
	a.WantPage(t, "an error by form_post", "formpost")
	for _, field := range []string{`["error","login_required"]`, `["iss",`} {
		if !strings.Contains(a.Text, field) {
			t.Errorf("fields of the error: got %v, want %s among them", a, field)
		}
	}
}

// The nonce and the redirect URI's own query come back unchanged.
func TestEchoes(t *testing.T) {
	w := testworld.New(t)
	long := strings.Repeat("n/+ä&=", 146)
	const uri = "https://app.example/cb?with=query"
	done, _ := w.SignIn(testworld.AuthRequest("app", "nonce", long, "redirect_uri", uri), testworld.Number)
	if at := done.Response.URL(); !strings.HasPrefix(at, uri+"&code=") {
		t.Errorf("response: got %s, want the code added to %s", at, uri)
	}
	a := w.Exchange("app", testworld.Param(done.Response, "code"), func(v url.Values) { v.Set("redirect_uri", uri) })
	if got := testworld.TokensIn(t, a).Claims(t)["nonce"]; got != long {
		t.Errorf("nonce: got %v, want %s", got, long)
	}
}
