package ui

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

func TestASubmittedNumberGoesToItsAttempt(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.ClientAddr = func(*http.Request) netip.Addr { return netip.MustParseAddr("2001:db8:1:2:3::4") }
	})
	first := request("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {"070"}, "region": {"SE"},
		"challenge": {"sealed too"}, "solution": {"42"}})
	first.Header.Set("User-Agent", "Mozilla/5.0")
	answer := w.do(first)
	goesTo(t, answer, ourPath)
	got := w.flow.submitted[0]
	cookie := answer.Result().Cookies()[0]
	if cookie.Name != "__Host-calleridp_browser" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %v", cookie)
	}
	want := authorize.Submission{Request: "sealed", Phone: "070", Region: "SE", Browser: cookie.Value, Network: "2001:db8:1:2::/64", UserAgent: "Mozilla/5.0", Challenge: "sealed too", Solution: "42"}
	if got != want {
		t.Errorf("submitted %+v, want %+v", got, want)
	}
	// A browser keeps its secret, so that its other tabs go on.
	again := w.do(ours("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {"070"}}))
	if value := again.Result().Cookies()[0].Value; value != ourBrowser || w.flow.submitted[1].Browser != ourBrowser {
		t.Errorf("the secret became %q", value)
	}
	// What is no secret of ours is replaced.
	r := request("POST", "/signin", url.Values{"request": {"sealed"}})
	r.AddCookie(&http.Cookie{Name: "__Host-calleridp_browser", Value: "short"})
	if w.do(r); len(w.flow.submitted[2].Browser) != 43 {
		t.Errorf("browser %q", w.flow.submitted[2].Browser)
	}
}

func TestARefusedNumberKeepsWhatWasTyped(t *testing.T) {
	w := newWorld(t)
	for kind, status := range map[authorize.ProblemKind]int{
		authorize.PhoneTooShort: 422, authorize.PhoneEmpty: 422, authorize.Locked: 429, authorize.Limited: 429, authorize.Unavailable: 503,
	} {
		w.flow.refusal = &authorize.Refusal{
			Problem: authorize.Problem{Kind: kind, RetryAt: time.Now().Add(3 * time.Minute)},
			View:    authorize.SignInView{Client: shop, Request: "sealed", Phone: `+46 <"70"`, FormAction: "https://shop.example"},
		}
		answer := w.do(request("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {`+46 <"70"`}}))
		wants(t, answer, status, `value="&#43;46 &lt;&#34;70&#34;"`, `aria-invalid="true"`, `aria-describedby="problem hint"`, `id="problem"`, `name="request" value="sealed"`)
		if (kind == authorize.Locked) != strings.Contains(answer.Body.String(), "A request was sent to this number a moment ago. You can send another in 3\u00a0minutes.") {
			t.Errorf("%s:\n%s", kind, answer.Body)
		}
		if (kind == authorize.Unavailable) != strings.Contains(answer.Body.String(), "Truecaller is not answering at the moment. You can try again in 3\u00a0minutes.") {
			t.Errorf("%s:\n%s", kind, answer.Body)
		}
		if answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", kind)
		}
	}
}

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
			wants(t, answer, 403, "not_your_browser")
			if strings.Contains(body, "0605") || strings.Contains(body, "Lingon") && !strings.Contains(body, "<footer>") || len(answer.Result().Cookies()) > 0 {
				t.Errorf("%s %s with %s cookie says %s", try.method, try.at, name, body)
			}
			if html := strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html"); html && !strings.Contains(body, `id="error"`) {
				t.Errorf("%s %s: an error page without id=error", try.method, try.at)
			}
		}
	}
	if w.flow.watching() != 0 {
		t.Error("somebody still watches")
	}
}

func TestUnknownAttempts(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"zzzzzzzzzzzzzzzzzzzzzz", "short", "abcdefghijklmnopqrst.v"} {
		for _, at := range []string{"", "/continue", "/status", "/events"} {
			wants(t, w.do(ours("GET", endpoint.PathAttempt+id+at, nil)), 404, "not_found")
		}
	}
}

