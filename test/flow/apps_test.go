// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// Each client uses the Truecaller app that it names: the phone and the page show that
// app's name, the push has its key, and its callbacks count at its own path only.
func TestSeveralTruecallerApps(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	for client, app := range map[string]string{"demo": "Demo shop", "demo2": "Second demo"} {
		rp := newRelyingParty(t, server)
		rp.config.ClientID, rp.config.ClientSecret = client, client+"-secret"
		browser := harness.NewBrowser(t, server.Issuer)
		page, verifier := rp.begin(browser, harness.Number(7))
		_, waiting := browser.Follow(page, 0)
		var pending []simulator.Pending
		server.Simulated("GET", "/sim/requests?phone=46701740607", "", &pending)
		if len(pending) != 1 || pending[0].App != app || !strings.Contains(waiting.Body, app) {
			t.Fatalf("%s: the phone shows %+v, want %s", client, pending, app)
		}
		server.Simulated("POST", "/sim/requests/"+pathEscape(pending[0].RequestID)+"/approve", "", nil)
		if claims, page := rp.finish(browser, browser.Get(waiting.URL), verifier); claims == nil {
			t.Fatalf("the sign-in of %s stopped at %s (status %d)", client, page.URL, page.Status)
		}
	}
}

// The right callback at the other app's path, with that app's secret, completes
// nothing.
func TestInvariant6_ACallbackCountsAtItsOwnApp(t *testing.T) {
	t.Parallel()
	vendor := newVendor(t)
	dir := t.TempDir()
	secret := strings.Repeat("d", 40)
	for name, text := range map[string]string{"key": "other-key", "secret": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := harness.Serve(t, vendor.URL, fmt.Sprintf(`
truecaller_apps:
  - {id: other, app_name: Other, app_key_file: %s/key, callback_secret_file: %s/secret, api_url: "%s", profile_urls: ["%s"]}
`, dir, dir, vendor.URL, vendor.URL))
	a := &attack{T: t, vendor: vendor, server: server, browser: harness.NewBrowser(t, server.Issuer)}
	page := a.browser.Get(server.AuthorizationURL())
	_, a.waiting = a.browser.Follow(a.browser.Submit(page, harness.Number(1)), 0)
	a.grants("token", 1)
	fields := map[string]string{"requestId": "request-1", "state": vendor.pushes()[0], "accessToken": "token"}
	if status, _ := a.post("/callback/other/"+secret, fields); status != http.StatusOK {
		t.Errorf("the callback at the other app's path got %d, want 200", status)
	}
	if status, _ := a.post("/callback/default/"+secret, fields); status != http.StatusNotFound {
		t.Errorf("the callback with the other app's secret got %d, want 404", status)
	}
	a.stillWaits()
	if a.vendor.fetches() != 0 {
		t.Errorf("%d profile requests with the token, want 0", a.vendor.fetches())
	}
	a.post(a.rightPath(), fields)
	if got := a.outcome(); got != "signed in" {
		t.Errorf("the callback at its own path: outcome %q, want signed in", got)
	}
}

// A callback secret that is replaced in its file is valid within seconds, and the
// replaced one stays valid, even after a restart.
func TestCallbackSecretIsRotated(t *testing.T) {
	t.Parallel()
	sim := httptest.NewServer(http.NotFoundHandler())
	defer sim.Close()
	server := harness.Serve(t, sim.URL, "")
	post := func(secret string) int {
		body, _ := json.Marshal(map[string]string{"requestId": "r", "status": "flow_invoked"})
		answer, err := http.Post(server.Issuer+"/callback/default/"+secret, "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	old, fresh := server.CallbackSecret, strings.Repeat("n", 40)
	if post(old) != 200 || post(fresh) != 404 {
		t.Fatal("before the rotation: want 200 with the old secret and 404 with the new one")
	}
	if err := os.WriteFile(filepath.Join(server.Dir, "callback"), []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the new secret is good", func() bool { return post(fresh) == 200 })
	if post(old) != 200 {
		t.Error("after the rotation: want 200 with the old secret")
	}
	server.Stop(os.Interrupt)
	server.Start()
	if post(old) != 200 || post(fresh) != 200 {
		t.Error("after a restart: want 200 with both secrets")
	}
	if log := server.Log(); strings.Contains(log, old) || strings.Contains(log, fresh) {
		t.Error("a secret is in the log (invariant 10)")
	}
}
