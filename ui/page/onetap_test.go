// SPDX-License-Identifier: Apache-2.0

package page

import (
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
	"calleridp/ui/pagetest"
)

func TestOneTapIsOfferedOnAndroidOnly(t *testing.T) {
	for _, row := range []struct {
		what, hint, agent string
		want              bool
	}{
		{"Chrome on Android", "", pagetest.AndroidAgent, true},
		{"Firefox on Android", "", "Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", true},
		{"with the client hint", `"Android"`, pagetest.AndroidAgent, true},
		{"its desktop site", `"Android"`, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", true},
		{"Chrome on Linux", `"Linux"`, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36", false},
		{"an emulated phone on a desktop", `"Windows"`, pagetest.AndroidAgent, false},
		{"iPhone", "", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1", false},
		{"iPad", "", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15", false},
		{"Windows", `"Windows"`, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0.0.0 Safari/537.36", false},
		{"Windows Phone, which calls itself Android", "", "Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) Edge/15.15254", false},
		{"a KaiOS phone, which calls itself Android", "", "Mozilla/5.0 (Mobile; LYF/F220B/LYF_F220B-003-01-15-130718;Android; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", false},
		{"inside another app", "", "Mozilla/5.0 (Linux; Android 14; SM-S911B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/530.0.0.0;]", false},
		{"inside another app, with the client hint", `"Android"`, "Mozilla/5.0 (Linux; Android 10; K; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0 Mobile Safari/537.36", false},
		{"a tablet", "", "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", true},
		{"Samsung Internet", `"Android"`, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", true},
		{"no User-Agent", "", "", false},
	} {
		h := http.Header{}
		h.Set("User-Agent", row.agent)
		if row.hint != "" {
			h.Set("Sec-CH-UA-Platform", row.hint)
		}
		t.Run(row.what, func(t *testing.T) {
			if got := opensTruecaller(h); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// drawOneTap draws the sign-in page of a client with one-tap.
func drawOneTap(p *Pages, agent string, v authorize.SignInView) *httptest.ResponseRecorder {
	v.OneTap = &authorize.OneTapView{Nonce: "sealed-nonce", Link: pagetest.OneTapLink}
	return drawSignIn(p, v, [2]string{"User-Agent", agent})
}

const linuxAgent = "Mozilla/5.0 (X11; Linux x86_64) Chrome/141.0.0.0"

func TestOneTapPage(t *testing.T) {
	p := newPages(t)
	answer := drawOneTap(p, pagetest.AndroidAgent, authorize.SignInView{App: "Lingon app", UILocales: []string{"hi"}})
	page := answer.Body.String()
	pagetest.Contains(t, page,
		`data-link="`+html.EscapeString(pagetest.OneTapLink("hi"))+`"`, `name="nonce" value="sealed-nonce"`, `name="lang" value="hi"`, `action="/onetap"`,
		`id="phone"`, `id="submit"`, "/static/"+p.assets.signIn[signInParts{number: true, oneTap: true}])
	policy := answer.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "connect-src 'self'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "truecallersdk") {
		t.Errorf("got the policy %s, want connect-src 'self' and nothing unsafe", policy)
	}
	if strings.Contains(page, "autofocus") {
		t.Error("got autofocus, want none: the keyboard would cover the button")
	}
	desktop := drawOneTap(p, linuxAgent, authorize.SignInView{})
	if page := desktop.Body.String(); strings.Contains(page, "truecallersdk") || strings.Contains(page, "onetap") || strings.Contains(desktop.Header().Get("Content-Security-Policy"), "connect-src") {
		t.Errorf("a desktop: got one-tap, want none:\n%s", page)
	}
	// Without push there is no number field: the page has the button only, or names the
	// device to use.
	alone := drawOneTap(p, pagetest.AndroidAgent, authorize.SignInView{WithoutPush: true}).Body.String()
	elsewhere := drawOneTap(p, "desktop", authorize.SignInView{WithoutPush: true}).Body.String()
	if strings.Contains(alone, `id="phone"`) || !strings.Contains(alone, `id="onetap"`) || strings.Contains(elsewhere, `id="phone"`) || !strings.Contains(elsewhere, "Android phone") {
		t.Errorf("without push: got\n%s\n%s", alone, elsewhere)
	}
}

// Without a number field, no sentence invites the user to type a number, and a refusal
// is still explained.
func TestOneTapWithoutANumberField(t *testing.T) {
	p := newPages(t)
	noNumber := func(what, page string) {
		if pagetest.WellFormed(t, what, page); strings.Contains(page, "number instead") || strings.Contains(page, "your mobile number") || strings.Contains(page, "enter your number") {
			t.Errorf("%s: got a sentence about a number that cannot be typed:\n%s", what, page)
		}
	}
	alone := authorize.SignInView{WithoutPush: true}
	first := drawOneTap(p, pagetest.AndroidAgent, alone)
	noNumber("the sign-in page", first.Body.String())
	alone.Problem = &authorize.Problem{Kind: authorize.Limited, RetryAt: time.Now().Add(10 * time.Minute)}
	refused := drawOneTap(p, pagetest.AndroidAgent, alone)
	noNumber("the refusal", refused.Body.String())
	pagetest.Want(t, refused, 429, `role="alert"`, "too many attempts")
	alone.Problem, alone.Tries = nil, &login.Tries{Left: 2}
	pagetest.Want(t, drawOneTap(p, pagetest.AndroidAgent, alone), 200, `id="tries"`)

	v := pagetest.Attempt()
	v.Method, v.Number, v.Link, v.WithoutPush = login.OneTap, "", pagetest.OneTapLink, true
	page := drawWaiting(p, v).Body.String()
	noNumber("the waiting page", page)
	pagetest.Contains(t, page, `name="another" value="1">Try again`)
	v.State = login.Rejected
	for reason, want := range map[login.Reason]string{login.AnotherNumber: "onetap_declined", login.SeveralNumbers: "several_only"} {
		v.Reason = reason
		page := drawEnded(p, v).Body.String()
		noNumber(want, page)
		pagetest.Contains(t, page, `data-outcome="`+want+`"`)
	}
}

// An Android phone on which a user waits for a push may be the one that gets it, so that
// its waiting page has a link that opens Truecaller.
func TestTruecallerOnTheSamePhone(t *testing.T) {
	p := newPages(t)
	const link = `<a id="truecaller" class="primary" href="intent:#Intent;action=android.intent.action.MAIN;category=android.intent.category.LAUNCHER;package=com.truecaller;end">`
	v := pagetest.Attempt()
	show := func(agent string) string {
		page := drawWaiting(p, v, [2]string{"User-Agent", agent}).Body.String()
		pagetest.WellFormed(t, agent, page)
		return page
	}
	pagetest.Contains(t, show(pagetest.AndroidAgent), link)
	if page := show(linuxAgent); strings.Contains(page, "com.truecaller") {
		t.Errorf("a desktop: got the link, want none:\n%s", page)
	}
	v.Link = pagetest.OneTapLink
	if page := show(pagetest.AndroidAgent); strings.Contains(page, "com.truecaller") {
		t.Errorf("beside the one-tap link: got another, want none:\n%s", page)
	}
}
