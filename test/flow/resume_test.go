// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

var continueLink = regexp.MustCompile(`href="(/attempt/[^/"]+/continue\?for=[^"]+)"`)

// A user who starts again while the push is open, from the same application or from
// another one, arrives where they came from last, with the state of that request. The
// phone rings once. An application whose prompt has another name is no place to switch to.
func TestTheNewestRequestArrives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "other-key", "secret": strings.Repeat("d", 40), "client": harness.ClientSecret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const second, third = "https://second.example/cb", "https://third.example/cb"
	server := serveSimulated(t, simulator.Config{}, fmt.Sprintf(`  - client_id: second
    name: Second
    secret_file: %[1]s/client
    redirect_uris: ["%[2]s"]
  - client_id: third
    name: Third
    secret_file: %[1]s/client
    redirect_uris: ["%[3]s"]
    truecaller_app: other
truecaller_apps:
  - {id: other, app_name: Other, app_key_file: %[1]s/key, callback_secret_file: %[1]s/secret, api_url: "http://127.0.0.1:1"}
`, dir, second, third))
	browser, number := harness.NewBrowser(t, server.Issuer), harness.Number(6) // approves after two seconds
	ask := func(clientID, redirectURI, state string) harness.Page {
		t.Helper()
		page := browser.Get(server.AuthorizationURL("client_id", clientID, "redirect_uri", redirectURI, "state", state))
		return browser.Submit(page, number)
	}
	first := ask("demo", harness.RedirectURI, "first").Header.Get("Location")
	stale := continueLink.FindStringSubmatch(browser.Get(server.Issuer + first).Body)
	if stale == nil {
		t.Fatal("the waiting page has no link that names its request")
	}
	refused := ask("third", third, "elsewhere")
	if refused.Status != http.StatusTooManyRequests || !strings.Contains(refused.Body, `href="`+first+`"`) || !strings.Contains(refused.Body, "<bdi>Test</bdi>") {
		t.Errorf("another Truecaller app: got %d, want 429 with the way to %s\n%s", refused.Status, first, refused.Body)
	}
	ask("demo", harness.RedirectURI, "again")
	page := ask("second", second, "newest")
	if got := page.Header.Get("Location"); got != first {
		t.Fatalf("led to %q, want %q", got, first)
	}
	left, page := browser.Follow(page, harness.Timeout)
	if left == nil {
		t.Fatalf("the sign-in stopped at %s (%d):\n%s", page.URL, page.Status, page.Body)
	}
	want := url.Values{"state": {"newest"}, "iss": {server.Issuer}}
	got := left.Query()
	if code := got.Get("code"); code == "" || !got.Has("session_state") || !strings.HasPrefix(left.String(), second+"?") {
		t.Errorf("arrived at %s, want %s with a code and a session_state", left, second)
	}
	got.Del("code")
	got.Del("session_state")
	if got.Encode() != want.Encode() {
		t.Errorf("arrived with %v, want %v", got, want)
	}
	server.Logged("attempt.resumed")
	// The first tab still waits for the first request. It must not bring the code again.
	if late := browser.Get(server.Issuer + stale[1]); late.Status != http.StatusGone {
		t.Errorf("the first tab: got %d to %s, want 410", late.Status, late.Header.Get("Location"))
	}
}
