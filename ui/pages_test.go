package ui

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"

	"golang.org/x/text/language"
)

var (
	tagPattern  = regexp.MustCompile(`<(/?)([a-z0-9]+)((?:\s+[a-zA-Z-]+(?:="[^"<]*")?)*)\s*/?>`)
	attrPattern = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
	void        = map[string]bool{"meta": true, "link": true, "input": true, "img": true, "br": true, "hr": true, "path": true}
)

// wellFormed checks that a page's tags nest, that nothing else looks like a tag,
// and that ids are unique; it returns the ids.
func wellFormed(t *testing.T, name, html string) map[string]bool {
	t.Helper()
	body, ok := strings.CutPrefix(html, "<!doctype html>\n")
	if !ok {
		t.Errorf("%s has no doctype", name)
	}
	if rest := tagPattern.ReplaceAllString(body, ""); strings.ContainsAny(rest, "<>") {
		t.Errorf("%s has a stray < or >: %s", name, rest)
	}
	ids := map[string]bool{}
	var open []string
	for _, m := range tagPattern.FindAllStringSubmatch(body, -1) {
		end, tag := m[1] == "/", m[2]
		switch {
		case end && (len(open) == 0 || open[len(open)-1] != tag):
			t.Errorf("%s: </%s> closes %v", name, tag, open)
			return ids
		case end:
			open = open[:len(open)-1]
			continue
		case !void[tag]:
			open = append(open, tag)
		}
		seen := map[string]bool{}
		for _, a := range attrPattern.FindAllStringSubmatch(m[3], -1) {
			if seen[a[1]] {
				t.Errorf("%s: <%s> has %s twice", name, tag, a[1])
			}
			seen[a[1]] = true
			switch {
			case a[1] == "id" && ids[a[2]]:
				t.Errorf("%s: the id %s is there twice", name, a[2])
			case a[1] == "id":
				ids[a[2]] = true
			case a[1] == "style" || strings.HasPrefix(a[1], "on"):
				t.Errorf("%s: %s= is forbidden by the CSP", name, a[1])
			}
		}
	}
	if len(open) > 0 {
		t.Errorf("%s leaves %v open", name, open)
	}
	for _, m := range regexp.MustCompile(`(?:for|aria-describedby)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		for id := range strings.FieldsSeq(m[1]) {
			if !ids[id] {
				t.Errorf("%s refers to the id %s, which is not there", name, id)
			}
		}
	}
	return ids
}

func TestEveryPageInEveryStateAndLanguage(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Simulation, c.ShowDetail = true, true })
	gallery := w.ui.Gallery()
	h1 := regexp.MustCompile(`<h1[ >]`)
	countries := map[string]string{}
	for _, s := range w.ui.languages.all {
		countries[s.Tag] = string(s.countries().all.plain)
	}
	for _, s := range scenes() {
		for _, lang := range w.ui.Languages() {
			for _, query := range []string{"", "&theme=dark", "&theme=light&dir=rtl"} {
				name := s.name + " in " + lang + query
				answer := httptest.NewRecorder()
				gallery.ServeHTTP(answer, httptest.NewRequest("GET", "/gallery/"+s.name+"?lang="+lang+query, nil))
				html := strings.Replace(answer.Body.String(), countries[lang], "", 1) // they have tests of their own
				wellFormed(t, name, html)
				if strings.Contains(html, "ZgotmplZ") || strings.Contains(html, "{{") || strings.Contains(html, "[[") || strings.Contains(html, "<title></title>") {
					t.Errorf("%s is not written out:\n%s", name, html)
				}
				dir := direction(language.MustParse(lang))
				if strings.Contains(query, "rtl") {
					dir = "rtl"
				}
				if !strings.Contains(html, `<html lang="`+lang+`" dir="`+dir+`"`) {
					t.Errorf("%s: wrong language or direction", name)
				}
				if len(h1.FindAllString(strings.Split(html, `id="approved" hidden`)[0], -1)) != 1 {
					t.Errorf("%s has not one heading", name)
				}
				if !strings.Contains(html, `class="simulation"`) {
					t.Errorf("%s does not say that it is a simulation", name)
				}
				// CSP, and every address on the page is ours or a link that a person presses.
				h := answer.Header()
				csp := h.Get("Content-Security-Policy")
				for _, part := range []string{"default-src 'none'; ", "; frame-ancestors 'none'", "; base-uri 'none'", "; form-action ", "; style-src 'nonce-"} {
					if !strings.Contains(csp, part) {
						t.Errorf("%s: no %s in %s", name, part, csp)
					}
				}
				if strings.Contains(csp, "unsafe") || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
					h.Get("Referrer-Policy") == "" || h.Get("Permissions-Policy") == "" || h.Get("X-Frame-Options") != "DENY" {
					t.Errorf("%s: headers %v", name, h)
				}
				most := 8 << 10
				if s.name == "account" { // as long as its lists
					most *= 2
				}
				if !strings.HasPrefix(s.name, "signin") && answer.Body.Len() > most { // see TestTheSignInPageIsSmall
					t.Errorf("%s has %d bytes", name, answer.Body.Len())
				}
			}
		}
	}
	answer := httptest.NewRecorder()
	gallery.ServeHTTP(answer, httptest.NewRequest("GET", "/gallery", nil))
	wants(t, answer, 200, "/gallery/waiting?lang=sv", "Svenska")
	answer = httptest.NewRecorder()
	gallery.ServeHTTP(answer, httptest.NewRequest("GET", "/gallery/nothing", nil))
	wants(t, answer, 404)
}

// The names that tests, password managers and scripts rely on.
func TestNamesThatStay(t *testing.T) {
	w := newWorld(t)
	gallery := w.ui.Gallery()
	for scene, parts := range map[string][]string{
		"signin":          {`id="phone" name="phone" type="tel"`, `autocomplete="tel"`, `inputmode="tel"`, `<button id="submit"`, `name="request" value="sealed"`, `action="/signin"`},
		"waiting":         {`id="waiting"`, `<button id="cancel"`, `<button id="again"`, "disabled"},
		"sign-out":        {`<button id="submit"`, `name="request"`, `action="/logout/confirm"`},
		"signed-out":      {`id="signed-out"`},
		"consent":         {`id="consent"`, `<button id="allow"`, `<button id="deny"`, `<button id="another"`, `name="request"`, `action="/consent"`},
		"account":         {`id="account"`, `id="did"`, `<button id="everywhere"`, `id="download"`, `id="delete"`, `action="/account/revoke"`, `action="/account/signout"`, `action="/account/signout-all"`},
		"account-delete":  {`id="account-delete"`, `<button id="submit"`, `action="/account/delete"`},
		"account-deleted": {`id="account-deleted"`},
		"error-not-found": {`id="error"`, "01JD7K3W9QX4T8Z2"},
	} {
		answer := httptest.NewRecorder()
		gallery.ServeHTTP(answer, httptest.NewRequest("GET", "/gallery/"+scene+"?lang=en", nil))
		wants(t, answer, answer.Code, parts...)
	}
}

func TestErrorPagesSayTheirStatus(t *testing.T) {
	w := newWorld(t)
	show := func(v endpoint.ErrorView) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		w.ui.Error(answer, httptest.NewRequest("GET", "/", nil), v)
		return answer
	}
	for kind, status := range statuses {
		wants(t, show(endpoint.ErrorView{Kind: kind, Status: status, Correlation: "c-1"}), status, `id="error" data-error="`+string(kind)+`"`, "c-1")
		wants(t, show(endpoint.ErrorView{Kind: kind}), status)
	}
	wants(t, show(endpoint.ErrorView{Kind: "later_invention"}), 500, `data-error="internal"`)

	answer := show(endpoint.ErrorView{Kind: endpoint.ErrorRedirectURI, Detail: "registered: https://secret.example"})
	if strings.Contains(answer.Body.String(), "secret.example") {
		t.Error("the detail is shown to strangers")
	}
	w.ui.ShowDetail = true
	wants(t, show(endpoint.ErrorView{Kind: endpoint.ErrorRedirectURI, Detail: "<registered>"}), 400, "&lt;registered&gt;")
}

func TestWhatAClientMayPutOnAPage(t *testing.T) {
	w := newWorld(t)
	show := func(c endpoint.ClientView) (string, string) {
		answer := httptest.NewRecorder()
		w.ui.SignIn(answer, httptest.NewRequest("GET", "/authorize", nil), authorize.SignInView{Client: c, Request: "sealed", FormAction: "https://app.example:8443"})
		return answer.Body.String(), answer.Header().Get("Content-Security-Policy")
	}
	html, csp := show(endpoint.ClientView{Name: `<script>alert(1)</script>`, LogoURI: "https://cdn.example:8443/logo.png", TOSURI: "https://app.example/tos", PolicyURI: "javascript:alert(1)"})
	wellFormed(t, "hostile name", html)
	if strings.Contains(html, "<script>") || strings.Contains(html, "javascript:") || !strings.Contains(html, `src="https://cdn.example:8443/logo.png"`) {
		t.Error(html)
	}
	if !strings.Contains(csp, "img-src 'self' https://cdn.example:8443;") || !strings.Contains(csp, "form-action 'self' https://app.example:8443;") {
		t.Error(csp)
	}
	for _, logo := range []string{"http://cdn.example/logo.png", "data:image/png;base64,", "https://user@cdn.example/x", "//cdn.example/x", "https:///x"} {
		html, csp := show(endpoint.ClientView{Name: "App", LogoURI: logo})
		if strings.Contains(html, "<img") || !strings.Contains(csp, "img-src 'self';") {
			t.Errorf("%s is shown: %s", logo, csp)
		}
	}
	// A client without a name is called by its id.
	if html, _ := show(endpoint.ClientView{ID: "app-1"}); !strings.Contains(html, "Sign in to app-1") {
		t.Error(html)
	}
	// The initial is a letter, whatever the name starts with.
	if html, _ := show(endpoint.ClientView{Name: "«åre»"}); !strings.Contains(html, `aria-hidden="true">Å</span>`) {
		t.Error(html)
	}
}

func TestCSPSource(t *testing.T) {
	for in, want := range map[string]string{
		"https://app.example":           "https://app.example",
		"http://127.0.0.1:9442":         "http://127.0.0.1:9442",
		"http://[::1]:8080":             "http:",
		"com.example.app:":              "com.example.app:",
		"":                              "",
		"app.example":                   "",
		"https://a b":                   "",
		"https://a;script-src *":        "",
		"https://a/path":                "",
		"https://*":                     "",
		"https://*.example":             "",
		"*:":                            "",
		"'unsafe-inline':":              "",
		"1a:":                           "",
		"https:":                        "https:",
		"https://":                      "",
		"javascript:alert(1)":           "",
		"https://a, default-src *":      "",
		"https://a\r\nSet-Cookie: x=y;": "",
	} {
		if got := cspSource(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzCSPSourceAddsNothing(f *testing.F) {
	for _, s := range []string{"https://app.example", "com.example:", "https://[::1]", "https://a;x", "a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := cspSource(in)
		if strings.ContainsAny(got, " ;,'*\"\r\n\t") || got != "" && !strings.HasPrefix(in, strings.TrimSuffix(got, ":")) {
			t.Errorf("%q becomes %q", in, got)
		}
	})
}

func TestNoncesAreFresh(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 10 {
		answer := w.do(ours("GET", ourPath, nil))
		nonce := regexp.MustCompile(`nonce="([^"]*)"`).FindStringSubmatch(answer.Body.String())[1]
		if seen[nonce] || len(nonce) < 22 || !strings.Contains(answer.Header().Get("Content-Security-Policy"), "script-src 'nonce-"+nonce+"'") {
			t.Fatalf("nonce %q", nonce)
		}
		seen[nonce] = true
	}
}

