// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
	"calleridp/ui/pagetest"
)

func TestASubmittedNumberGoesToItsAttempt(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.ClientAddr = func(*http.Request) netip.Addr { return netip.MustParseAddr("2001:db8:1:2:3::4") }
	})
	first := request("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {"070"}, "region": {"SE"},
		"challenge": {"sealed too"}, "solution": {"42"}})
	first.Header.Set("User-Agent", "Mozilla/5.0")
	answer := w.do(first)
	pagetest.WantSeeOther(t, answer, ourPath)
	got := w.flow.submitted[0]
	cookie := answer.Result().Cookies()[0]
	if cookie.Name != "__Host-calleridp_browser" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("got the cookie %v, want the browser's, with every protection", cookie)
	}
	want := authorize.Submission{
		Request:   "sealed",
		Phone:     "070",
		Region:    "SE",
		Browser:   login.BrowserSecret(cookie.Value),
		Network:   "2001:db8:1:2::/64",
		UserAgent: "Mozilla/5.0",
		Challenge: "sealed too",
		Solution:  "42",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("submitted %+v, want %+v", got, want)
	}
	// A browser keeps its secret, so that its other tabs go on, as long as the flow says.
	again := w.post("/signin", url.Values{"request": {"sealed"}, "phone": {"070"}})
	if value := again.Result().Cookies()[0].Value; value != ourBrowser || w.flow.submitted[1].Browser != ourBrowser {
		t.Errorf("got the secret %q, want %q", value, ourBrowser)
	}
	// Else it gets another one, and keeps the one before for the pages of its earlier
	// attempts.
	w.flow.renews = true
	renewed := w.post("/signin", url.Values{"request": {"sealed"}, "phone": {"070"}})
	both := renewed.Result().Cookies()[0]
	if both.Value != newBrowser+"."+ourBrowser || both.MaxAge > 2*60*60 {
		t.Errorf("got the cookie %v, want the new secret, and the one before, for two hours at most", both)
	}
	if got := w.flow.submitted[2]; got.Browser != newBrowser || !slices.Equal(got.Before, []login.BrowserSecret{ourBrowser}) {
		t.Errorf("submitted by %+v, want the new secret, and the one before", got)
	}
	earlier := request("GET", ourPath, nil)
	earlier.AddCookie(both)
	pagetest.Want(t, w.do(earlier), 200)
	// A refused number changes no cookie.
	w.flow.refusal = refusal(authorize.Problem{Kind: authorize.Limited}, authorize.SignInView{})
	if got := w.post("/signin", url.Values{"request": {"sealed"}}).Result().Cookies(); len(got) != 0 {
		t.Errorf("a refused number: got the cookies %v", got)
	}
	w.flow.refusal, w.flow.renews = nil, false
	// A value that is no secret of ours is replaced.
	r := request("POST", "/signin", url.Values{"request": {"sealed"}})
	r.AddCookie(&http.Cookie{Name: "__Host-calleridp_browser", Value: "short"})
	if w.do(r); len(w.flow.submitted[4].Browser) != 43 {
		t.Errorf("got the browser %q, want a new secret", w.flow.submitted[4].Browser)
	}
}

func TestARefusedNumberKeepsWhatWasTyped(t *testing.T) {
	w := newWorld(t)
	for kind, status := range map[authorize.ProblemKind]int{
		authorize.PhoneTooShort: 422, authorize.PhoneEmpty: 422, authorize.LockedElsewhere: 429, authorize.Limited: 429, authorize.Unavailable: 503,
	} {
		w.flow.refusal = refusal(
			authorize.Problem{Kind: kind, RetryAt: time.Now().Add(3 * time.Minute)},
			authorize.SignInView{Phone: `+46 <"70"`, FormAction: "https://shop.example"},
		)
		answer := w.do(request("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {`+46 <"70"`}}))
		pagetest.Want(t, answer, status, `value="&#43;46 &lt;&#34;70&#34;"`, `aria-describedby="problem hint"`, `id="problem"`, `name="request" value="sealed"`)
		if strings.Contains(answer.Body.String(), `aria-invalid="true"`) != (status == 422) {
			t.Errorf("%s: got another field than for a status of %d:\n%s", kind, status, answer.Body)
		}
		if (kind == authorize.LockedElsewhere) != strings.Contains(answer.Body.String(), "Someone sent a request to this number from another browser. If it was not you, decline that request on your phone. You can send a new one in 3\u00a0minutes.") {
			t.Errorf("%s: got another page than for this problem:\n%s", kind, answer.Body)
		}
		if (kind == authorize.Unavailable) != strings.Contains(answer.Body.String(), "Truecaller is not responding right now. You can try again in 3\u00a0minutes.") {
			t.Errorf("%s: got another page than for this problem:\n%s", kind, answer.Body)
		}
		if answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got no Retry-After", kind)
		}
	}
}

// A country that the page has guessed stays a guess until the user chooses one.
func TestAGuessIsSubmittedAsOne(t *testing.T) {
	w := newWorld(t)
	for i, row := range []struct {
		form    url.Values
		guessed bool
	}{
		{url.Values{"region": {"SE"}}, false},
		{url.Values{"region": {"SE"}, "guessed": {"SE"}}, true},
		{url.Values{"region": {"NO"}, "guessed": {"SE"}}, false},
	} {
		w.do(request("POST", "/signin", row.form))
		if got := w.flow.submitted[i].Guessed; got != row.guessed {
			t.Errorf("%v: got guessed %v, want %v", row.form, got, row.guessed)
		}
	}
	w.do(request("POST", "/signin", url.Values{"confirmed": {"+46 70 174 06 05"}}))
	if got := w.flow.submitted[3].Confirmed; got != "+46 70 174 06 05" {
		t.Errorf("got confirmed %q, want what the page had shown", got)
	}
	// The page that confirms the number keeps the guess.
	w.flow.refusal = refusal(authorize.Problem{Kind: authorize.PhoneConfirm}, authorize.SignInView{Phone: "+46 70 174 06 05", Region: "SE"})
	answer := w.do(request("POST", "/signin", url.Values{"region": {"SE"}, "guessed": {"SE"}, "phone": {"0701740605"}}))
	pagetest.Want(t, answer, 200, `role="status">Is this your number? If so, continue.`, `value="&#43;46 70 174 06 05"`, `name="guessed" value="SE"`, `<option value="SE" selected>`,
		`name="confirmed" value="&#43;46 70 174 06 05"`)
	if strings.Contains(answer.Body.String(), "aria-invalid") {
		t.Error("got a mistake in the number, want a request to confirm it")
	}
	// Choosing another country ends the guess.
	w.flow.refusal = refusal(authorize.Problem{Kind: authorize.PhoneTooShort}, authorize.SignInView{Region: "NO"})
	answer = w.do(request("POST", "/signin", url.Values{"region": {"NO"}, "guessed": {"SE"}, "phone": {"070"}}))
	if pagetest.Want(t, answer, 422, `<option value="NO" selected>`); strings.Contains(answer.Body.String(), `name="guessed"`) {
		t.Error("got a guess, want the country that the user chose")
	}
}
