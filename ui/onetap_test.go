package ui

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
)

const androidAgent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36"

func TestOneTapIsOfferedOnAndroidOnly(t *testing.T) {
	for _, row := range []struct {
		what, hint, agent string
		want              bool
	}{
		{"Chrome on Android", "", androidAgent, true},
		{"Firefox on Android", "", "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", true},
		{"with the client hint", `"Android"`, androidAgent, true},
		{"its desktop site", `"Android"`, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", true},
		{"Chrome on Linux", `"Linux"`, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36", false},
		{"an emulated phone on a desktop", `"Windows"`, androidAgent, false},
		{"iPhone", "", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1", false},
		{"iPad", "", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15", false},
		{"Windows", `"Windows"`, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0.0.0 Safari/537.36", false},
		{"Windows Phone, which calls itself Android", "", "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) Edge/15.15254", false},
		{"a KaiOS phone, which calls itself Android", "", "Mozilla/5.0 (Mobile; LYF/F220B/LYF_F220B-003-01-15-130718;Android; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", false},
		{"inside another app", "", "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/530.0.0.0;]", false},
		{"inside another app, with the client hint", `"Android"`, "Mozilla/5.0 (Linux; Android 10; K; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0 Mobile Safari/537.36", false},
		{"a tablet", "", "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", true},
		{"Samsung Internet", `"Android"`, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", true},
		{"nothing", "", "", false},
	} {
		h := http.Header{}
		h.Set("User-Agent", row.agent)
		if row.hint != "" {
			h.Set("Sec-CH-UA-Platform", row.hint)
		}
		if got := opensTruecaller(h); got != row.want {
			t.Errorf("%s: %v", row.what, got)
		}
	}
}

// tapPage is the sign-in page of a client with one-tap.
func tapPage(u *UI, agent string, v authorize.SignInView) *httptest.ResponseRecorder {
	v.Client, v.Request = shop, "sealed"
	v.OneTap = &authorize.OneTapView{Nonce: "sealed-nonce", Link: testLink}
	r := httptest.NewRequest("GET", "/authorize", nil)
	r.Header.Set("User-Agent", agent)
	w := httptest.NewRecorder()
	u.SignIn(w, r, v)
	return w
}

func TestOneTapPage(t *testing.T) {
	u := newWorld(t).ui
	answer := tapPage(u, androidAgent, authorize.SignInView{App: "Lingon app", UILocales: []string{"hi"}})
	page := answer.Body.String()
	for _, want := range []string{
		`data-link="` + html.EscapeString(testLink("hi")) + `"`, `name="nonce" value="sealed-nonce"`, `name="lang" value="hi"`, `action="/onetap"`,
		`id="phone"`, `id="submit"`, "/static/" + u.static.signIn[signInParts{number: true, oneTap: true}],
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s:\n%s", want, page)
		}
	}
	policy := answer.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "truecallersdk") {
		t.Errorf("policy %s", policy)
	}
	if strings.Contains(page, "autofocus") {
		t.Error("the keyboard would cover the button")
	}
	desktop := tapPage(u, "Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.0.0", authorize.SignInView{})
	if page := desktop.Body.String(); strings.Contains(page, "truecallersdk") || strings.Contains(page, "onetap") || strings.Contains(desktop.Header().Get("Content-Security-Policy"), "connect-src") {
		t.Errorf("a desktop is offered it:\n%s", page)
	}
	// Without push there is no number field: only the button, or where to go.
	alone := tapPage(u, androidAgent, authorize.SignInView{WithoutPush: true}).Body.String()
	elsewhere := tapPage(u, "desktop", authorize.SignInView{WithoutPush: true}).Body.String()
	if strings.Contains(alone, `id="phone"`) || !strings.Contains(alone, `id="onetap"`) || strings.Contains(elsewhere, `id="phone"`) || !strings.Contains(elsewhere, "Android phone") {
		t.Errorf("without push:\n%s\n%s", alone, elsewhere)
	}
}

// Where no number can be typed, no sentence says so, and a refusal is explained all
// the same.
func TestOneTapWithoutANumberField(t *testing.T) {
	w := newWorld(t)
	nowhere := func(what, page string) {
		if wellFormed(t, what, page); strings.Contains(page, "number instead") || strings.Contains(page, "your mobile number") || strings.Contains(page, "type your number") {
			t.Errorf("%s speaks of a number that cannot be typed:\n%s", what, page)
		}
	}
	alone := authorize.SignInView{WithoutPush: true}
	first := tapPage(w.ui, androidAgent, alone)
	nowhere("the sign-in page", first.Body.String())
	alone.Problem = &authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(10 * time.Minute)}
	refused := tapPage(w.ui, androidAgent, alone)
	nowhere("the refusal", refused.Body.String())
	wants(t, refused, 429, `role="alert"`, "too many tries")
	alone.Problem, alone.Tries = nil, &login.Tries{Left: 2}
	wants(t, tapPage(w.ui, androidAgent, alone), 200, `id="tries"`)

	w.flow.view.Method, w.flow.view.Number, w.flow.view.Link, w.flow.view.WithoutPush = login.OneTap, "", testLink, true
	waiting := w.getOurs(ourPath).Body.String()
	nowhere("the waiting page", waiting)
	if !strings.Contains(waiting, `name="another" value="1">Try again`) {
		t.Errorf("no other try:\n%s", waiting)
	}
	for reason, want := range map[login.Reason]string{login.AnotherNumber: "onetap_declined", login.SeveralNumbers: "several_only"} {
		w.flow.move(login.Rejected, reason)
		page := w.getOurs(ourPath).Body.String()
		if nowhere(want, page); !strings.Contains(page, `data-outcome="`+want+`"`) {
			t.Errorf("%s:\n%s", reason, page)
		}
	}
}

func (w *world) postTap(accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "https://id.example/onetap", strings.NewReader(url.Values{"request": {"sealed"}, "nonce": {"sealed-nonce"}, "lang": {"sw"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://id.example")
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer
}

func TestOneTapForm(t *testing.T) {
	w := newWorld(t)
	plain := w.postTap("text/html")
	if plain.Code != 303 || plain.Header().Get("Location") != "/attempt/"+string(ourID) || !strings.Contains(plain.Header().Get("Set-Cookie"), "__Host-") {
		t.Errorf("%d %v", plain.Code, plain.Header())
	}
	script := w.postTap("application/json")
	var got map[string]string
	if err := json.Unmarshal(script.Body.Bytes(), &got); err != nil || script.Code != 200 || script.Header().Get("Cache-Control") != "no-store, no-transform" {
		t.Fatalf("%d %s %v", script.Code, script.Body, script.Header())
	}
	if got["attempt"] != "/attempt/"+string(ourID) || got["nonce"] != "fresh" || got["link"] != testLink("sw") {
		t.Errorf("%v", got)
	}
	if _, there := got["other_link"]; there {
		t.Errorf("%v", got)
	}
	w.flow.usedLink = true
	if body := w.postTap("application/json").Body.String(); !strings.Contains(body, `"other_link":true`) {
		t.Errorf("a link that another attempt has had: %s", body)
	}
	for _, s := range w.flow.tapped {
		if s.Request != "sealed" || s.Nonce != "sealed-nonce" || len(s.Browser) != 43 || s.Network == "" {
			t.Errorf("%+v", s)
		}
	}
	// A refusal is the page that says why, for the script, too: it shows that page.
	w.flow.refusal = &authorize.Refusal{Problem: authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(time.Hour)}, View: authorize.SignInView{Client: shop, Request: "sealed"}}
	for _, accept := range []string{"text/html", "application/json"} {
		if answer := w.postTap(accept); answer.Code != 429 || answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d", accept, answer.Code)
		}
	}
	r := httptest.NewRequest("POST", "https://id.example/onetap", strings.NewReader("request=sealed"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://evil.example")
	answer := httptest.NewRecorder()
	if w.ServeHTTP(answer, r); answer.Code != 403 {
		t.Errorf("a form of another site: %d", answer.Code)
	}
}

func (w *world) getOurs(path string) *httptest.ResponseRecorder { return w.do(ours("GET", path, nil)) }

func TestOneTapWaitingPageAndStatus(t *testing.T) {
	w := newWorld(t)
	w.flow.view.Method, w.flow.view.Number, w.flow.view.Link, w.flow.view.App = login.OneTap, "", testLink, "Lingon app"
	status := func() string { return w.getOurs("/attempt/" + string(ourID) + "/status").Body.String() }
	page := w.getOurs("/attempt/" + string(ourID)).Body.String()
	for _, want := range []string{`id="waiting"`, `id="open"`, `href="` + html.EscapeString(testLink("en")) + `"`, "Lingon app", `name="another"`, `id="cancel"`, `http-equiv="refresh"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s:\n%s", want, page)
		}
	}
	if strings.Contains(page, "ZgotmplZ") || strings.Contains(status(), "opened") {
		t.Errorf("%s\n%s", status(), page)
	}
	w.flow.view.Opened = true
	if got := status(); !strings.Contains(got, `"opened":true`) {
		t.Error(got)
	}
	for reason, want := range map[login.Reason]string{
		login.UserRejected: "onetap_declined", login.AnotherNumber: "another", login.SeveralNumbers: "several", login.ProfileFailed: "failed",
	} {
		w.flow.move(login.Rejected, reason)
		if reason == login.SeveralNumbers || reason == login.ProfileFailed {
			w.flow.move(login.Failed, reason)
		}
		if got := status(); !strings.Contains(got, `"outcome":"`+want+`"`) {
			t.Errorf("%s: %s", reason, got)
		}
		page := w.getOurs("/attempt/" + string(ourID)).Body.String()
		if !strings.Contains(page, `data-outcome="`+want+`"`) || strings.Contains(page, `class="number"`) {
			t.Errorf("%s:\n%s", reason, page)
		}
	}
	w.flow.move(login.Expired, "")
	if page := w.getOurs("/attempt/" + string(ourID)).Body.String(); !strings.Contains(page, `data-outcome="onetap_expired"`) {
		t.Errorf("expired:\n%s", page)
	}
}

// Where a push is waited for on an Android phone, which may be the one that is
// asked, Truecaller can be opened from the page.
func TestTruecallerOnTheSamePhone(t *testing.T) {
	w := newWorld(t)
	const link = `<a id="truecaller" class="secondary" href="intent:#Intent;action=android.intent.action.MAIN;category=android.intent.category.LAUNCHER;package=com.truecaller;end">`
	show := func(agent string) string {
		r := ours("GET", ourPath, nil)
		r.Header.Set("User-Agent", agent)
		answer := w.do(r)
		wellFormed(t, agent, answer.Body.String())
		return answer.Body.String()
	}
	if page := show(androidAgent); !strings.Contains(page, link) {
		t.Errorf("no %s:\n%s", link, page)
	}
	if page := show("Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.0.0"); strings.Contains(page, "com.truecaller") {
		t.Errorf("a desktop is offered it:\n%s", page)
	}
	w.flow.view.Link = testLink
	if page := show(androidAgent); strings.Contains(page, "com.truecaller") {
		t.Errorf("beside the one-tap link:\n%s", page)
	}
}
