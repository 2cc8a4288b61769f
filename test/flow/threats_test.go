// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"calleridp/test/harness"
)

// docs/threat-model.md names these tests. Each plays an attack against the built
// binary and shows what comes of it, also where that is not nothing.

// vendor is a Truecaller that does exactly what a test says.
type vendor struct {
	*httptest.Server
	mu       sync.Mutex
	states   []string          // sent with the pushes
	profiles map[string]string // by token: the number
	fetched  []string          // tokens that came for a profile
}

func newVendor(t *testing.T) *vendor {
	v := &vendor{profiles: map[string]string{}}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if r.URL.Path == "/v1/apps/requests" {
			var push struct{ State string }
			json.NewDecoder(r.Body).Decode(&push)
			v.states = append(v.states, push.State)
			fmt.Fprintf(w, `{"requestId":"request-%d"}`, len(v.states))
			return
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		v.fetched = append(v.fetched, token)
		if r.URL.RequestURI() != "/v1/default" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		number, ok := v.profiles[token]
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"id":"id-of-%s","phoneNumbers":[%s],"name":{"first":"Asha"}}`, number, number)
	}))
	t.Cleanup(v.Close)
	return v
}

// fetches is how often a token came for a profile.
func (v *vendor) fetches() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.fetched)
}

// pushes is the state of each push so far.
func (v *vendor) pushes() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.states)
}

// attack is a server, and the sign-in of a browser that waits for its number.
type attack struct {
	*testing.T
	vendor  *vendor
	server  *harness.Production
	browser *harness.Browser
	waiting harness.Page
	state   string
}

// waitsFor starts a sign-in for the number xx.
func waitsFor(t *testing.T, xx int) *attack {
	t.Helper()
	a := &attack{T: t, vendor: newVendor(t)}
	a.server = harness.Serve(t, a.vendor.URL, "")
	a.browser = harness.NewBrowser(t, a.server.Issuer)
	page := a.browser.Get(a.server.AuthorizationURL())
	_, a.waiting = a.browser.Follow(a.browser.Submit(page, harness.Number(xx)), 0)
	pushes := a.vendor.pushes()
	if !a.waiting.Has("waiting") || len(pushes) != 1 {
		t.Fatalf("status %d and %d pushes, want the waiting page and one\n%s", a.waiting.Status, len(pushes), a.waiting.Body)
	}
	a.state = pushes[0]
	return a
}

// grants makes the token one for the profile of the number xx.
func (a *attack) grants(token string, xx int) {
	a.vendor.mu.Lock()
	defer a.vendor.mu.Unlock()
	a.vendor.profiles[token] = strings.TrimPrefix(harness.Number(xx), "+")
}

// post sends a callback to a path, and returns the status and body of the response.
func (a *attack) post(path string, fields map[string]string) (int, string) {
	a.Helper()
	body, _ := json.Marshal(fields)
	answer, err := http.Post(a.server.Issuer+path, "application/json", strings.NewReader(string(body)))
	if err != nil {
		a.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func (a *attack) rightPath() string {
	return strings.TrimPrefix(a.server.CallbackURL(), a.server.Issuer)
}

// outcome waits for the attempt to move, and returns the data-outcome of its last
// page, or "signed in".
func (a *attack) outcome() string {
	a.Helper()
	left, page := a.browser.Follow(a.browser.Get(a.waiting.URL), harness.Timeout)
	if left != nil && left.Query().Get("code") != "" {
		return "signed in"
	}
	_, rest, _ := strings.Cut(page.Body, `data-outcome="`)
	outcome, _, _ := strings.Cut(rest, `"`)
	return outcome
}

func (a *attack) stillWaits() {
	a.Helper()
	if page := a.browser.Get(a.waiting.URL); !page.Has("waiting") {
		a.Errorf("status %d to %q, want the waiting page", page.Status, page.Header.Get("Location"))
	}
}