func TestSignOutMayLeadOnwards(t *testing.T) {
	w := newWorld(t)
	for action, want := range map[string]string{
		"":                    "form-action 'self';",
		"https://app.example": "form-action 'self' https:;",
		"http://127.0.0.1:1":  "form-action 'self' https: http:;",
		"com.example:":        "form-action 'self' com.example:;",
	} {
		answer := httptest.NewRecorder()
		w.ui.ConfirmSignOut(answer, httptest.NewRequest("GET", "/logout", nil), logout.SignOutView{Request: "sealed", FormAction: action})
		if csp := answer.Header().Get("Content-Security-Policy"); !strings.Contains(csp, want) {
			t.Errorf("%q: %s, want %s", action, csp, want)
		}
	}
}

func TestFormPostsGoToTheWebOnly(t *testing.T) {
	w := newWorld(t)
	for _, action := range []string{"", "javascript:alert(1)", "com.example:/cb"} {
		answer := httptest.NewRecorder()
		w.ui.FormPost(answer, httptest.NewRequest("GET", "/", nil), action, []endpoint.Parameter{{Name: "code", Value: "secret"}})
		if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "secret") {
			t.Errorf("%q: %d", action, answer.Code)
		}
	}
	answer := httptest.NewRecorder()
	w.ui.FormPost(answer, httptest.NewRequest("GET", "/", nil), "https://app.example/cb?x=1&y=2", []endpoint.Parameter{{Name: `a"b`, Value: `<">`}})
	wellFormed(t, "form post", answer.Body.String())
	wants(t, answer, 200, `action="https://app.example/cb?x=1&amp;y=2"`, `name="a&#34;b" value="&lt;&#34;&gt;"`)
}

