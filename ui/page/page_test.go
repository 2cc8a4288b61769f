// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/logout"
	"calleridp/truecaller/phone"
	"calleridp/ui/language"
	"calleridp/ui/pagetest"
)

// newPages returns the built-in pages.
func newPages(t testing.TB, configure ...func(*Config)) *Pages {
	t.Helper()
	languages, err := language.Load(os.DirFS(".."), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Files:          os.DirFS(".."),
		Languages:      languages,
		Cookies:        endpoint.Cookies{Secure: true},
		Countries:      everyCountry(),
		Groups:         phone.Groups(),
		DeploymentName: "Lingon ID",
		AppName:        "Lingon ID",
		Log:            slog.New(slog.DiscardHandler),
	}
	for _, f := range configure {
		f(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func everyCountry() []Country {
	var all []Country
	for _, c := range phone.Countries() {
		all = append(all, Country(c))
	}
	return all
}

// drawSignIn draws a sign-in page of the shop.
func drawSignIn(p *Pages, v authorize.SignInView, headers ...[2]string) *httptest.ResponseRecorder {
	if v.Client == (endpoint.ClientView{}) {
		v.Client = pagetest.Shop
	}
	if v.Request == "" {
		v.Request = "sealed"
	}
	return pagetest.Draw("/authorize", func(w http.ResponseWriter, r *http.Request) { p.SignIn(w, r, v) }, headers...)
}

func drawWaiting(p *Pages, v authorize.AttemptView, headers ...[2]string) *httptest.ResponseRecorder {
	return pagetest.Draw(endpoint.PathAttempt+string(v.ID), func(w http.ResponseWriter, r *http.Request) { p.Waiting(w, r, v) }, headers...)
}

func drawEnded(p *Pages, v authorize.AttemptView) *httptest.ResponseRecorder {
	return pagetest.Draw(endpoint.PathAttempt+string(v.ID), func(w http.ResponseWriter, r *http.Request) { p.Ended(w, r, v) })
}

func TestErrorPagesSayTheirStatus(t *testing.T) {
	p := newPages(t)
	show := func(v endpoint.ErrorView) *httptest.ResponseRecorder {
		return pagetest.Draw("/", func(w http.ResponseWriter, r *http.Request) { p.Error(w, r, v) })
	}
	for kind, status := range statuses {
		pagetest.Want(t, show(endpoint.ErrorView{Kind: kind, Status: status, Correlation: "c-1"}), status, `id="error" data-error="`+string(kind)+`"`, "c-1")
		pagetest.Want(t, show(endpoint.ErrorView{Kind: kind}), status)
	}
	pagetest.Want(t, show(endpoint.ErrorView{Kind: "later_invention"}), 500, `data-error="internal"`)

	answer := show(endpoint.ErrorView{Kind: endpoint.ErrorRedirectURI, Detail: "registered: https://secret.example"})
	if strings.Contains(answer.Body.String(), "secret.example") {
		t.Error("got a page with the detail, want it in development only")
	}
	p = newPages(t, func(c *Config) { c.ShowDetail = true })
	pagetest.Want(t, show(endpoint.ErrorView{Kind: endpoint.ErrorRedirectURI, Detail: "<registered>"}), 400, "&lt;registered&gt;")
}

func TestWhatAClientMayPutOnAPage(t *testing.T) {
	p := newPages(t)
	show := func(c endpoint.ClientView) (string, string) {
		answer := drawSignIn(p, authorize.SignInView{Client: c, FormAction: "https://app.example:8443"})
		return answer.Body.String(), answer.Header().Get("Content-Security-Policy")
	}
	html, csp := show(endpoint.ClientView{Name: `<script>alert(1)</script>`, Logo: "/client-logo/app/hash.png", TOSURI: "https://app.example/tos", PolicyURI: "javascript:alert(1)"})
	pagetest.WellFormed(t, "hostile name", html)
	if strings.Contains(html, "<script>") || strings.Contains(html, "javascript:") || !strings.Contains(html, `src="/client-logo/app/hash.png"`) {
		t.Error(html)
	}
	if !strings.Contains(csp, "img-src 'self';") || !strings.Contains(csp, "form-action 'self' https://app.example:8443;") {
		t.Error(csp)
	}
	for _, logo := range []string{"https://cdn.example/logo.png", "data:image/png;base64,", "//cdn.example/x", "/static/icon.svg"} {
		html, csp := show(endpoint.ClientView{Name: "App", Logo: logo})
		if strings.Contains(html, "<img") || !strings.Contains(csp, "img-src 'self';") {
			t.Errorf("%s: got it on the page, want it left out; the CSP is %s", logo, csp)
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

func TestNoncesAreFresh(t *testing.T) {
	p := newPages(t)
	seen := map[string]bool{}
	for range 10 {
		answer := drawWaiting(p, pagetest.Attempt())
		nonce := regexp.MustCompile(`nonce="([^"]*)"`).FindStringSubmatch(answer.Body.String())[1]
		if seen[nonce] || len(nonce) < 22 || !strings.Contains(answer.Header().Get("Content-Security-Policy"), "script-src 'nonce-"+nonce+"'") {
			t.Fatalf("got the nonce %q, want a fresh one that the policy allows", nonce)
		}
		seen[nonce] = true
	}
}

func TestSignOutMayLeadOnwards(t *testing.T) {
	p := newPages(t)
	for action, want := range map[string]string{
		"":                    "form-action 'self';",
		"https://app.example": "form-action 'self' https:;",
		"http://127.0.0.1:1":  "form-action 'self' https: http:;",
		"com.example:":        "form-action 'self' com.example:;",
	} {
		answer := pagetest.Draw("/logout", func(w http.ResponseWriter, r *http.Request) {
			p.ConfirmSignOut(w, r, logout.SignOutView{Request: "sealed", FormAction: action})
		})
		if csp := answer.Header().Get("Content-Security-Policy"); !strings.Contains(csp, want) {
			t.Errorf("%q: got %s, want %s", action, csp, want)
		}
	}
}

func TestFormPostsGoToTheWebOnly(t *testing.T) {
	p := newPages(t)
	post := func(action, name, value string) *httptest.ResponseRecorder {
		return pagetest.Draw("/", func(w http.ResponseWriter, r *http.Request) {
			p.FormPost(w, r, action, []endpoint.Parameter{{Name: name, Value: value}})
		})
	}
	for _, action := range []string{"", "javascript:alert(1)", "com.example:/cb"} {
		answer := post(action, "code", "secret")
		if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "secret") {
			t.Errorf("%q: got %d, want 500 without the secret\n%s", action, answer.Code, answer.Body)
		}
	}
	answer := post("https://app.example/cb?x=1&y=2", `a"b`, `<">`)
	pagetest.WellFormed(t, "form post", answer.Body.String())
	pagetest.Want(t, answer, 200, `action="https://app.example/cb?x=1&amp;y=2"`, `name="a&#34;b" value="&lt;&#34;&gt;"`)
}

// The page that sends a request again may lead to us and to the client, and posts
// whatever the request has.
func TestARequestIsSentAgain(t *testing.T) {
	p := newPages(t)
	for action, want := range map[string]string{
		"":                    "form-action 'self';",
		"https://app.example": "form-action 'self' https:;",
		"http://127.0.0.1":    "form-action 'self' https: http:;",
		"com.example.app:":    "form-action 'self' com.example.app:;",
	} {
		answer := pagetest.Draw("/authorize", func(w http.ResponseWriter, r *http.Request) {
			p.SendAgain(w, r, authorize.SendAgainView{
				Action:     "/authorize",
				Fields:     []endpoint.Parameter{{Name: "login_hint", Value: `+46"`}},
				UILocales:  []string{"sv"},
				FormAction: action,
			})
		})
		pagetest.WellFormed(t, "sent again", answer.Body.String())
		pagetest.Want(t, answer, 200, `<form id="formpost" method="post" action="/authorize">`, `name="login_hint" value="&#43;46&#34;"`, `lang="sv"`)
		if csp := answer.Header().Get("Content-Security-Policy"); !strings.Contains(csp, want) {
			t.Errorf("%q: got %s, want %s", action, csp, want)
		}
	}
}

// The page says what is left once, and not beside a problem that says more.
func TestWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t)
		signIn := func(v authorize.SignInView) *httptest.ResponseRecorder {
			answer := drawSignIn(p, v)
			pagetest.WellFormed(t, "what is left", answer.Body.String())
			return answer
		}
		soon := time.Now().Add(11*time.Minute - time.Second)
		const none, few = "There were too many attempts. You can try again in 11\u00a0minutes.", "You have 2 attempts left for now."
		pagetest.Want(t, signIn(authorize.SignInView{Tries: &login.Tries{Next: soon}}), 200, none, `aria-describedby="rest tries hint"`)
		pagetest.Want(t, signIn(authorize.SignInView{Tries: &login.Tries{Left: 2}}), 200, few, `aria-describedby="rest tries hint"`)
		pagetest.Want(t, signIn(authorize.SignInView{Tries: &login.Tries{Left: 1}}), 200, "You have one attempt left for now.")
		mistake := &authorize.Problem{Kind: authorize.PhoneTooShort}
		pagetest.Want(t, signIn(authorize.SignInView{Tries: &login.Tries{Left: 2}, Problem: mistake}), 422, few, "too short", `aria-describedby="problem tries hint"`)
		limited := &authorize.Problem{Kind: authorize.Limited, RetryAt: soon}
		answer := signIn(authorize.SignInView{Tries: &login.Tries{Next: soon}, Problem: limited})
		if pagetest.Want(t, answer, 429, none); strings.Count(answer.Body.String(), "too many attempts") != 1 {
			t.Error("got the sentence twice, want it once")
		}
		if left, err := strconv.Atoi(answer.Header().Get("Retry-After")); err != nil || left < 600 || left > 660 {
			t.Errorf("got Retry-After %q, want 600 to 660", answer.Header().Get("Retry-After"))
		}
		if html := signIn(authorize.SignInView{}).Body.String(); strings.Contains(html, "tries") {
			t.Errorf("with plenty left: got tries on the page:\n%s", html)
		}

		// The waiting page counts down to the next request, unless it would count hours.
		locked := pagetest.Attempt()
		locked.AgainAt, locked.Tries = time.Now().Add(5*time.Hour-time.Second), &login.Tries{}
		answer = drawWaiting(p, locked)
		if pagetest.Want(t, answer, 200, "Another request can be sent to this number in 5\u00a0hours.", `<button id="again" class="quiet" disabled>Send again</button>`); strings.Contains(answer.Body.String(), "again-in") {
			t.Error("got a clock that counts hours, want none")
		}
	})
}

// The script that solves a challenge is on the page if there is a challenge, before the
// other script, and the page's policy stays as strict. A browser without scripts gets
// advice.
func TestChallengeOnThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t)
		show := func(v authorize.SignInView) (*httptest.ResponseRecorder, string) {
			answer := drawSignIn(p, v)
			pagetest.WellFormed(t, "challenge", answer.Body.String())
			nonce := regexp.MustCompile(`nonce="([^"]*)"`).FindStringSubmatch(answer.Body.String())[1]
			return answer, strings.ReplaceAll(answer.Header().Get("Content-Security-Policy"), nonce, "NONCE")
		}
		plain, policy := show(authorize.SignInView{})
		if html := plain.Body.String(); strings.Contains(html, "challenge") || strings.Contains(html, "noscript") {
			t.Errorf("without a challenge: got a page with one:\n%s", html)
		}
		always := &authorize.ChallengeView{Sealed: "sealed-challenge", Seed: "the-seed", Bits: 17}
		answer, csp := show(authorize.SignInView{Challenge: always})
		pagetest.Want(t, answer, 200, `name="challenge" value="sealed-challenge"`, `name="solution" id="solution" data-seed="the-seed" data-bits="17"`,
			`role="status"`, "needs JavaScript. Turn JavaScript on, or use another browser.")
		if csp != policy {
			t.Errorf("got %s, want that of a page without a challenge: %s", csp, policy)
		}
		scripts := regexp.MustCompile(`<script src="/static/([a-z]+)-[^"]+" nonce="[^"]+"( defer)?></script>`).FindAllStringSubmatch(answer.Body.String(), -1)
		if len(scripts) != 2 || scripts[0][1] != "challenge" || scripts[0][2] == "" || scripts[1][1] != "signin" || scripts[1][2] != "" {
			t.Errorf("got the scripts %q, want challenge, deferred, and signin, before the page is drawn", scripts)
		}

		soon := time.Now().Add(9*time.Minute - time.Second)
		auto := &authorize.ChallengeView{Sealed: "s", Seed: "s", Bits: 17, Without: soon}
		const until = "Turn JavaScript on, or come back in 9\u00a0minutes."
		answer, _ = show(authorize.SignInView{Challenge: auto})
		pagetest.Want(t, answer, 200, until)
		answer, _ = show(authorize.SignInView{Challenge: auto, Tries: &login.Tries{Left: 2}})
		pagetest.Want(t, answer, 200, until, "2 attempts left")
		answer, _ = show(authorize.SignInView{Challenge: auto, Problem: &authorize.Problem{Kind: authorize.Unsolved, RetryAt: soon}})
		if pagetest.Want(t, answer, 429, until, "must pass a short check", `aria-describedby="problem hint"`); answer.Header().Get("Retry-After") == "" || strings.Contains(answer.Body.String(), "aria-invalid") {
			t.Errorf("got %v, want Retry-After, and no mistake in the number:\n%s", answer.Header(), answer.Body)
		}
		// Two times on a page would be one too many.
		answer, _ = show(authorize.SignInView{Challenge: auto, Problem: &authorize.Problem{Kind: authorize.Limited, RetryAt: soon.Add(time.Hour)}})
		pagetest.Want(t, answer, 429, "try again in 69\u00a0minutes", "or use another browser")
		answer, _ = show(authorize.SignInView{Challenge: auto, Tries: &login.Tries{Next: soon.Add(time.Hour)}})
		pagetest.Want(t, answer, 200, "try again in 69\u00a0minutes", "or use another browser")
	})
}

