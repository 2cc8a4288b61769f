// SPDX-License-Identifier: Apache-2.0

package authorize_test

import (
	"fmt"
	"strings"
	"testing"

	"calleridp/provider/internal/testworld"
)

// Only in development does the error page say what is wrong with the redirect URI.
func TestErrorDetailOnlyInDevelopment(t *testing.T) {
	const uri = "https://app.example/cb/"
	_, view := testworld.New(t).Authorize("app", "redirect_uri", uri).Page()
	detail, _ := view["Detail"].(string)
	for _, want := range []string{`"https://app.example/cb/"`, `"https://app.example/cb"`, "slash"} {
		if !strings.Contains(detail, want) {
			t.Errorf("in development: got detail %q, want %s in it", detail, want)
		}
	}
	_, view = testworld.New(t).Get("/authorize?client_id=app&" + testworld.AuthRequest("app").Encode()).Page()
	if detail, _ := view["Detail"].(string); !strings.Contains(detail, "client_id or redirect_uri is given more than once") {
		t.Errorf("client_id twice: got detail %q, want what is repeated", detail)
	}
	w := testworld.New(t, func(c *testworld.Config) { c.Provider.Dev = false })
	_, view = w.Authorize("app", "redirect_uri", uri).Page()
	if view["Detail"] != "" || !strings.Contains(w.Log.Text(), view["Correlation"].(string)) {
		t.Errorf("in production: got %v, want no detail and a correlation that the log has", view)
	}
}

// A client whose Truecaller app has been removed from the configuration does not
// fall back to another one's name and callback.
func TestClientOfAnAppThatIsGone(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) { delete(c.Provider.Apps.ByID, "tap") })
	if a := w.Authorize("tap"); a.StatusCode != 500 || !strings.Contains(w.Log.Text(), "not configured") {
		t.Errorf("got %v, want 500, and the reason in the log:\n%s", a, w.Log.Text())
	}
}

// Native clients without redirect URIs cannot sign in through a browser, and the
// page says so.
func TestNativeClientsAtTheAuthorizationEndpoint(t *testing.T) {
	w, _ := testworld.NewNative(t)
	for _, uri := range []string{"https://evil.example/cb", "com.example.app:/cb", "-"} {
		page, view := w.Authorize("app", "client_id", "native", "redirect_uri", uri).Page()
		if page != "error" || !strings.Contains(fmt.Sprint(view["Detail"]), "no redirect_uri is registered") {
			t.Errorf("redirect_uri %s: got %s %v, want an error page that says that none is registered",
				uri, page, view)
		}
	}
	// A redirect URI does not help if the client's Truecaller app sends no push.
	a := w.Authorize("app", "client_id", "web-of-nat", "redirect_uri", "https://nat.example/cb")
	if _, query := a.Redirect(); query.Get("error") != "unauthorized_client" {
		t.Errorf("a web client of a native app: got %v, want unauthorized_client", a)
	}
}
