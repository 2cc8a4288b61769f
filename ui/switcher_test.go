package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"
)

var (
	languageButton = regexp.MustCompile(`<li><button form="([a-z]+)" formaction="([^"]*)" name="lang" value="([^"]+)" lang="([^"]+)" dir="(ltr|rtl)"( aria-current="true")?>([^<]+)</button></li>`)
	hiddenField    = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
)

// switchForm is what pressing a language on a page sends, without what was typed.
func switchForm(t *testing.T, html, lang string) (to string, form url.Values) {
	t.Helper()
	form = url.Values{"lang": {lang}}
	for _, b := range languageButton.FindAllStringSubmatch(html, -1) {
		if b[3] != lang {
			continue
		}
		_, fields, ok := strings.Cut(html, `<form id="`+b[1]+`" `)
		if !ok {
			t.Fatalf("the button belongs to the form %s, which is not there", b[1])
		}
		fields, _, _ = strings.Cut(fields, "</form>")
		for _, f := range hiddenField.FindAllStringSubmatch(fields, -1) {
			form.Set(f[1], f[2])
		}
		return b[2], form
	}
	t.Fatalf("no button for %s:\n%s", lang, html)
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
		s := w.ui.languages.named(b[3])
		if s == nil || b[4] != b[3] || b[5] != s.Dir || b[7] != s.texts["language"]["other"] {
			t.Errorf("%q", b)
		}
		if b[6] != "" {
			current++
			if b[3] != "hi" {
				t.Errorf("%s is current", b[3])
			}
		}
	}
	if len(buttons) != len(w.ui.Languages()) || current != 1 {
		t.Errorf("%d buttons for %d languages, %d of them current", len(buttons), len(w.ui.Languages()), current)
	}
	// A page that refreshes itself would close the list, and others need not be open.
	wants(t, w.do(ours("GET", ourPath, nil)), 200, `<details class="early" open>`)
	w.flow.move(login.Expired, "")
	wants(t, w.do(ours("GET", ourPath, nil)), 200, "<details>\n<summary><svg ")
}

func TestChoosingALanguage(t *testing.T) {
	w := newWorld(t)
	w.flow.view.UILocales = []string{"sv"}
	to, form := switchForm(t, w.do(ours("GET", ourPath, nil)).Body.String(), "hi")
	if to != "/language" || form.Encode() != "back="+url.QueryEscape(ourPath)+"&from=sv&lang=hi" {
		t.Errorf("%s to %s", form.Encode(), to)
	}
	answer := w.do(ours("POST", to, form))
	goesTo(t, answer, ourPath)
	cookie := answer.Result().Cookies()[0]
	if cookie.Name != "__Host-calleridp_language" || cookie.Value != "hi.sv" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge < 100*24*3600 {
		t.Errorf("%v", cookie)
	}
	r := ours("GET", ourPath, nil)
	r.AddCookie(cookie)
	wants(t, w.do(r), 200, `<html lang="hi" dir="ltr">`)
}

// The page comes back in the new language at once, with what was typed and what
// it said before.
func TestAnotherLanguageOnTheSignInPage(t *testing.T) {
	w := newWorld(t)
	view := authorize.SignInView{Client: shop, Request: "sealed", Phone: "070 1", Region: "SE", UILocales: []string{"sv"}}
	w.flow.show = func(out http.ResponseWriter, r *http.Request) { w.ui.SignIn(out, r, view) }
	retry := time.Now().Add(4 * time.Minute).Truncate(time.Second)
	w.flow.refusal = &authorize.Refusal{Problem: authorize.Problem{Kind: authorize.Locked, RetryAt: retry}, View: view}
	html := w.do(request("POST", "/signin", url.Values{"request": {"sealed"}, "phone": {"070 1"}})).Body.String()
	to, form := switchForm(t, html, "ta")
	form.Set("phone", "070 12")
	form.Set("region", "NO")
	answer := w.do(request("POST", to, form))
	wants(t, answer, 200, `<html lang="ta" dir="ltr">`)
	if got := w.flow.reopened[0]; got.Request != "sealed" || got.Phone != "070 12" || got.Region != "NO" || got.Problem == nil ||
		got.Problem.Kind != authorize.Locked || !got.Problem.RetryAt.Equal(retry) || got.Network != "192.0.2.1/32" {
		t.Errorf("%+v %+v", got, got.Problem)
	}
	if cookie := answer.Result().Cookies()[0]; cookie.Value != "ta.sv" {
		t.Errorf("cookie %s", cookie.Value)
	}
	// What is no problem of ours is none.
	form.Set("problem", "later_invention")
	w.do(request("POST", to, form))
	if got := w.flow.reopened[1]; got.Problem != nil {
		t.Errorf("%+v", got.Problem)
	}
	// Enter in the number field must send the number.
	if strings.Index(html, `<button id="submit"`) > strings.Index(html, `name="lang"`) {
		t.Error("the first button of the form chooses a language")
	}
}

