// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/ui/pagetest"
)

// Invariant 2: an attempt belongs to the browser that started it.
func TestInvariant2_AnotherBrowserGetsNothing(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	for _, try := range []struct{ method, at string }{
		{"GET", ""}, {"GET", "/continue"}, {"GET", "/status"}, {"GET", "/events"}, {"POST", "/cancel"}, {"POST", "/again"}, {"POST", "/leave"},
	} {
		for name, r := range map[string]*http.Request{"none": request(try.method, ourPath+try.at, nil), "another": request(try.method, ourPath+try.at, nil)} {
			if name == "another" {
				r.AddCookie(&http.Cookie{Name: "__Host-calleridp_browser", Value: strings.Repeat("x", 43)})
			}
			answer := w.do(r)
			body := answer.Body.String()
			pagetest.Want(t, answer, 403, "not_your_browser")
			if strings.Contains(body, "0605") || strings.Contains(body, "Lingon") && !strings.Contains(body, "<footer>") || len(answer.Result().Cookies()) > 0 {
				t.Errorf("%s %s with %s cookie: got a page about the attempt, want none:\n%s", try.method, try.at, name, body)
			}
			if html := strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html"); html && !strings.Contains(body, `id="error"`) {
				t.Errorf("%s %s: got an error page without id=error", try.method, try.at)
			}
		}
	}
	if w.flow.watching() != 0 {
		t.Errorf("got %d watchers, want 0", w.flow.watching())
	}
}

func TestUnknownAttempts(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"zzzzzzzzzzzzzzzzzzzzzz", "short", "abcdefghijklmnopqrst.v"} {
		for _, at := range []string{"", "/continue", "/status", "/events"} {
			pagetest.Want(t, w.get(endpoint.PathAttempt+id+at), 404, "not_found")
		}
	}
}

func TestTheAttemptsPageByState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, row := range []struct {
			state  login.State
			reason login.Reason
			status int
			has    []string
		}{
			{login.Created, "", 200, []string{`id="waiting"`, `id="cancel"`, `id="again"`}},
			{login.Pushing, "", 200, []string{`id="waiting"`}},
			{login.Waiting, "", 200, []string{`id="waiting"`, `<meta http-equiv="refresh" content="3">`, `46 •••• 0605</bdi>`, "request from <bdi>Lingon ID</bdi>"}},
			{login.TokenReceived, "", 200, []string{`id="waiting"`}},
			{login.Done, "", 410, []string{`id="error"`, "finished"}},
			{login.Expired, "", 200, []string{`data-outcome="expired"`}},
			{login.Rejected, login.UserRejected, 200, []string{`data-outcome="declined"`, "declined", `/again"`, `/leave"`}},
			{login.Rejected, login.AnotherNumber, 200, []string{`data-outcome="another"`, `name="another"`}},
			{login.Rejected, login.Cancelled, 200, []string{`data-outcome="cancelled"`}},
			{login.Rejected, "later_invention", 200, []string{`data-outcome="declined"`}},
			{login.Failed, login.PhoneMismatch, 200, []string{`data-outcome="mismatch"`}},
			{login.Failed, login.Misconfigured, 200, []string{`data-outcome="unavailable"`}},
			{login.Failed, login.Refused, 200, []string{`data-outcome="unavailable"`}},
			{login.Failed, login.Unavailable, 200, []string{`data-outcome="unavailable"`}},
			{login.Failed, login.ProfileFailed, 200, []string{`data-outcome="failed"`}},
			{login.Failed, login.ForeignEndpoint, 200, []string{`data-outcome="failed"`}},
			{login.Failed, login.InactiveAccount, 200, []string{`data-outcome="failed"`}},
		} {
			w.flow.move(row.state, row.reason)
			answer := w.get(ourPath)
			pagetest.Want(t, answer, row.status, row.has...)
			if strings.Contains(string(row.reason), "_") && strings.Contains(answer.Body.String(), string(row.reason)) {
				t.Errorf("got a page with %q, want no internal reason (invariant 10)", row.reason)
			}
			// With a script, no other page refreshes itself.
			if waits := strings.Contains(strings.ReplaceAll(answer.Body.String(), `<noscript><meta http-equiv="refresh"`, ""), `http-equiv="refresh"`); waits != strings.Contains(answer.Body.String(), `id="waiting"`) {
				t.Errorf("%s: got refresh %v, want it on the waiting page only", row.state, waits)
			}
		}
	})
}

