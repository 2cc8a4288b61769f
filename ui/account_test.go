package ui

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/endpoint"
	"calleridp/provider/session"
)

func TestEveryDeedAndStepHasATextInEveryLanguage(t *testing.T) {
	for _, s := range loaded(t).all {
		for part, want := range map[string][]string{
			"account.did.*":         constants(t, "../provider/account/views.go", "AccountDeed"),
			"account.step.*.title":  constants(t, "../provider/account/views.go", "AccountStep"),
			"account.step.*.text":   constants(t, "../provider/account/views.go", "AccountStep"),
			"account.step.*.submit": {"delete", "download"},
		} {
			if got := s.texts.stars(part); !slices.Equal(got, want) {
				t.Errorf("%s has %s for %v, want %v", s.Tag, part, got, want)
			}
		}
	}
}

func TestTheAccountPage(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	v := account.AccountView{
		Name: `Asha <b>"Rao"`, Number: "+46•••••0605", Token: "token-1",
		Applications: []account.ApplicationView{{Client: shop, Scopes: []string{claims.OpenID, claims.Phone}, Since: now.Add(-72 * time.Hour), LastUsed: now}},
		Sessions: []account.SessionView{
			{ID: "sid-1", Device: session.Device{Browser: "Firefox", OS: "Windows"}, Created: now.Add(-90 * time.Minute), LastUsed: now, Here: true},
			{ID: "sid-2", Created: now.Add(-100 * 24 * time.Hour), LastUsed: now.Add(-49 * time.Hour)},
		},
	}
	answer := httptest.NewRecorder()
	w.ui.Account(answer, httptest.NewRequest("GET", "/account", nil), v)
	iso := now.Add(-72 * time.Hour).UTC().Format(time.RFC3339)
	wants(t, answer, 200, `Asha &lt;b&gt;&#34;Rao&#34;`, "46•••••0605", `<bdi>Lingon Market</bdi>`, `Access given <time datetime="`+iso+`">3 days ago</time>`, `last used <time datetime=`, ">less than an hour ago<",
		`name="client" value="shop"`, `name="session" value="sid-1"`, `name="session" value="sid-2"`, "This browser", "Unknown browser", ">1 hour ago<", ">3 months ago<", ">2 days ago<",
		`<button class="secondary short" aria-describedby="a1">`, `id="a1"`, `<button class="secondary short" aria-describedby="s2">`, `id="s2"`)
	body, _, _ := strings.Cut(answer.Body.String(), "</main>")
	// Every form has the token; nothing but names and ids comes with it.
	if forms, tokens := strings.Count(body, "<form "), strings.Count(body, `name="token" value="token-1"`); forms != 4 || tokens != forms {
		t.Errorf("%d forms, %d tokens:\n%s", forms, tokens, body)
	}
	if strings.Count(body, "This browser") != 1 || strings.Contains(body, `id="did"`) || strings.Contains(body, "somebody else") {
		t.Error(body)
	}
	if h := answer.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "form-action 'self';") || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("%v", h)
	}
	v.NumberLost, v.Did, v.Applications = true, account.DidSignOut, nil
	answer = httptest.NewRecorder()
	w.ui.Account(answer, httptest.NewRequest("GET", "/account", nil), v)
	wants(t, answer, 200, "somebody else", `id="did" class="notice" role="status"`, "You are signed out there.", "No application has access.")
}

func TestMoments(t *testing.T) {
	now := time.Now()
	for past, want := range map[time.Duration]moment{
		-time.Hour: {}, 0: {}, 59 * time.Minute: {}, time.Hour: {Hours: 1}, 47*time.Hour + 59*time.Minute: {Hours: 47},
		48 * time.Hour: {Days: 2}, 59 * 24 * time.Hour: {Days: 59}, 60 * 24 * time.Hour: {Months: 2}, 366 * 24 * time.Hour: {Months: 12},
	} {
		got := momentOf(now, now.Add(-past))
		if got.ISO == "" {
			t.Errorf("%s: no time for machines", past)
		}
		if got.ISO = ""; got != want {
			t.Errorf("%s: %+v, want %+v", past, got, want)
		}
	}
}

// Signing in to the account is signing in to us: under our name.
func TestTheAccountSignsInUnderTheNameOfTheDeployment(t *testing.T) {
	w := newWorld(t)
	answer := httptest.NewRecorder()
	w.ui.SignIn(answer, httptest.NewRequest("GET", "/account", nil), authorize.SignInView{Client: endpoint.ClientView{Own: true}, Request: "sealed"})
	wants(t, answer, 200, "<h1>Sign in to <bdi>Lingon ID</bdi></h1>", `id="phone"`)
}

// A site that opens the account page in a window learns from what it can do with the
// window whether the page has a Cross-Origin-Opener-Policy. It must not learn
// whether somebody is signed in.
func TestAnOpenerCannotTellWhoIsSignedIn(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest("GET", "/account", nil)
	in, out := httptest.NewRecorder(), httptest.NewRecorder()
	w.ui.Account(in, r, account.AccountView{})
	w.ui.SignIn(out, r, authorize.SignInView{Client: endpoint.ClientView{Own: true}, Request: "sealed"})
	const policy = "Cross-Origin-Opener-Policy"
	if a, b := in.Header().Get(policy), out.Header().Get(policy); a != "same-origin" || a != b {
		t.Errorf("signed in %q, not signed in %q", a, b)
	}
	client := httptest.NewRecorder()
	w.ui.SignIn(client, r, authorize.SignInView{Client: shop, Request: "sealed"})
	if got := client.Header().Get(policy); got != "" {
		t.Errorf("a client's window is cut off from it: %q", got)
	}
}

func TestTheCountryOfASessionIsInTheLanguageOfThePage(t *testing.T) {
	w := newWorld(t)
	for lang, want := range map[string]string{"en": " · <bdi>Sweden</bdi>", "sv": " · <bdi>Sverige</bdi>", "ar": " · <bdi>السويد</bdi>"} {
		r := httptest.NewRequest("GET", "/account", nil)
		r.Header.Set("Accept-Language", lang)
		answer := httptest.NewRecorder()
		w.ui.Account(answer, r, account.AccountView{Sessions: []account.SessionView{{ID: "one", Country: "SE"}, {ID: "two"}}})
		wants(t, answer, 200, want)
		if n := strings.Count(answer.Body.String(), " · <bdi>"); n != 1 {
			t.Errorf("%s: %d countries", lang, n)
		}
	}
}