func TestWaits(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]delay{
		-time.Hour: {Minutes: 1}, 0: {Minutes: 1}, time.Minute: {Minutes: 1}, 61 * time.Second: {Minutes: 2},
		90 * time.Minute: {Minutes: 90}, 91 * time.Minute: {Hours: 2}, 24 * time.Hour: {Hours: 24},
	} {
		if got := waitUntil(now, now.Add(left)); got != want {
			t.Errorf("%s: %+v, want %+v", left, got, want)
		}
	}
	for seconds, want := range map[int]string{0: "0:00", 9: "0:09", 70: "1:10", 3600: "60:00"} {
		if got := clock(seconds); got != want {
			t.Errorf("%d is %s, want %s", seconds, got, want)
		}
	}
}

// What is left is said once, and not beside a problem that says more.
func TestWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	signIn := func(v authorize.SignInView) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		v.Client, v.Request = shop, "sealed"
		w.ui.SignIn(answer, httptest.NewRequest("GET", "/authorize", nil), v)
		wellFormed(t, "what is left", answer.Body.String())
		return answer
	}
	soon := time.Now().Add(11*time.Minute - time.Second)
	const none, few = "There were too many tries. You can try again in 11\u00a0minutes.", "2 more tries are possible for now."
	wants(t, signIn(authorize.SignInView{Tries: &login.Tries{Next: soon}}), 200, none, `aria-describedby="tries hint"`)
	wants(t, signIn(authorize.SignInView{Tries: &login.Tries{Left: 2}}), 200, few, `aria-describedby="tries hint"`)
	wants(t, signIn(authorize.SignInView{Tries: &login.Tries{Left: 1}}), 200, "One more try is possible for now.")
	mistake := &authorize.Problem{Kind: authorize.PhoneTooShort}
	wants(t, signIn(authorize.SignInView{Tries: &login.Tries{Left: 2}, Problem: mistake}), 422, few, "too short", `aria-describedby="problem tries hint"`)
	limited := &authorize.Problem{Kind: authorize.Limited, RetryAt: soon}
	answer := signIn(authorize.SignInView{Tries: &login.Tries{Next: soon}, Problem: limited})
	if wants(t, answer, 429, none); strings.Count(answer.Body.String(), "too many tries") != 1 {
		t.Error("it is said twice")
	}
	if left, err := strconv.Atoi(answer.Header().Get("Retry-After")); err != nil || left < 600 || left > 660 {
		t.Errorf("Retry-After %q", answer.Header().Get("Retry-After"))
	}
	if html := signIn(authorize.SignInView{}).Body.String(); strings.Contains(html, "tries") {
		t.Errorf("with plenty left:\n%s", html)
	}

	// The waiting page counts down to the next request, unless it would count hours.
	w.flow.view.AgainAt, w.flow.view.Tries = time.Now().Add(5*time.Hour-time.Second), &login.Tries{}
	answer = w.do(ours("GET", ourPath, nil))
	if wants(t, answer, 200, "Another request can be sent to this number in 5\u00a0hours.", `<button id="again" class="secondary" disabled>Send again</button>`); strings.Contains(answer.Body.String(), "again-in") {
		t.Error("a clock that counts hours")
	}
}