// The waiting page does not reveal how far Truecaller has got.
func TestInvariant7_WaitingLooksTheSameFromSubmissionToApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		shape := func(state login.State) string {
			w.flow.move(state, "")
			body := w.get(ourPath).Body.String()
			start := strings.Index(body, `<section`)
			return body[start:] + w.get(ourPath+"/status").Body.String()
		}
		want := shape(login.Waiting)
		for _, state := range []login.State{login.Created, login.Pushing, login.TokenReceived} {
			if got := shape(state); got != want {
				t.Errorf("%s:\n%s\n%s", state, got, want)
			}
		}
	})
}

func TestApprovedMovesOnByPlainRedirects(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	pagetest.WantSeeOther(t, w.get(ourPath), ourPath+"/continue")

	answer := w.get(ourPath + "/continue")
	pagetest.WantSeeOther(t, answer, "https://shop.example/cb?a=b&code=c%2F1&iss=https%3A%2F%2Fid.example")
	if cookie := answer.Result().Cookies()[0]; cookie.Name != "__Host-calleridp_session" || cookie.Value != "session-secret" {
		t.Errorf("got the cookie %v, want that of the session", cookie)
	}
	if cookie := answer.Result().Cookies()[1]; cookie.Name != "__Host-calleridp_state" || cookie.Value != strings.Repeat("s", 43) || cookie.HttpOnly {
		t.Errorf("got the cookie %v, want the state of the session, for scripts", cookie)
	}
	device := answer.Result().Cookies()[2]
	if device.Name != "__Host-calleridp_device" || device.Value != "device" || !device.HttpOnly || !device.Secure || device.MaxAge < 100*24*60*60 {
		t.Errorf("got the cookie %v, want that of the device", device)
	}
	if answer.Header().Get("Cache-Control") != "no-store" {
		t.Error("got a response for the client that may be cached, want no-store")
	}
	pagetest.Want(t, w.get(ourPath+"/continue"), 410, `id="error"`)
	pagetest.Want(t, w.get(ourPath), 410, `id="error"`)
}

// A form's own redirects must not reach the client, see byHand.
func TestApprovedBehindAFormShowsAPageBetween(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	r := ours("GET", ourPath, nil)
	r.Header.Set("Sec-Fetch-User", "?1")
	pagetest.Want(t, w.do(r), 200, `<meta http-equiv="refresh" content="0;url=`+ourPath+`/continue">`, `href="`+ourPath+`/continue"`)
}

func TestAnAppsOwnSchemeWaitsForAPress(t *testing.T) {
	w := newWorld(t)
	w.flow.view.FormAction = "com.example.shop:"
	pagetest.Want(t, w.get(ourPath), 200, "data-manual")
	w.flow.move(login.Approved, "")
	answer := w.get(ourPath)
	pagetest.Want(t, answer, 200, `href="`+ourPath+`/continue"`)
	if strings.Contains(answer.Body.String(), `http-equiv="refresh"`) {
		t.Error("got a page that moves on by itself, want one that waits for a press")
	}
	w.flow.move(login.Rejected, login.UserRejected)
	w.flow.left.RedirectURI = "com.example.shop:/cb"
	pagetest.WantSeeOther(t, w.post(ourPath+"/leave", nil), "com.example.shop:/cb?error=access_denied")
}

func TestContinueTooEarlyGoesBackToWaiting(t *testing.T) {
	w := newWorld(t)
	pagetest.WantSeeOther(t, w.get(ourPath+"/continue"), ourPath)
}