func TestTheAttemptsPageByState(t *testing.T) {
	for _, row := range []struct {
		state  login.State
		reason login.Reason
		status int
		has    []string
	}{
		{login.Created, "", 200, []string{`id="waiting"`, `id="cancel"`, `id="again"`}},
		{login.Pushing, "", 200, []string{`id="waiting"`}},
		{login.Waiting, "", 200, []string{`id="waiting"`, `<meta http-equiv="refresh" content="3">`, `46•••••0605</bdi>`, "request from <bdi>Lingon ID</bdi>"}},
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
		{login.Failed, login.RequestMismatch, 200, []string{`data-outcome="failed"`}},
	} {
		w := newWorld(t)
		w.flow.move(row.state, row.reason)
		answer := w.do(ours("GET", ourPath, nil))
		wants(t, answer, row.status, row.has...)
		if strings.Contains(string(row.reason), "_") && strings.Contains(answer.Body.String(), string(row.reason)) {
			t.Errorf("the page says %q (invariant 10)", row.reason)
		}
		if waits := strings.Contains(answer.Body.String(), `http-equiv="refresh"`); waits != strings.Contains(answer.Body.String(), `id="waiting"`) {
			t.Errorf("%s: refresh is %v", row.state, waits)
		}
	}
}

// Nothing on the waiting page may say how far Truecaller has got.
func TestInvariant7_WaitingLooksTheSameFromSubmissionToApproval(t *testing.T) {
	w := newWorld(t)
	shape := func(state login.State) string {
		w.flow.move(state, "")
		body := w.do(ours("GET", ourPath, nil)).Body.String()
		start := strings.Index(body, `<section`)
		return body[start:] + w.do(ours("GET", ourPath+"/status", nil)).Body.String()
	}
	want := shape(login.Waiting)
	for _, state := range []login.State{login.Created, login.Pushing, login.TokenReceived} {
		if got := shape(state); got != want {
			t.Errorf("%s:\n%s\n%s", state, got, want)
		}
	}
}

func TestApprovedMovesOnByPlainRedirects(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	goesTo(t, w.do(ours("GET", ourPath, nil)), ourPath+"/continue")

	answer := w.do(ours("GET", ourPath+"/continue", nil))
	goesTo(t, answer, "https://shop.example/cb?a=b&code=c%2F1&iss=https%3A%2F%2Fid.example")
	if cookie := answer.Result().Cookies()[0]; cookie.Name != "__Host-calleridp_session" || cookie.Value != "session-secret" {
		t.Errorf("cookie %v", cookie)
	}
	if answer.Header().Get("Cache-Control") != "no-store" {
		t.Error("a response for the client may be cached")
	}
	wants(t, w.do(ours("GET", ourPath+"/continue", nil)), 410, `id="error"`)
	wants(t, w.do(ours("GET", ourPath, nil)), 410, `id="error"`)
}

// A form's own redirects must not reach the client, see byHand.
func TestApprovedBehindAFormShowsAPageBetween(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	r := ours("GET", ourPath, nil)
	r.Header.Set("Sec-Fetch-User", "?1")
	wants(t, w.do(r), 200, `<meta http-equiv="refresh" content="0;url=`+ourPath+`/continue">`, `href="`+ourPath+`/continue"`)
}

func TestAnAppsOwnSchemeWaitsForAPress(t *testing.T) {
	w := newWorld(t)
	w.flow.view.FormAction = "com.example.shop:"
	wants(t, w.do(ours("GET", ourPath, nil)), 200, "data-manual")
	w.flow.move(login.Approved, "")
	answer := w.do(ours("GET", ourPath, nil))
	wants(t, answer, 200, `href="`+ourPath+`/continue"`)
	if strings.Contains(answer.Body.String(), `http-equiv="refresh"`) {
		t.Error("it moves on by itself")
	}
	w.flow.move(login.Rejected, login.UserRejected)
	w.flow.left.RedirectURI = "com.example.shop:/cb"
	goesTo(t, w.do(ours("POST", ourPath+"/leave", nil)), "com.example.shop:/cb?error=access_denied")
}

func TestContinueTooEarlyGoesBackToWaiting(t *testing.T) {
	w := newWorld(t)
	goesTo(t, w.do(ours("GET", ourPath+"/continue", nil)), ourPath)
}

func TestContinueWithoutASessionSetsNoCookie(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	w.flow.finished.Session = ""
	if answer := w.do(ours("GET", ourPath+"/continue", nil)); len(answer.Result().Cookies()) != 0 {
		t.Errorf("cookies %v", answer.Result().Cookies())
	}
}

func TestContinueByFormPost(t *testing.T) {
	w := newWorld(t)
	w.flow.move(login.Approved, "")
	w.flow.finished.Response.FormPost = true
	answer := w.do(ours("GET", ourPath+"/continue", nil))
	wants(t, answer, 200, `<form id="formpost" method="post" action="https://shop.example/cb?a=b">`, `name="code" value="c/1"`, "<button")
	h := answer.Header()
	if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "strict-origin" {
		t.Errorf("headers %v", h)
	}
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action https:;") {
		t.Errorf("CSP %s", csp)
	}
}