// A token that another partner got from the victim does not sign the attacker in as the
// victim, even if the attacker knows the callback path and the state of their own
// attempt: the profile lacks the number of the push (invariant 3).
func TestThreat_StolenTokenOfAnotherPartner(t *testing.T) {
	t.Parallel()
	a := waitsFor(t, 1) // the attacker's own number
	a.grants("victims-token", 2)
	for _, path := range []string{"/callback/default/" + strings.Repeat("x", 40), "/callback/default/", "/callback/default"} {
		if status, _ := a.post(path, map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "victims-token"}); status != http.StatusNotFound {
			t.Errorf("%s got %d, want 404", path, status)
		}
	}
	// With the path, and without the state that only Truecaller and we know.
	for _, fields := range []map[string]string{
		{"requestId": "request-1", "accessToken": "victims-token"},
		{"requestId": "request-1", "state": strings.Repeat("A", 43), "accessToken": "victims-token"},
	} {
		if status, body := a.post(a.rightPath(), fields); status != http.StatusOK || body != "" {
			t.Errorf("%v got %d %q, want 200 without a body", fields, status, body)
		}
	}
	a.stillWaits()
	if a.vendor.fetches() != 0 {
		t.Errorf("%d profile requests with a token of no attempt, want 0", a.vendor.fetches())
	}
	a.post(a.rightPath(), map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "victims-token"})
	if got := a.outcome(); got != "mismatch" {
		t.Errorf("with path and state: outcome %q, want mismatch", got)
	}
	if log := a.server.Logged("phone_mismatch"); strings.Contains(log, "victims-token") || strings.Contains(log, "46701740602") {
		t.Errorf("the log has the token or the whole number:\n%s", log)
	}
}

// The endpoint of a callback only selects one of our own profile hosts: a token is
// sent nowhere else, and the attempt ends (invariant 5).
func TestThreat_ForgedEndpoint(t *testing.T) {
	t.Parallel()
	evil := newVendor(t)
	evil.profiles["token"] = "46701740601"
	for _, forged := range []struct {
		name     string
		endpoint func(ours string) string
	}{
		{"another host", func(string) string { return evil.URL + "/v1/default" }},
		{"our host as the user", func(ours string) string {
			return "http://" + strings.TrimPrefix(ours, "http://") + "@" + strings.TrimPrefix(evil.URL, "http://") + "/v1/default"
		}},
		{"our address as its path", func(ours string) string { return evil.URL + "/" + ours + "/v1/default" }},
		{"our host with a dot", func(ours string) string { return strings.Replace(ours, "127.0.0.1", "127.0.0.1.", 1) + "/v1/default" }},
	} {
		t.Run(forged.name, func(t *testing.T) {
			a := waitsFor(t, 1)
			a.grants("token", 1)
			endpoint := forged.endpoint(a.vendor.URL)
			a.post(a.rightPath(), map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "token", "endpoint": endpoint})
			if got := a.outcome(); got == "signed in" || got == "" {
				t.Errorf("%s: outcome %q, want a failure", endpoint, got)
			}
			if a.vendor.fetches()+evil.fetches() != 0 {
				t.Errorf("%s: %d requests with the token, want 0", endpoint, a.vendor.fetches()+evil.fetches())
			}
			a.server.Logged("foreign_endpoint")
		})
	}
}

// What follows the host in an endpoint is no part of the request: the token goes to
// the configured address, whatever the callback says (invariant 5).
func TestThreat_EndpointIsNoPartOfTheRequest(t *testing.T) {
	t.Parallel()
	evil := newVendor(t)
	for _, rest := range []string{"", "/", "/v1/default/../../evil", "/v1/default?redirect=" + url.QueryEscape(evil.URL)} {
		t.Run(rest, func(t *testing.T) {
			a := waitsFor(t, 1)
			a.grants("token", 1)
			a.post(a.rightPath(), map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "token", "endpoint": a.vendor.URL + rest})
			if got := a.outcome(); got != "signed in" {
				t.Errorf("%s: outcome %q, want signed in", rest, got)
			}
			if ours, theirs := a.vendor.fetches(), evil.fetches(); ours != 1 || theirs != 0 {
				t.Errorf("%s: %d requests with the token for the profile and %d elsewhere, want 1 and 0", rest, ours, theirs)
			}
		})
	}
}

// A guessed path gets the same response for an existing app and a missing one, and
// reveals nothing about the secret.
func TestThreat_GuessedPath(t *testing.T) {
	t.Parallel()
	a := waitsFor(t, 1)
	a.grants("token", 1)
	fields := map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "token"}
	answers := map[string]bool{}
	for _, path := range []string{
		"/callback/default/" + a.server.CallbackSecret[1:], "/callback/default/" + a.server.CallbackSecret + "c", "/callback/default/" + a.server.CallbackSecret + "/",
		"/callback/other/" + a.server.CallbackSecret, "/callback//" + a.server.CallbackSecret, "/callback/" + a.server.CallbackSecret,
		"/callback/default/", "/callback/DEFAULT/" + a.server.CallbackSecret,
	} {
		status, body := a.post(path, fields)
		answers[fmt.Sprint(status, body)] = true
		if status != http.StatusNotFound {
			t.Errorf("%s got %d, want 404", path, status)
		}
	}
	if len(answers) != 1 {
		t.Errorf("the responses are %v, want one and the same", answers)
	}
	a.stillWaits()
	if a.vendor.fetches() != 0 || strings.Contains(a.server.Log(), a.server.CallbackSecret) {
		t.Error("a token was used, or the secret is in the log")
	}
}

