// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"
	"calleridp/ui/pagetest"
)

var (
	languageButton = regexp.MustCompile(`<li><button form="([a-z]+)" formaction="([^"]*)" name="lang" value="([^"]+)" lang="([^"]+)" dir="(ltr|rtl)"( aria-current="true")?>([^<]+)</button></li>`)
	hiddenField    = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
)

// switchForm returns what pressing a language on a page sends, without what the user
// typed.
func switchForm(t *testing.T, html, lang string) (to string, form url.Values) {
	t.Helper()
	form = url.Values{"lang": {lang}}
	for _, b := range languageButton.FindAllStringSubmatch(html, -1) {
		if b[3] != lang {
			continue
		}
		_, fields, ok := strings.Cut(html, `<form id="`+b[1]+`" `)
		if !ok {
			t.Fatalf("got a button of the form %s, want that form on the page", b[1])
		}
		fields, _, _ = strings.Cut(fields, "</form>")
		for _, f := range hiddenField.FindAllStringSubmatch(fields, -1) {
			form.Set(f[1], f[2])
		}
		return b[2], form
	}
	t.Fatalf("got no button for %s:\n%s", lang, html)
	return "", nil
}

func TestEveryLanguageIsOffered(t *testing.T) {
	w := newWorld(t)
	r := ours("GET", ourPath, nil)
	r.Header.Set("Accept-Language", "hi")
	html := w.do(r).Body.String()
	current := 0
	buttons := languageButton.FindAllStringSubmatch(html, -1)
	for _, b := range buttons {
		s := w.languages.Named(b[3])
		if s == nil || b[4] != b[3] || b[5] != s.Dir || b[7] != s.Name() {
			t.Errorf("got the button %q, want a language with its direction and name", b)
		}
		if b[6] != "" {
			current++
			if b[3] != "hi" {
				t.Errorf("got %s as current, want hi", b[3])
			}
		}
	}
	if len(buttons) != len(w.languages.All()) || current != 1 {
		t.Errorf("got %d buttons for %d languages, %d of them current, want one each and one current", len(buttons), len(w.languages.All()), current)
	}
	// A page that refreshes itself would close the list; other pages need not open it.
	pagetest.Want(t, w.get(ourPath), 200, `<details class="early" open>`)
	w.flow.move(login.Expired, "")
	pagetest.Want(t, w.get(ourPath), 200, "<details>\n<summary><svg ")
}

func TestChoosingALanguage(t *testing.T) {
	w := newWorld(t)
	w.flow.view.UILocales = []string{"sv"}
	to, form := switchForm(t, w.get(ourPath).Body.String(), "hi")
	if to != "/language" || form.Encode() != "back="+url.QueryEscape(ourPath)+"&from=sv&lang=hi" {
		t.Errorf("got %s to %s, want the path back", form.Encode(), to)
	}
	answer := w.post(to, form)
	pagetest.WantSeeOther(t, answer, ourPath)
	cookie := answer.Result().Cookies()[0]
	if cookie.Name != "__Host-calleridp_language" || cookie.Value != "hi.sv" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge < 100*24*3600 {
		t.Errorf("got the cookie %v, want hi.sv, with every protection", cookie)
	}
	r := ours("GET", ourPath, nil)
	r.AddCookie(cookie)
	pagetest.Want(t, w.do(r), 200, `<html lang="hi" dir="ltr">`)
}

