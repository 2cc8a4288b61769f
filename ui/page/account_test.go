// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/account"
	"calleridp/provider/authorize"
	"calleridp/provider/claims"
	"calleridp/provider/endpoint"
	"calleridp/provider/session"
	"calleridp/ui/pagetest"
)

func drawAccount(p *Pages, v account.AccountView, headers ...[2]string) *httptest.ResponseRecorder {
	return pagetest.Draw("/account", func(w http.ResponseWriter, r *http.Request) { p.Account(w, r, v) }, headers...)
}

func TestTheAccountPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(t)
		now := time.Now()
		v := account.AccountView{
			Name: `Asha <b>"Rao"`, Number: "+46•••••0605", Token: "token-1",
			Applications: []account.ApplicationView{{
				Client:   pagetest.Shop,
				Scopes:   []string{claims.OpenID, claims.Phone},
				Since:    now.Add(-72 * time.Hour),
				LastUsed: now,
			}},
			Sessions: []account.SessionView{
				{
					ID:       "sid-1",
					Device:   session.Device{Browser: "Firefox", OS: "Windows"},
					Created:  now.Add(-90 * time.Minute),
					LastUsed: now,
					Here:     true,
				},
				{ID: "sid-2", Created: now.Add(-100 * 24 * time.Hour), LastUsed: now.Add(-49 * time.Hour)},
			},
		}
		answer := drawAccount(p, v)
		iso := now.Add(-72 * time.Hour).UTC().Format(time.RFC3339)
		pagetest.Want(t, answer, 200, `Asha &lt;b&gt;&#34;Rao&#34;`, "46 •••• 0605", `<bdi>Lingon Market</bdi>`, `Access given <time datetime="`+iso+`">3 days ago</time>`, `last used <time datetime=`, ">less than an hour ago<",
			`name="client" value="shop"`, `name="session" value="sid-1"`, `name="session" value="sid-2"`, "This browser", "Unknown browser", ">1 hour ago<", ">3 months ago<", ">2 days ago<",
			`<button class="quiet danger" aria-describedby="a1">`, `id="a1"`, `<button class="quiet" aria-describedby="s2">`, `id="s2"`)
		body, _, _ := strings.Cut(answer.Body.String(), "</main>")
		// Every form has the token.
		if forms, tokens := strings.Count(body, "<form "), strings.Count(body, `name="token" value="token-1"`); forms != 4 || tokens != forms {
			t.Errorf("got %d forms and %d tokens, want 4 of each:\n%s", forms, tokens, body)
		}
		if strings.Count(body, "This browser") != 1 || strings.Contains(body, `id="did"`) || strings.Contains(body, "someone else") {
			t.Error(body)
		}
		if h := answer.Header(); !strings.Contains(h.Get("Content-Security-Policy"), "form-action 'self';") || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("got the headers %v, want form-action 'self' and no opener", h)
		}
		v.NumberLost, v.Did, v.Applications = true, account.DidSignOut, nil
		answer = drawAccount(p, v)
		pagetest.Want(t, answer, 200, "someone else", `id="did" class="notice" role="status"`, "You are signed out there.", "No app has access.")
	})
}

// The sign-in page of the account bears the name of the deployment.
func TestTheAccountSignsInUnderTheNameOfTheDeployment(t *testing.T) {
	p := newPages(t)
	answer := drawSignIn(p, authorize.SignInView{Client: endpoint.ClientView{Own: true}})
	pagetest.Want(t, answer, 200, "<h1>Sign in to <bdi>Lingon ID</bdi></h1>", `id="phone"`)
}

// A site that opens the account page in a window learns from what it can do with the
// window whether the page has a Cross-Origin-Opener-Policy. It must not learn whether
// the user is signed in.
func TestAnOpenerCannotTellWhoIsSignedIn(t *testing.T) {
	p := newPages(t)
	in := drawAccount(p, account.AccountView{})
	out := drawSignIn(p, authorize.SignInView{Client: endpoint.ClientView{Own: true}})
	const policy = "Cross-Origin-Opener-Policy"
	if a, b := in.Header().Get(policy), out.Header().Get(policy); a != "same-origin" || a != b {
		t.Errorf("got %q signed in and %q signed out, want same-origin for both", a, b)
	}
	if got := drawSignIn(p, authorize.SignInView{}).Header().Get(policy); got != "" {
		t.Errorf("a client's sign-in page: got %q, want none", got)
	}
}

func TestTheCountryOfASessionIsInTheLanguageOfThePage(t *testing.T) {
	p := newPages(t)
	for lang, want := range map[string]string{"en": " · <bdi>Sweden</bdi>", "sv": " · <bdi>Sverige</bdi>", "ar": " · <bdi>السويد</bdi>"} {
		sessions := []account.SessionView{{ID: "one", Country: "SE"}, {ID: "two"}}
		answer := drawAccount(p, account.AccountView{Sessions: sessions}, [2]string{"Accept-Language", lang})
		pagetest.Want(t, answer, 200, want)
		if n := strings.Count(answer.Body.String(), " · <bdi>"); n != 1 {
			t.Errorf("%s: got %d countries, want 1", lang, n)
		}
	}
}