func TestContinueWithoutASessionSetsNoCookie(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	w.flow.finished.Session = ""
	if answer := w.get(ourPath + "/continue"); len(answer.Result().Cookies()) != 0 {
		t.Errorf("got the cookies %v, want none", answer.Result().Cookies())
	}
}

func TestContinueByFormPost(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	w.flow.finished.Response.FormPost = true
	answer := w.get(ourPath + "/continue")
	pagetest.Want(t, answer, 200, `<form id="formpost" method="post" action="https://shop.example/cb?a=b">`, `name="code" value="c/1"`, "<button")
	h := answer.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "strict-origin" {
		t.Errorf("got the headers %v, want no-store and strict-origin", h)
	}
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action https:;") {
		t.Errorf("got the CSP %s, want form-action https:", csp)
	}
}

// The consent prompt precedes the response, with the new session's cookie.
func TestContinueAsksForConsent(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	w.flow.finished.Consent = &authorize.ConsentView{Client: pagetest.Shop, Request: "sealed-prompt", Scopes: []string{claims.OpenID}}
	answer := w.get(ourPath + "/continue")
	pagetest.Want(t, answer, 200, `id="consent"`, `value="sealed-prompt"`)
	if answer.Header().Get("Location") != "" || strings.Contains(answer.Body.String(), "c/1") {
		t.Error("got a response for the client before the user's decision, want the prompt")
	}
	cookies := answer.Result().Cookies()
	if !slices.ContainsFunc(cookies, func(c *http.Cookie) bool {
		return c.Name == "__Host-calleridp_session" && c.Value == "session-secret"
	}) {
		t.Errorf("got the cookies %v, want that of the session", cookies)
	}
}

func TestCancelAgainAndLeave(t *testing.T) {
	w := newWorld(t)
	// Again keeps the attempt, and fills in the number.
	pagetest.Want(t, w.post(ourPath+"/again", nil), 200, `value="sealed-again"`, "70 174 06 05")
	if w.flow.cancelled != 0 {
		t.Errorf("got %d cancelled, want 0", w.flow.cancelled)
	}
	// Only an attempt that has ended can be left.
	pagetest.WantSeeOther(t, w.post(ourPath+"/leave", nil), ourPath)
	// "Use another number" ends the attempt with the wrong one.
	answer := w.post(ourPath+"/again", url.Values{"another": {"1"}})
	pagetest.Want(t, answer, 200, `value="sealed-again"`)
	if w.flow.cancelled != 1 || strings.Contains(answer.Body.String(), "70 174 06 05") {
		t.Errorf("got %d cancelled, want 1, and a page without the number:\n%s", w.flow.cancelled, answer.Body)
	}
	pagetest.WantSeeOther(t, w.post(ourPath+"/cancel", nil), ourPath)
	pagetest.Want(t, w.get(ourPath), 200, `data-outcome="cancelled"`)
	pagetest.Want(t, w.post(ourPath+"/leave", nil), 200, `<meta http-equiv="refresh" content="0;url=https://shop.example/cb?error=access_denied">`)
	w.flow.left.FormPost = true
	pagetest.Want(t, w.post(ourPath+"/leave", nil), 200, `action="https://shop.example/cb"`, `value="access_denied"`)
	// Approved in another tab.
	w.flow.move(login.Approved, "")
	pagetest.WantSeeOther(t, w.post(ourPath+"/again", nil), ourPath)
}

// A waiting page continues with the request that it has shown. If another tab has brought
// a newer one, that tab takes the response, and this page says that it is finished.
func TestAPageContinuesWithTheRequestThatItShows(t *testing.T) {
	w := newWorld(t)
	w.flow.view.Serves = "newest"
	pagetest.Want(t, w.get(ourPath), 200, `href="`+ourPath+`/continue?for=newest"`)
	w.flow.move(login.Approved, "")
	pagetest.Want(t, w.get(ourPath+"/continue?for=earlier"), 410, `id="error"`)
	if answer := w.get(ourPath + "/continue?for=newest"); answer.Code != 303 {
		t.Errorf("the page of the newest request: got %d, want 303", answer.Code)
	}
}