// The page comes back in the new language at once, with what the user typed and the
// problem that it showed.
func TestAnotherLanguageOnTheSignInPage(t *testing.T) {
	w := newWorld(t)
	view := authorize.SignInView{
		Client:    pagetest.Shop,
		Request:   "sealed",
		Phone:     "070 1",
		Region:    "SE",
		UILocales: []string{"sv"},
	}
	w.flow.show = func(out http.ResponseWriter, r *http.Request) { w.pages.SignIn(out, r, view) }
	retry := time.Now().Add(4 * time.Minute).Truncate(time.Second)
	w.flow.refusal = &authorize.Refusal{Problem: authorize.Problem{Kind: authorize.Locked, RetryAt: retry}, View: view}
	html := w.do(request("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {"070 1"}})).Body.String()
	to, form := switchForm(t, html, "ta")
	form.Set("phone", "070 12")
	form.Set("region", "NO")
	answer := w.do(request("POST", to, form))
	pagetest.Want(t, answer, 200, `<html lang="ta" dir="ltr">`)
	if got := w.flow.reopened[0]; got.Request != "sealed" || got.Phone != "070 12" || got.Region != "NO" || got.Problem == nil ||
		got.Problem.Kind != authorize.Locked || !got.Problem.RetryAt.Equal(retry) || got.Network != "192.0.2.1/32" {
		t.Errorf("got %+v with %+v, want what the user typed, and the problem", got, got.Problem)
	}
	if cookie := answer.Result().Cookies()[0]; cookie.Value != "ta.sv" {
		t.Errorf("got the cookie %s, want ta.sv", cookie.Value)
	}
	// An unknown problem is dropped.
	form.Set("problem", "later_invention")
	w.do(request("POST", to, form))
	if got := w.flow.reopened[1]; got.Problem != nil {
		t.Errorf("got %+v, want nil", got.Problem)
	}
	// Enter in the number field must send the number.
	if strings.Index(html, `<button id="submit"`) > strings.Index(html, `name="lang"`) {
		t.Error("got a language as the first button of the form, want the button that submits the number")
	}
}

func TestAnotherLanguageOnPagesWithARequest(t *testing.T) {
	w := newWorld(t)
	for name, show := range map[string]func(http.ResponseWriter, *http.Request){
		"consent": func(out http.ResponseWriter, r *http.Request) {
			w.pages.Consent(out, r, authorize.ConsentView{Client: pagetest.Shop, Request: "sealed"})
		},
		"sign-out": func(out http.ResponseWriter, r *http.Request) {
			w.pages.ConfirmSignOut(out, r, logout.SignOutView{Request: "sealed"})
		},
		"one-tap alone": func(out http.ResponseWriter, r *http.Request) {
			w.pages.SignIn(out, r, authorize.SignInView{Client: pagetest.Shop, Request: "sealed", WithoutPush: true})
		},
	} {
		answer := httptest.NewRecorder()
		show(answer, httptest.NewRequest("GET", "/authorize?client_id=x", nil))
		to, form := switchForm(t, answer.Body.String(), "sv")
		if form.Encode() != "lang=sv&request=sealed" {
			t.Errorf("%s: got %s, want the sealed request", name, form.Encode())
		}
		w.flow.show = show
		pagetest.Want(t, w.do(request("POST", to, form)), 200, `<html lang="sv"`)
	}
}

func TestAnotherLanguageOnErrorPages(t *testing.T) {
	w := newWorld(t)
	html := w.get(endpoint.PathAttempt + "zzzzzzzzzzzzzzzzzzzzzz").Body.String()
	to, form := switchForm(t, html, "sv")
	if form.Encode() != "correlation=correlation-1&error=not_found&lang=sv" {
		t.Error(form.Encode())
	}
	pagetest.Want(t, w.do(request("POST", to, form)), 200, `<html lang="sv"`, `data-error="not_found"`, "correlation-1")
	form.Set("correlation", `"><script>`)
	form.Set("error", "later_invention")
	answer := w.do(request("POST", to, form))
	pagetest.Want(t, answer, 200, `data-error="internal"`)
	if strings.Contains(answer.Body.String(), `&gt;&lt;script`) {
		t.Error("got a page with the form's correlation, want it dropped")
	}
}

// The problem that leads to an open attempt keeps it. What is not the ID of one is
// dropped: the page would link to it.
func TestTheOpenRequestOfAnotherAppInAnotherLanguage(t *testing.T) {
	w := newWorld(t)
	const id = "abcdefghijklmnopqrstuv"
	w.flow.show = func(out http.ResponseWriter, r *http.Request) {
		reopened := w.flow.reopened[len(w.flow.reopened)-1]
		w.pages.SignIn(out, r, authorize.SignInView{Client: pagetest.Shop, Request: "sealed", Problem: reopened.Problem})
	}
	form := url.Values{"lang": {"sv"}, "request": {"sealed"}, "problem": {"other_app"}, "retry": {"1"}, "attempt": {id}, "app": {"<b>"}}
	pagetest.Want(t, w.do(request("POST", "/language", form)), 429, "<bdi>&lt;b&gt;</bdi>", `/attempt/`+id+`">`)
	for _, wrong := range []string{"", id + "x", "../account/delete/abcd", "//evil.example/abcdefg"} {
		form.Set("attempt", wrong)
		w.do(request("POST", "/language", form))
		if got := w.flow.reopened[len(w.flow.reopened)-1].Problem; got != nil {
			t.Errorf("%q: got %+v, want no problem", wrong, got)
		}
	}
}

// The time in the form comes from the browser. Any value gives a page, so that an
// attacker cannot fill the log with pages that do not render.
func TestTimesThatSomebodyMadeUp(t *testing.T) {
	w := newWorld(t)
	for _, retry := range []string{"99999999999", "9223372036", "9223372036854775807", "-9223372036854775808", "0", "later"} {
		w.flow.show = func(out http.ResponseWriter, r *http.Request) {
			reopened := w.flow.reopened[len(w.flow.reopened)-1]
			w.pages.SignIn(out, r, authorize.SignInView{Client: pagetest.Shop, Request: "sealed", Problem: reopened.Problem})
		}
		answer := w.do(request("POST", "/language", url.Values{"lang": {"sv"}, "request": {"sealed"}, "problem": {"limited"}, "retry": {retry}}))
		if answer.Code != 429 || strings.Contains(answer.Header().Get("Retry-After"), "-") {
			t.Errorf("%s: got %d and Retry-After %s, want 429 and nothing negative", retry, answer.Code, answer.Header().Get("Retry-After"))
		}
	}
}

func TestLanguagesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, form := range []url.Values{
		{},
		{"lang": {"xx"}, "back": {ourPath}},
		{"lang": {"sv"}},
		{"lang": {"sv"}, "back": {""}},
		{"lang": {"sv"}, "back": {"//evil.example"}},
		{"lang": {"sv"}, "back": {"/\\evil.example"}},
		{"lang": {"sv"}, "back": {"https://evil.example/"}},
		{"lang": {"sv"}, "back": {"/a//evil"}},
		{"lang": {"sv"}, "back": {"/a\r\nSet-Cookie: x=y"}},
		{"lang": {"sv"}, "back": {"javascript:alert(1)"}},
	} {
		answer := w.do(request("POST", "/language", form))
		pagetest.Want(t, answer, 400, "bad_request")
		if len(answer.Result().Cookies()) > 0 {
			t.Errorf("%v: got a cookie, want none", form)
		}
	}
	// The cookie does not keep an unknown language.
	answer := w.do(request("POST", "/language", url.Values{"lang": {"sv"}, "from": {"xx; Domain=evil"}, "back": {"/account"}}))
	if pagetest.WantSeeOther(t, answer, "/account"); answer.Result().Cookies()[0].Value != "sv" {
		t.Errorf("got %v, want sv", answer.Result().Cookies())
	}
}

// A page that leads elsewhere by itself has no list, nor has a page that cannot be shown
// again.
func TestPagesWithoutLanguages(t *testing.T) {
	w := newWorld(t)
	for name, show := range map[string]func(http.ResponseWriter, *http.Request){
		"form post": func(out http.ResponseWriter, r *http.Request) {
			w.pages.FormPost(out, r, "https://shop.example/cb", nil)
		},
		"approved": func(out http.ResponseWriter, r *http.Request) { w.pages.Approved(out, r, w.flow.view) },
		"a POST": func(out http.ResponseWriter, r *http.Request) {
			r.Method = "POST"
			w.pages.SignedOut(out, r, logout.SignedOutView{})
		},
		"an odd address": func(out http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = "x=%0a'"
			w.pages.SignedOut(out, r, logout.SignedOutView{})
		},
	} {
		answer := httptest.NewRecorder()
		show(answer, httptest.NewRequest("GET", "/logout/done", nil))
		if pagetest.Want(t, answer, 200); strings.Contains(answer.Body.String(), `name="lang"`) {
			t.Errorf("%s: got a list of languages, want none:\n%s", name, answer.Body)
		}
	}
}

// Server and script write the same digits; phone numbers stay as they are.
func TestDigitsOnAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, row := range []struct{ accept, left, zero, locked string }{
			{"en", "5:00", "0", "in 5\u00a0minutes"},
			{"bn-BD", "৫:০০", "০", "৫"},
			{"mr-IN", "५:००", "०", "५"},
			{"hi-IN", "5:00", "0", "5"},
			{"ar-EG", "٥:٠٠", "٠", "٥"},
			{"ar-MA", "5:00", "0", "5"},
			{"ur-IN", "۵:۰۰", "۰", "۵"},
		} {
			w.flow.move(login.Waiting, "")
			r := ours("GET", ourPath, nil)
			r.Header.Set("Accept-Language", row.accept)
			answer := w.do(r)
			pagetest.Want(t, answer, 200, `<span id="left" class="clock" role="timer" data-seconds="300" data-zero="`+row.zero+`">`+row.left+`</span>`,
				`<span id="again-in" class="clock" data-seconds="300" data-zero="`+row.zero+`">`+row.left+`</span>`,
				`<bdi class="number" dir="ltr">&#43;46 •••• 0605</bdi>`)
			pagetest.WellFormed(t, row.accept, answer.Body.String())

			r = request("POST", "/signin", url.Values{"request": {"sealed"}})
			r.Header.Set("Accept-Language", row.accept)
			soon := time.Now().Add(5*time.Minute - time.Second)
			w.flow.refusal = refusal(authorize.Problem{Kind: authorize.Locked, RetryAt: soon}, authorize.SignInView{})
			pagetest.Want(t, w.do(r), 429, row.locked, `id="number"`)

			w.flow.move("expired", "")
			r = ours("GET", ourPath, nil)
			r.Header.Set("Accept-Language", row.accept)
			body := w.do(r).Body.String()
			_, body, _ = strings.Cut(body, `<p class="hint">`)
			if body, _, _ = strings.Cut(body, "</p>"); !strings.Contains(body, row.locked) {
				t.Errorf("%s: got %q, want %q in it", row.accept, body, row.locked)
			}
		}
	})
}