func TestAnotherLanguageOnPagesWithARequest(t *testing.T) {
	w := newWorld(t)
	for name, show := range map[string]func(http.ResponseWriter, *http.Request){
		"consent": func(out http.ResponseWriter, r *http.Request) {
			w.ui.Consent(out, r, authorize.ConsentView{Client: shop, Request: "sealed"})
		},
		"sign-out": func(out http.ResponseWriter, r *http.Request) {
			w.ui.ConfirmSignOut(out, r, logout.SignOutView{Request: "sealed"})
		},
		"one-tap alone": func(out http.ResponseWriter, r *http.Request) {
			w.ui.SignIn(out, r, authorize.SignInView{Client: shop, Request: "sealed", WithoutPush: true})
		},
	} {
		answer := httptest.NewRecorder()
		show(answer, httptest.NewRequest("GET", "/authorize?client_id=x", nil))
		to, form := switchForm(t, answer.Body.String(), "sv")
		if form.Encode() != "lang=sv&request=sealed" {
			t.Errorf("%s: %s", name, form.Encode())
		}
		w.flow.show = show
		wants(t, w.do(request("POST", to, form)), 200, `<html lang="sv"`)
	}
}

func TestAnotherLanguageOnErrorPages(t *testing.T) {
	w := newWorld(t)
	html := w.do(ours("GET", endpoint.PathAttempt+"zzzzzzzzzzzzzzzzzzzzzz", nil)).Body.String()
	to, form := switchForm(t, html, "sv")
	if form.Encode() != "correlation=correlation-1&error=not_found&lang=sv" {
		t.Error(form.Encode())
	}
	wants(t, w.do(request("POST", to, form)), 200, `<html lang="sv"`, `data-error="not_found"`, "correlation-1")
	form.Set("correlation", `"><script>`)
	form.Set("error", "later_invention")
	answer := w.do(request("POST", to, form))
	wants(t, answer, 200, `data-error="internal"`)
	if strings.Contains(answer.Body.String(), `&gt;&lt;script`) {
		t.Error("the page says what the form said")
	}
}

// The time in the form is the browser's word. Whatever it says, the page is shown:
// nobody fills the log with pages that do not render.
func TestTimesThatSomebodyMadeUp(t *testing.T) {
	w := newWorld(t)
	for _, retry := range []string{"99999999999", "9223372036", "9223372036854775807", "-9223372036854775808", "0", "later"} {
		w.flow.show = func(out http.ResponseWriter, r *http.Request) {
			reopened := w.flow.reopened[len(w.flow.reopened)-1]
			w.ui.SignIn(out, r, authorize.SignInView{Client: shop, Request: "sealed", Problem: reopened.Problem})
		}
		answer := w.do(request("POST", "/language", url.Values{"lang": {"sv"}, "request": {"sealed"}, "problem": {"limited"}, "retry": {retry}}))
		if answer.Code != 429 || strings.Contains(answer.Header().Get("Retry-After"), "-") {
			t.Errorf("%s: %d, Retry-After %s", retry, answer.Code, answer.Header().Get("Retry-After"))
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
		wants(t, answer, 400, "bad_request")
		if len(answer.Result().Cookies()) > 0 {
			t.Errorf("%v sets a cookie", form)
		}
	}
	// Another language than ours is no reason to remember.
	answer := w.do(request("POST", "/language", url.Values{"lang": {"sv"}, "from": {"xx; Domain=evil"}, "back": {"/account"}}))
	if goesTo(t, answer, "/account"); answer.Result().Cookies()[0].Value != "sv" {
		t.Errorf("%v", answer.Result().Cookies())
	}
}

// Pages that lead somewhere by themselves have no list, nor does a page that
// cannot be shown again.
func TestPagesWithoutLanguages(t *testing.T) {
	w := newWorld(t)
	for name, show := range map[string]func(http.ResponseWriter, *http.Request){
		"form post": func(out http.ResponseWriter, r *http.Request) { w.ui.FormPost(out, r, "https://shop.example/cb", nil) },
		"approved":  func(out http.ResponseWriter, r *http.Request) { w.ui.approved(out, r, w.flow.view) },
		"a POST": func(out http.ResponseWriter, r *http.Request) {
			r.Method = "POST"
			w.ui.SignedOut(out, r, logout.SignedOutView{})
		},
		"an odd address": func(out http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = "x=%0a'"
			w.ui.SignedOut(out, r, logout.SignedOutView{})
		},
	} {
		answer := httptest.NewRecorder()
		show(answer, httptest.NewRequest("GET", "/logout/done", nil))
		if wants(t, answer, 200); strings.Contains(answer.Body.String(), `name="lang"`) {
			t.Errorf("%s: %s", name, answer.Body)
		}
	}
}
