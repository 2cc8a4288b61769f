// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// event is a line of the simulator's log.
type event struct {
	What   string          `json:"what"`
	Phone  string          `json:"phone"`
	AppKey bool            `json:"app_key_present"`
	Body   json.RawMessage `json:"body"`
	Status int             `json:"status"`
}

func events(server *harness.Server) []event {
	var log struct{ Events []event }
	server.Simulated("GET", "/sim/log", "", &log)
	return log.Events
}

// What goes over the wire in one sign-in, as Truecaller's documents describe it:
// the appKey header, the number as a JSON number without a plus, a state that
// comes back in the callback, and one profile request.
func TestTheWireOfOneSignIn(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp := newRelyingParty(t, server)
	browser := harness.NewBrowser(t, server.Issuer)
	page, verifier := rp.begin(browser, "070-174 06 05")
	if claims, page := rp.finish(browser, page, verifier); claims == nil {
		t.Fatalf("the sign-in stopped at %s (status %d)", page.URL, page.Status)
	}
	var pushes, callbacks, profiles []event
	for _, e := range events(server) {
		switch e.What {
		case "push":
			pushes = append(pushes, e)
		case "callback":
			callbacks = append(callbacks, e)
		case "profile":
			profiles = append(profiles, e)
		}
	}
	if len(pushes) != 1 || len(callbacks) != 1 || len(profiles) != 1 {
		t.Fatalf("%d pushes, %d callbacks, %d profile requests; want one each", len(pushes), len(callbacks), len(profiles))
	}
	sent := regexp.MustCompile(`^\{"phoneNumber":46701740605,"state":"([A-Za-z0-9_-]{43})"\}$`).FindSubmatch(pushes[0].Body)
	if sent == nil || !pushes[0].AppKey || pushes[0].Status != 200 {
		t.Fatalf("the push was %s, appKey sent: %v, status %d; want a number, a state, the key and 200", pushes[0].Body, pushes[0].AppKey, pushes[0].Status)
	}
	if !strings.Contains(string(callbacks[0].Body), `"state":"`+string(sent[1])+`"`) || callbacks[0].Status != 200 {
		t.Errorf("the callback %s got %d, want the push's state and 200", callbacks[0].Body, callbacks[0].Status)
	}
	if profiles[0].Status != 200 {
		t.Errorf("the profile request got %d, want 200", profiles[0].Status)
	}
	// Neither the state nor Truecaller's requestId ever reached the browser
	// (invariant 6): they are not in the log of requests, and not on the page.
	if strings.Contains(page.Body+page.URL+server.Log(), string(sent[1])) {
		t.Error("the state is on a page or in the log")
	}
}

// A callback with our state and another requestId completes nothing; the right
// one still does.
func TestInvariant6_AForgedRequestIDCompletesNothing(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp := newRelyingParty(t, server)
	browser := harness.NewBrowser(t, server.Issuer)
	page, verifier := rp.begin(browser, harness.Number(7))
	_, waiting := browser.Follow(page, 0)
	var push struct{ State string }
	for _, e := range events(server) {
		if e.What == "push" {
			if err := json.Unmarshal(e.Body, &push); err != nil {
				t.Fatal(err)
			}
		}
	}
	var answer struct{ Status int }
	for _, body := range []string{
		`{"requestId":"forged","state":"` + push.State + `","accessToken":"guess"}`,
		`{"requestId":"forged","state":"` + push.State + `","status":"user_rejected"}`,
		`{"requestId":"unknown","state":"unknown","accessToken":"guess"}`,
	} {
		// 2xx for everything well-formed: no oracle (invariant 4).
		server.Simulated("POST", "/sim/callback", `{"body":`+body+`}`, &answer)
		if answer.Status != http.StatusOK {
			t.Errorf("the callback %s got %d, want 200", body, answer.Status)
		}
	}
	server.Simulated("POST", "/sim/callback", `{"body":"{\"requestId\": 7}"}`, &answer)
	if answer.Status != http.StatusBadRequest {
		t.Errorf("a malformed callback got %d, want 400", answer.Status)
	}
	var pending []simulator.Pending
	server.Simulated("GET", "/sim/requests?phone=46701740607", "", &pending)
	if page := browser.Get(waiting.URL); !page.Has("waiting") || len(pending) != 1 {
		t.Fatalf("status %d and %d pending requests after forged callbacks, want the waiting page and one", page.Status, len(pending))
	}
	server.Simulated("POST", "/sim/requests/"+pathEscape(pending[0].RequestID)+"/approve", "", nil)
	if claims, page := rp.finish(browser, browser.Get(waiting.URL), verifier); claims == nil {
		t.Fatalf("the sign-in stopped at %s (status %d)", page.URL, page.Status)
	}
}

func pathEscape(id string) string {
	return strings.NewReplacer("/", "%2F", "+", "%2B", "=", "%3D").Replace(id)
}

// A push with status 404 is the operator's mistake: the log says what to do, the page
// only that it does not work now.
func TestAWrongAppKeyIsTheOperatorsError(t *testing.T) {
	t.Parallel()
	server := serveSimulated(t, simulator.Config{Apps: []simulator.App{{Name: "Test", Key: "the right one"}}}, "")
	browser := harness.NewBrowser(t, server.Issuer)
	page := browser.Get(server.AuthorizationURL())
	_, page = browser.Follow(browser.Submit(page, harness.Number(5)), harness.Timeout)
	if !page.Has("ended") || !strings.Contains(page.Body, `data-outcome="unavailable"`) {
		t.Errorf("the page has status %d, want the outcome unavailable\n%s", page.Status, page.Body)
	}
	for _, internal := range []string{"appKey", "app_key", "appkey", "404", "misconfigured"} {
		if strings.Contains(page.Body, internal) {
			t.Errorf("the page says %q (invariant 10)", internal)
		}
	}
	log := server.Logged("appKey", `"level":"ERROR"`)
	if strings.Contains(log, harness.AppKey) || strings.Contains(log, server.CallbackSecret) {
		t.Error("the log has a secret (invariant 10)")
	}
	// The push was refused for good, so the number is not locked.
	fresh := harness.NewBrowser(t, server.Issuer)
	again := fresh.Submit(fresh.Get(server.AuthorizationURL()), harness.Number(5))
	if again.Status == http.StatusTooManyRequests {
		t.Error("the number is locked after a push that was refused for good")
	}
}

// The lock survives a restart, for every browser (invariant 7).
func TestInvariant7_TheLockOutlivesARestart(t *testing.T) {
	t.Parallel()
	server := harness.Dev(t)
	rp := newRelyingParty(t, server)
	rp.begin(harness.NewBrowser(t, server.Issuer), harness.Number(9))
	server.Stop(os.Kill)
	server.Restart()
	page, _ := rp.begin(harness.NewBrowser(t, server.Issuer), harness.Number(9))
	if page.Status != http.StatusTooManyRequests {
		t.Errorf("asked for again after a restart: %d, want 429", page.Status)
	}
}