func TestEveryPageHasATemplate(t *testing.T) {
	files, err := filepath.Glob("../templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(Names)+1 {
		t.Errorf("got %d templates, want one for each of %d pages, and a layout", len(files), len(Names))
	}
}

func TestEveryLanguageIsWritten(t *testing.T) {
	p := newPages(t)
	for l, pages := range p.templates {
		if _, err := pages(); err != nil {
			t.Errorf("%s: got %v, want nil", l.Tag, err)
		}
	}
}

func TestHooksNameTemplates(t *testing.T) {
	for name := range hooks {
		if name != layout && !slices.Contains(Names, name) {
			t.Errorf("got hooks of %s, want a template", name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	p := newPages(t)
	for what, spoil := range map[string]func(*Config){
		"no log":       func(c *Config) { c.Log = nil },
		"no countries": func(c *Config) { c.Countries = nil },
	} {
		t.Run(what, func(t *testing.T) {
			c := p.cfg
			spoil(&c)
			if _, err := New(c); err == nil {
				t.Error("got nil, want an error")
			}
		})
	}
}

func BenchmarkSignInPage(b *testing.B) {
	p := newPages(b)
	r := httptest.NewRequest("GET", "/authorize", nil)
	r.Header.Set("Accept-Language", "en-US,en;q=0.9,sv;q=0.8")
	v := authorize.SignInView{Client: pagetest.Shop, Request: strings.Repeat("sealed", 100), FormAction: "https://app.example"}
	for b.Loop() {
		p.SignIn(discard{http.Header{}}, r, v)
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

// A page whose number has an open request of another Truecaller app names that app, and
// leads to the page that waits; in another language too.
func TestSignInNamesTheOpenRequestOfAnotherApp(t *testing.T) {
	p := newPages(t)
	draw := func(app string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		p.SignIn(w, httptest.NewRequest("POST", "/signin", nil), authorize.SignInView{
			Client:  pagetest.Attempt().Client,
			Request: "sealed",
			Phone:   "+46701740605",
			Problem: &authorize.Problem{Kind: authorize.OtherApp, RetryAt: time.Now().Add(time.Minute), Attempt: "abcdefghijklmnopqrstuv", App: app},
		})
		return w
	}
	pagetest.Want(t, draw("Örtagård <b>"), 429,
		"A request from <bdi>Örtagård &lt;b&gt;</bdi> to this number is still open. Finish that one first, or enter another number.",
		`/attempt/abcdefghijklmnopqrstuv">Look at your phone</a>`,
		`name="attempt" value="abcdefghijklmnopqrstuv"`, `name="app" value="Örtagård &lt;b&gt;"`)
	pagetest.Want(t, draw(""), 429, "A request from <bdi>Lingon ID</bdi>")
}

// A page whose number its own browser has just asked for leads with another one, as the
// page of the attempt that has ended does.
func TestSignInLeadsWithAnotherNumberWhileTheOwnIsLocked(t *testing.T) {
	p := newPages(t)
	for kind, button := range map[authorize.ProblemKind]string{
		authorize.Locked:          "Use another number",
		authorize.LockedElsewhere: "Continue with Truecaller",
	} {
		w := httptest.NewRecorder()
		p.SignIn(w, httptest.NewRequest("POST", "/signin", nil), authorize.SignInView{
			Client:  pagetest.Shop,
			Request: "sealed",
			Phone:   "+46701740605",
			Problem: &authorize.Problem{Kind: kind, RetryAt: time.Now().Add(3*time.Minute + time.Second)},
		})
		pagetest.Want(t, w, 429, `<button id="submit" class="primary" data-busy="Sending the request…">`+button+`</button>`)
		if !strings.Contains(w.Body.String(), `value="&#43;46701740605"`) { // another one, in another language
			t.Errorf("%s: the page does not keep what was typed", kind)
		}
		if said := strings.Contains(w.Body.String(), "Another request can be sent to this number in 4\u00a0minutes."); said != (kind == authorize.Locked) {
			t.Errorf("%s: the page says when the number works: %v", kind, said)
		}
		if invalid := strings.Contains(w.Body.String(), "aria-invalid"); invalid {
			t.Errorf("%s: the field is said to be wrong", kind)
		}
	}
}

// A known browser is greeted with two digits of the number, and its number field stays.
func TestTheSignInPageGreetsAKnownBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t)
		v := authorize.SignInView{Region: "SE", Known: &authorize.KnownView{Number: "+46•••••05", Since: time.Now().Add(-73 * time.Hour)}}
		answer := drawSignIn(p, v)
		pagetest.WellFormed(t, "known", answer.Body.String())
		pagetest.Want(t, answer, 200, ">3 days ago</time>. Approve once more", `<form id="known" method="post" action="/signin">`,
			`<button class="primary" name="known" value="1">`, `<span>Continue as <bdi class="number" dir="ltr">&#43;46 •••• 05</bdi></span></button>`,
			`id="phone"`, `<button id="submit" class="secondary"`)
		if html := answer.Body.String(); strings.Contains(html, "autofocus") || strings.Count(html, `class="primary"`) != 1 {
			t.Errorf("got a focus in the number field, or two primary buttons:\n%s", html)
		}
		// One-tap is as short, and needs no number.
		v.OneTap = &authorize.OneTapView{Nonce: "nonce", Link: pagetest.OneTapLink}
		if html := drawSignIn(p, v, [2]string{"User-Agent", pagetest.AndroidAgent}).Body.String(); strings.Contains(html, `id="known"`) {
			t.Errorf("beside one-tap: got a greeting, want none:\n%s", html)
		}
	})
}