// The script that solves a challenge is there when there is one, before the
// other, and the page's policy stays as strict. Who cannot run it is told what
// to do.
func TestChallengeOnThePage(t *testing.T) {
	w := newWorld(t)
	show := func(v authorize.SignInView) (*httptest.ResponseRecorder, string) {
		answer := httptest.NewRecorder()
		v.Client, v.Request = shop, "sealed"
		w.ui.SignIn(answer, httptest.NewRequest("GET", "/authorize", nil), v)
		wellFormed(t, "challenge", answer.Body.String())
		nonce := regexp.MustCompile(`nonce="([^"]*)"`).FindStringSubmatch(answer.Body.String())[1]
		return answer, strings.ReplaceAll(answer.Header().Get("Content-Security-Policy"), nonce, "NONCE")
	}
	plain, policy := show(authorize.SignInView{})
	if html := plain.Body.String(); strings.Contains(html, "challenge") || strings.Contains(html, "noscript") {
		t.Errorf("without a challenge:\n%s", html)
	}
	always := &authorize.ChallengeView{Sealed: "sealed-challenge", Seed: "the-seed", Bits: 17}
	answer, csp := show(authorize.SignInView{Challenge: always})
	wants(t, answer, 200, `name="challenge" value="sealed-challenge"`, `name="solution" id="solution" data-seed="the-seed" data-bits="17"`,
		`role="status"`, "needs JavaScript. Turn it on, or use another browser.")
	if csp != policy {
		t.Errorf("%s\nwithout: %s", csp, policy)
	}
	scripts := regexp.MustCompile(`<script src="/static/([a-z]+)-[^"]+" nonce="[^"]+" defer>`).FindAllStringSubmatch(answer.Body.String(), -1)
	if len(scripts) != 2 || scripts[0][1] != "challenge" || scripts[1][1] != "signin" {
		t.Errorf("scripts %q", scripts)
	}

	soon := time.Now().Add(9*time.Minute - time.Second)
	auto := &authorize.ChallengeView{Sealed: "s", Seed: "s", Bits: 17, Without: soon}
	const until = "Turn it on, or come back in 9\u00a0minutes."
	answer, _ = show(authorize.SignInView{Challenge: auto})
	wants(t, answer, 200, until)
	answer, _ = show(authorize.SignInView{Challenge: auto, Tries: &login.Tries{Left: 2}})
	wants(t, answer, 200, until, "2 more tries")
	answer, _ = show(authorize.SignInView{Challenge: auto, Problem: &authorize.Problem{Kind: authorize.Unsolved, RetryAt: soon}})
	if wants(t, answer, 429, until, "must pass a short check", `aria-describedby="problem hint"`); answer.Header().Get("Retry-After") == "" || strings.Contains(answer.Body.String(), "aria-invalid") {
		t.Errorf("%v\n%s", answer.Header(), answer.Body)
	}
	// Two times on a page would be one too many.
	answer, _ = show(authorize.SignInView{Challenge: auto, Problem: &authorize.Problem{Kind: authorize.Limited, RetryAt: soon.Add(time.Hour)}})
	wants(t, answer, 429, "try again in 69\u00a0minutes", "or use another browser")
	answer, _ = show(authorize.SignInView{Challenge: auto, Tries: &login.Tries{Next: soon.Add(time.Hour)}})
	wants(t, answer, 200, "try again in 69\u00a0minutes", "or use another browser")
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no log")
	}
	w := newWorld(t)
	if _, err := New(Config{Log: w.ui.Log}); err == nil {
		t.Error("no countries")
	}
	if _, err := New(Config{Log: w.ui.Log, Countries: everyCountry(), Issuer: "nonsense"}); err == nil {
		t.Error("an issuer that is no URL")
	}
}

func BenchmarkSignInPage(b *testing.B) {
	u, err := New(Config{Log: quiet(), Countries: everyCountry()})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/authorize", nil)
	r.Header.Set("Accept-Language", "en-US,en;q=0.9,sv;q=0.8")
	v := authorize.SignInView{Client: shop, Request: strings.Repeat("sealed", 100), FormAction: "https://app.example"}
	for b.Loop() {
		u.SignIn(discard{http.Header{}}, r, v)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(status int) {
	if status != http.StatusOK {
		panic(fmt.Sprint("status ", status))
	}
}
