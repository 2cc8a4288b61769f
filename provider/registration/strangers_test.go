// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// A stranger who registers clients without end keeps nobody out: the oldest that was never
// used gives its place, but not within the hour in which whoever registered it tries it.
func TestThreat_FillingTheQuotaKeepsNobodyOut(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		p := open()
		p.Most = 3
		w := worldWith(t, p)
		exists := func(id string) bool {
			_, err := w.Clients.Client(t.Context(), id)
			return err == nil
		}
		used := register(w, with("")).Member("client_id")
		c, err := w.Clients.Client(t.Context(), used)
		if err == nil {
			err = w.Clients.MarkUsed(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, text, err := addInitialToken(t, w, "a partner", 24*time.Hour, 1)
		if err != nil {
			t.Fatal(err)
		}
		partner := register(w, with(""), testworld.Bearer(text)).Member("client_id")
		time.Sleep(time.Minute)
		stranger := register(w, with("")).Member("client_id")
		if got := register(w, with("")); got.StatusCode != http.StatusForbidden {
			t.Fatalf("one too many: got %s, want 403", got)
		}
		time.Sleep(time.Hour - time.Second)
		if got := register(w, with("")); got.StatusCode != http.StatusForbidden || !exists(stranger) {
			t.Fatalf("within the hour: got %s, want 403", got)
		}
		time.Sleep(time.Second)
		next := register(w, with(""))
		if next.StatusCode != http.StatusCreated {
			t.Fatalf("after the hour: got %s, want a new client", next)
		}
		if exists(stranger) || !exists(used) || !exists(partner) || !exists(next.Member("client_id")) {
			t.Errorf("stranger %v, used %v, partner %v, next %v: want all but the stranger's", exists(stranger), exists(used), exists(partner), exists(next.Member("client_id")))
		}
		w.WantLogged(`"client.expired"`)
		all, err := w.Store.Clients(t.Context())
		if err != nil || len(all) != p.Most {
			t.Errorf("%d clients are stored, %v, want %d", len(all), err, p.Most)
		}
	})
}

// Every page names the host to which a stranger's client leads, whatever name it has given
// itself.
func TestThreat_AStrangersNameHasItsHost(t *testing.T) {
	w := worldWith(t, open())
	for name, want := range map[string]string{
		`Your Bank`:                        "Your Bank (app.example)",
		`Your Bank (bank.example)`:         "Your Bank bank.example (app.example)",
		`Your Bank （bank.example） [x] {y}`: "Your Bank bank.example x y (app.example)",
		"Your \u00a0\u2003 Bank":           "Your Bank (app.example)",
		"متجر":                             "\u2068متجر\u2069 \u2066(app.example)\u2069",
		strings.Repeat("long ", 30):        strings.TrimSpace(strings.Repeat("long ", 12)) + "… (app.example)",
		"a" + strings.Repeat("\u0301", 9):  "a\u0301\u0301\u0301 (app.example)",
		"app.example":                      "app.example",
	} {
		got := register(w, with(fmt.Sprintf(`"client_name":%q`, name)))
		id := got.Member("client_id")
		page := w.Authorize(id, "redirect_uri", callback)
		_, view := page.Page()
		shown, _ := view["Client"].(map[string]any)
		if shown["Name"] != want {
			t.Errorf("%q: got %q, want %q", name, shown["Name"], want)
		}
	}
}

// The host is that of the response, where a client has several.
func TestThreat_TheHostIsThatOfTheResponse(t *testing.T) {
	w := worldWith(t, open())
	const other = "https://xn--bnk-rla.example/cb"
	id := register(w, `{"redirect_uris":["`+callback+`","`+other+`"],"client_name":"Shop","client_uri":"https://bank.example/","policy_uri":"https://www.example/privacy","post_logout_redirect_uris":["`+callback+`"]}`).Member("client_id")
	prompt, session := w.PromptedFor(id, "redirect_uri", other)
	if c := prompt.Client; c.Name != "Shop (xn--bnk-rla.example)" || c.URI != "" || c.PolicyURI == "" {
		t.Errorf("consent: got %+v, want the host, and no home on another one", c)
	}
	w.Allow(prompt.Request, session)
	_, view := w.Get("/account", session).Page()
	if text := fmt.Sprint(view); !strings.Contains(text, "Shop (app.example, xn--bnk-rla.example)") {
		t.Errorf("account: got %s, want both hosts", text)
	}
	_, view = w.Get("/logout?client_id="+id, session).Page()
	if text := fmt.Sprint(view); !strings.Contains(text, "Shop (app.example, xn--bnk-rla.example)") {
		t.Errorf("signing out: got %s, want both hosts", text)
	}
	native := register(w, `{"redirect_uris":["com.example.app:/cb"],"application_type":"native","client_name":"Shop"}`).Member("client_id")
	if prompt, _ := w.PromptedFor(native, "redirect_uri", "com.example.app:/cb"); prompt.Client.Name != "Shop (com.example.app:)" {
		t.Errorf("a native application: got %q", prompt.Client.Name)
	}
}