func TestCancelAgainAndLeave(t *testing.T) {
	w := newWorld(t)
	// Again leaves the try alone, and knows the number.
	wants(t, w.do(ours("POST", ourPath+"/again", nil)), 200, `value="sealed-again"`, "70 174 06 05")
	if w.flow.cancelled != 0 {
		t.Error("asking again has cancelled")
	}
	// Leaving needs an end.
	goesTo(t, w.do(ours("POST", ourPath+"/leave", nil)), ourPath)
	// Another number ends the try with the wrong one.
	answer := w.do(ours("POST", ourPath+"/again", url.Values{"another": {"1"}}))
	wants(t, answer, 200, `value="sealed-again"`)
	if w.flow.cancelled != 1 || strings.Contains(answer.Body.String(), "70 174 06 05") {
		t.Errorf("cancelled %d times", w.flow.cancelled)
	}
	goesTo(t, w.do(ours("POST", ourPath+"/cancel", nil)), ourPath)
	wants(t, w.do(ours("GET", ourPath, nil)), 200, `data-outcome="cancelled"`)
	wants(t, w.do(ours("POST", ourPath+"/leave", nil)), 200, `<meta http-equiv="refresh" content="0;url=https://shop.example/cb?error=access_denied">`)
	w.flow.left.FormPost = true
	wants(t, w.do(ours("POST", ourPath+"/leave", nil)), 200, `action="https://shop.example/cb"`, `value="access_denied"`)
	// Approved in another tab.
	w.flow.move(login.Approved, "")
	goesTo(t, w.do(ours("POST", ourPath+"/again", nil)), ourPath)
}

func TestEveryPostIsProtected(t *testing.T) {
	w := newWorld(t)
	for _, at := range []string{"/signin", ourPath + "/cancel", ourPath + "/again", ourPath + "/leave", "/language"} {
		r := ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		wants(t, w.do(r), 403, "cross_origin", `id="error"`)

		r = ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
		wants(t, w.do(r), 403, "cross_origin")

		// A proxy that changes the Host does not make our own form another site's.
		r = ours("POST", at, url.Values{"request": {"sealed"}, "lang": {"sv"}})
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://id.example")
		r.Host = "10.0.0.7:8080"
		if answer := w.do(r); answer.Code >= 400 {
			t.Errorf("%s behind a proxy: %d", at, answer.Code)
		}

		wants(t, w.do(ours("POST", at, url.Values{"request": {strings.Repeat("x", maxForm)}})), 413, "too_large", `id="error"`)

		r = ours("POST", at, nil)
		r.URL.RawQuery = "a=%zz"
		wants(t, w.do(r), 400, "bad_request")
	}
	if len(w.flow.submitted) != 1 {
		t.Errorf("submitted %d times, want once", len(w.flow.submitted))
	}
}

// Invariant 10: nothing internal reaches a browser.
func TestInvariant10_AnUnknownErrorIsAServerErrorAndAnID(t *testing.T) {
	w := newWorld(t)
	w.flow.failure = errors.New("bolt: page 7 is corrupt")
	for _, at := range []string{"", "/continue", "/status", "/events"} {
		w.log.Reset()
		answer := w.do(ours("GET", ourPath+at, nil))
		wants(t, answer, 500, "internal")
		if strings.Contains(answer.Body.String(), "bolt") {
			t.Errorf("the answer says what went wrong: %s", answer.Body)
		}
		if !strings.Contains(w.log.String(), "page 7 is corrupt") || !strings.Contains(w.log.String(), "correlation-1") {
			t.Errorf("the log does not: %s", w.log)
		}
		if at == "" && !strings.Contains(answer.Body.String(), "correlation-1") {
			t.Error("no correlation id")
		}
	}
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{w.ui.static.style, w.ui.static.script, w.ui.static.icon} {
		r := request("GET", "/static/"+name, nil)
		plain := w.do(r)
		wants(t, plain, 200)
		if plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, plain.Header())
		}
		r.Header.Set("Accept-Encoding", "br, gzip")
		if zipped := w.do(r); zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() >= plain.Body.Len() {
			t.Errorf("%s is not compressed", name)
		}
	}
	wants(t, w.do(request("GET", "/static/app.css", nil)), 404)
}

func TestAnIssuerWithAPath(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Issuer = "https://id.example/truecaller" })
	goesTo(t, w.do(request("POST", "/signin", url.Values{"request": {"sealed"}})), "/truecaller"+ourPath)
	wants(t, w.do(ours("GET", ourPath, nil)), 200, `href="/truecaller/static/`, `action="/truecaller`+ourPath+`/cancel"`, `data-attempt="/truecaller`+ourPath+`"`)
}