// A replayed callback has no effect: there is one profile, one approval, one code.
func TestThreat_ReplayedCallback(t *testing.T) {
	t.Parallel()
	a := waitsFor(t, 1)
	a.grants("token", 1)
	fields := map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "token"}
	for range 3 {
		if status, _ := a.post(a.rightPath(), fields); status != http.StatusOK {
			t.Errorf("the callback got %d, want 200", status)
		}
	}
	if got := a.outcome(); got != "signed in" {
		t.Fatalf("outcome %q, want signed in", got)
	}
	for range 3 {
		if status, _ := a.post(a.rightPath(), fields); status != http.StatusOK {
			t.Errorf("the callback after the sign-in got %d, want 200", status)
		}
	}
	if n := a.vendor.fetches(); n != 1 {
		t.Errorf("%d profile requests, want 1", n)
	}
	// Another browser gains nothing by it either.
	stranger := harness.NewBrowser(t, a.server.Issuer)
	for _, at := range []string{a.waiting.URL, a.waiting.URL + "/continue", a.waiting.URL + "/status"} {
		if page := stranger.Get(at); page.Status != http.StatusForbidden {
			t.Errorf("%s in another browser got %d, want 403", at, page.Status)
		}
	}
}

// Residual risk: the attacker types the victim's number, and the victim approves
// on the phone. The attacker's browser is signed in, because that is what the
// approval says; the victim's own browser sees nothing of it. What limits it: one
// request per number at a time, budgets, and the name of the
// application on the phone and on the page.
func TestThreat_VictimsNumberTypedByAnAttacker(t *testing.T) {
	t.Parallel()
	a := waitsFor(t, 1)
	for _, text := range []string{"Demo", "Test"} { // the client, and the app that the phone shows
		if !strings.Contains(a.waiting.Body, text) {
			t.Errorf("the page does not name %s:\n%s", text, a.waiting.Body)
		}
	}
	if strings.Contains(a.waiting.Body, "46701740601") {
		t.Error("the page shows the whole number")
	}
	// The victim's browser has no part in it, also with the address in hand.
	victim := harness.NewBrowser(t, a.server.Issuer)
	if page := victim.Get(a.waiting.URL); page.Status != http.StatusForbidden || !page.Has("error") {
		t.Errorf("the address in another browser got %d, want 403", page.Status)
	}
	// No browser can send a second request to the same phone (invariant 7).
	page := victim.Submit(victim.Get(a.server.AuthorizationURL()), harness.Number(1))
	if page.Status != http.StatusTooManyRequests || len(a.vendor.pushes()) != 1 {
		t.Errorf("a second submission got %d and %d pushes, want 429 and 1", page.Status, len(a.vendor.pushes()))
	}
	a.grants("token", 1)
	a.post(a.rightPath(), map[string]string{"requestId": "request-1", "state": a.state, "accessToken": "token"})
	if got := a.outcome(); got != "signed in" {
		t.Errorf("after the victim's approval: outcome %q, want signed in (or docs/threat-model.md is wrong)", got)
	}
}

// A request whose page could not be submitted is refused at the door, also where HTML
// and JSON would write each character as six.
func TestThreat_ALargeStateIsRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, newVendor(t).URL, "")
	browser := harness.NewBrowser(t, server.Issuer)
	for _, prompt := range []string{"login", "none"} {
		refused := browser.Get(server.AuthorizationURL("state", strings.Repeat("<", 9000), "prompt", prompt))
		if refused.Status != http.StatusRequestEntityTooLarge || refused.Sealed() != "" {
			t.Errorf("a state of 9000 bytes with prompt=%s: got %d, want 413 and no form", prompt, refused.Status)
		}
	}
	shown := browser.Get(server.AuthorizationURL("state", strings.Repeat("<", 4096), "nonce", strings.Repeat("<", 1024)))
	if submitted := browser.Submit(shown, harness.Number(5)); submitted.Status != http.StatusSeeOther {
		t.Errorf("submitting with a state of 4096 bytes: got %d, want 303", submitted.Status)
	}
}