// Whether a stranger's client is excused from PKCE is what the deployment says now, not what
// it said when the client registered.
func TestThreat_WithoutPKCEEndsWithItsSetting(t *testing.T) {
	for _, excused := range []bool{false, true} {
		p := open()
		p.WithoutPKCE = excused
		w := worldWith(t, p)
		before := client.Client{
			ID: "before", Name: "Before", SecretHashes: []client.SecretHash{client.HashSecret(testworld.Secret)},
			RedirectURIs: []string{callback}, Consent: client.ConsentRemember, WithoutPKCE: !excused,
			Registration: &client.Registration{ApplicationType: "web"},
		}
		if err := w.Store.CreateClient(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		public := register(w, with(`"token_endpoint_auth_method":"none"`)).Member("client_id")
		for id, want := range map[string]bool{"before": excused, public: false} {
			got := w.Authorize(id, "redirect_uri", callback, "code_challenge", "-", "code_challenge_method", "-")
			if page, _ := got.Page(); (page == "signin") != want {
				t.Errorf("setting %v, %s: got %s, want a sign-in page: %v", excused, id, got, want)
			}
		}
	}
}

// brokenUse is a store in which no client can be changed.
type brokenUse struct {
	client.Store
	broken bool
}

func (b *brokenUse) UpdateClient(ctx context.Context, id string, change func(*client.Client) error) error {
	if b.broken {
		return testworld.ErrDisk
	}
	return b.Store.UpdateClient(ctx, id, change)
}

// A client that cannot be marked as used signs users in all the same.
func TestImplicitSignInWithoutTheMark(t *testing.T) {
	b := &brokenUse{}
	w := worldWith(t, open(), func(c *testworld.Config) {
		c.WrapClients = func(s client.Store) client.Store { b.Store = s; return b }
	})
	id := register(w, with(`"response_types":["id_token"],"grant_types":["implicit"]`)).Member("client_id")
	prompt, session := w.PromptedFor(id, "redirect_uri", callback, "response_type", "id_token", "nonce", "n", "code_challenge", "-", "code_challenge_method", "-")
	b.broken = true
	if got := w.Allow(prompt.Request, session); !strings.Contains(got.Header.Get("Location"), "id_token=") {
		t.Errorf("got %s, want an ID token", got)
	}
	w.WantLogged("could not be marked as used")
}

// change sends a PUT.
func change(t *testing.T, w *testworld.World, registered testworld.Response, uris, members string) {
	t.Helper()
	target, token := manages(t, registered)
	body := `{"client_id":"` + registered.Member("client_id") + `","redirect_uris":` + uris + members + `}`
	if got := send(w, http.MethodPut, target, body, token); got.StatusCode != http.StatusOK {
		t.Fatalf("PUT: got %s", got)
	}
}

// A client that becomes another one in the eyes of users asks them again: they consented to
// what they saw.
func TestThreat_AnotherNameNeedsAnotherConsent(t *testing.T) {
	w := worldWith(t, open())
	const both, other = `["` + callback + `","https://other.example/cb"]`, "https://other.example/cb"
	got := register(w, with(`"client_name":"Good"`))
	id := got.Member("client_id")
	prompt, session := w.PromptedFor(id, "redirect_uri", callback)
	w.Allow(prompt.Request, session)
	asked := func(uri string) bool {
		t.Helper()
		page, _ := w.AuthorizeWith(session, id, "redirect_uri", uri).Page()
		silent := w.AuthorizeWith(session, id, "redirect_uri", uri, "prompt", "none")
		if (page == "consent") != (silent.Delivered().Get("error") == "consent_required") {
			t.Errorf("%s: got the page %q and, with prompt=none, %s", uri, page, silent)
		}
		return page == "consent"
	}
	if asked(callback) {
		t.Error("nothing has changed: got a prompt")
	}
	change(t, w, got, both, `,"client_name":"Good","policy_uri":"https://app.example/policy"`)
	if asked(callback) || !asked(other) {
		t.Errorf("another host beside the first: got prompts %v and %v, want one for the other host", asked(callback), asked(other))
	}
	change(t, w, got, both, `,"client_name":"Your Bank"`)
	if !asked(callback) {
		t.Error("another name: got no prompt")
	}
	sealed := w.ConsentRequest(session, id, "redirect_uri", callback)
	change(t, w, got, both, `,"client_name":"Your Other Bank"`)
	if allowed := w.Allow(sealed, session); allowed.Code() != "" {
		t.Errorf("a prompt that showed another name: got %s, want no code", allowed)
	}
	change(t, w, got, both, `,"client_name":"Good"`)
	if asked(callback) {
		t.Error("the name that was consented to: got a prompt")
	}

	// An operator vouches for the names of their own.
	renamed, secret := w.AddClient(client.Client{Name: "Before", RedirectURIs: []string{callback}, Consent: client.ConsentRemember})
	id = renamed.ID
	prompt, session = w.PromptedFor(id, "redirect_uri", callback)
	w.Allow(prompt.Request, session)
	if err := w.Store.UpdateClient(t.Context(), id, func(c *client.Client) error { c.Name = "After"; return nil }); err != nil {
		t.Fatal(err)
	}
	if asked(callback) || secret == "" {
		t.Error("an operator's client: got a prompt")
	}
}
