// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// post sends a form and returns the status and the JSON of the response.
func post(t *testing.T, at string, form url.Values) (status int, answer map[string]any) {
	t.Helper()
	response, err := http.PostForm(at, form)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	json.NewDecoder(response.Body).Decode(&answer)
	return response.StatusCode, answer
}

// of returns a form of the client demo.
func of(pairs ...string) url.Values {
	form := url.Values{"client_id": {"demo"}, "client_secret": {harness.ClientSecret}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// ask submits a number for an authorization request, and returns the waiting page's
// redirect, or the page that refuses it.
func (c *cluster) ask(browser *harness.Browser, number string, more ...string) harness.Page {
	c.t.Helper()
	return browser.Submit(browser.Get(c.AuthorizationURL(more...)), number)
}

// decide presses a button on every phone that shows a request of a number.
func (c *cluster) decide(number, decision string) {
	c.t.Helper()
	var pending []struct{ RequestID string }
	if err := json.Unmarshal([]byte(c.simulated("GET", "/sim/requests?phone="+url.QueryEscape(number), "")), &pending); err != nil || len(pending) == 0 {
		c.t.Fatalf("the phone of %s shows nothing: %v", number, err)
	}
	for _, p := range pending {
		c.simulated("POST", "/sim/requests/"+url.PathEscape(p.RequestID)+"/"+decision, "")
	}
}

// TestADeclineIsKnownEverywhere declines, and leads the user back to the client.
func TestADeclineIsKnownEverywhere(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	browser, number := harness.NewBrowser(t, c.Issuer), harness.Number(7)
	_, waiting := browser.Follow(c.ask(browser, number), 0)
	if !waiting.Has("waiting") {
		t.Fatalf("status %d\n%s", waiting.Status, waiting.Body)
	}
	c.decide(number, "decline")
	for range c.Nodes {
		harness.Eventually(t, "a server knows of the decline", func() bool { return !browser.Get(waiting.URL).Has("waiting") })
	}
	left := browser.Post(waiting.URL+"/leave", nil)
	if !strings.Contains(left.Header.Get("Location")+left.Body, "error=access_denied") {
		t.Errorf("the user goes back with %d %s\n%s", left.Status, left.Header.Get("Location"), left.Body)
	}
	// Whoever asks for the number now is refused by each server.
	for range c.Nodes {
		if page := c.ask(harness.NewBrowser(t, c.Issuer), number); page.Status != http.StatusTooManyRequests {
			t.Errorf("after a decline another browser gets %d, want 429", page.Status)
		}
	}
}

// TestTheNewestRequestArrives starts a sign-in again at another server while its push is
// open: it goes on as the newest request.
func TestTheNewestRequestArrives(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	browser, number := harness.NewBrowser(t, c.Issuer), harness.Number(7)
	first := c.ask(browser, number, "state", "first")
	for _, state := range []string{"second", "third", "newest"} {
		if again := c.ask(browser, number, "state", state); again.Header.Get("Location") != first.Header.Get("Location") {
			t.Fatalf("asking again led to %q (%d), want %q", again.Header.Get("Location"), again.Status, first.Header.Get("Location"))
		}
	}
	c.decide(number, "approve")
	if left, page := browser.Follow(first, harness.Timeout); left == nil || left.Query().Get("state") != "newest" {
		t.Errorf("arrived at %v, stopped at %s (%d)", left, page.URL, page.Status)
	}
}

// TestAKnownBrowserHasItsLaneEverywhere lets a stranger hold a number's lock: the browser
// that has signed in with it gets its own push, at every server.
func TestAKnownBrowserHasItsLaneEverywhere(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	number := harness.Number(7)
	known, stranger := harness.NewBrowser(t, c.Issuer), harness.NewBrowser(t, c.Issuer)
	asked := c.ask(known, number)
	c.decide(number, "approve")
	if left, page := known.Follow(asked, harness.Timeout); left == nil {
		t.Fatalf("stopped at %s (%d)", page.URL, page.Status)
	}
	c.operate(0, "limit", "clear", number) // which is locked for others after an approval
	if page := c.ask(stranger, number); page.Status != http.StatusSeeOther {
		t.Fatalf("the stranger gets %d\n%s", page.Status, page.Body)
	}
	if page := c.ask(harness.NewBrowser(t, c.Issuer), number); page.Status != http.StatusTooManyRequests {
		t.Errorf("another stranger gets %d, want 429", page.Status)
	}
	asked = c.ask(known, number, "prompt", "login")
	if asked.Status != http.StatusSeeOther {
		t.Fatalf("the known browser gets %d\n%s", asked.Status, asked.Body)
	}
	c.decide(number, "approve")
	if left, page := known.Follow(asked, harness.Timeout); left == nil || left.Query().Get("code") == "" {
		t.Errorf("the known browser arrived at %v, stopped at %s (%d)", left, page.URL, page.Status)
	}
}

// TestTokensOfAnotherServer introspects, rotates the keys under a hint, and signs out.
func TestTokensOfAnotherServer(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	browser := harness.NewBrowser(t, c.Issuer)
	for range 2 { // then the key that signs is one that did not exist when the servers started
		c.operate(0, "keys", "rotate", "--force")
	}
	tokens := c.signIn(browser, harness.Number(5))
	active := func(want bool) {
		t.Helper()
		for _, node := range c.Nodes {
			if status, answer := post(t, node.Address()+"/introspect", of("token", tokens.AccessToken)); status != 200 || answer["active"] != want {
				t.Errorf("introspection at %s: %d %v, want active %v", node.Address(), status, answer, want)
			}
		}
	}
	active(true)
	for i := range c.Nodes {
		if listed := c.operate(i, "keys", "list"); !strings.Contains(listed, kidOf(t, tokens)) {
			t.Errorf("server %d does not list the key that signs:\n%s", i, listed)
		}
	}

	// A hint of the user's own skips the question whether to sign out (RP-Initiated Logout §2).
	hint := tokens.Extra("id_token").(string)
	page := browser.Get(c.Issuer + "/logout?" + url.Values{"id_token_hint": {hint}}.Encode())
	if page.Status != http.StatusSeeOther || !strings.HasPrefix(page.Header.Get("Location"), "/logout/done") {
		t.Fatalf("signing out: %d to %q\n%s", page.Status, page.Header.Get("Location"), page.Body)
	}
	for range c.Nodes {
		if page := browser.Get(c.Issuer + "/account"); page.Has("account") {
			t.Error("the session has not ended everywhere")
		}
	}
	active(false)
}

// TestNativeSignInAtAnotherServer brings a code of Truecaller's SDK to one server, and its
// tokens to the others.
func TestNativeSignInAtAnotherServer(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	c.operate(0, "client", "add", "--id", "phone-app", "--name", "Phone app", "--public", "--native")
	verifier := oauth2.GenerateVerifier()
	status, given := post(t, c.Truecaller+"/sim/native/codes", url.Values{
		"phone": {harness.Number(5)}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "scope": {""}, "state": {"app-state"},
	})
	if status != 200 {
		t.Fatalf("the SDK: %d %v", status, given)
	}
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"phone-app"}, "code_verifier": {verifier},
		"subject_token_type": {"urn:calleridp:params:oauth:token-type:truecaller-code"}, "subject_token": {given["authorizationCode"].(string)},
		"scope": {"openid phone offline_access"},
	}
	status, answer := post(t, c.Nodes[0].Address()+"/token", form)
	if status != 200 {
		t.Fatalf("the exchange: %d %v", status, answer)
	}
	tokens := &oauth2.Token{AccessToken: answer["access_token"].(string), TokenType: "Bearer"}
	for _, node := range c.Nodes {
		if status, claims := userinfo(t, node.Address(), tokens); status != 200 || claims["phone_number"] != harness.Number(5) {
			t.Errorf("userinfo at %s: %d %v", node.Address(), status, claims)
		}
	}
	for _, node := range c.Nodes[1:] { // a code is used once (invariant 9)
		if status, answer := post(t, node.Address()+"/token", form); status != 400 {
			t.Errorf("the exchange again at %s: %d %v, want 400", node.Address(), status, answer)
		}
	}
}

// TestClientsOfAnotherServer adds, changes and removes a client through one server each:
// all know it at once. Only its origins are looked for once a second, whoever asks.
func TestClientsOfAnotherServer(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	const origin = "https://shop.example"
	preflight := func(node *harness.Production) string {
		t.Helper()
		r := must(http.NewRequest("OPTIONS", node.Address()+"/token", nil))
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.Header.Get("Access-Control-Allow-Origin")
	}
	for _, node := range c.Nodes {
		if preflight(node) != "" {
			t.Error("an unknown origin may call the token endpoint")
		}
	}
	secretOf := func(text string) string {
		t.Helper()
		var client struct {
			Secret string `json:"client_secret"`
		}
		if err := json.Unmarshal([]byte(text), &client); err != nil || client.Secret == "" {
			t.Fatalf("%v in %s", err, text)
		}
		return client.Secret
	}
	secret := secretOf(c.operate(0, "client", "add", "--output", "json", "--id", "shop", "--name", "Shop", "--redirect-uri", origin+"/cb", "--origin", origin))
	known := func(secret string, want int) {
		t.Helper()
		for _, node := range c.Nodes {
			status, answer := post(t, node.Address()+"/introspect", url.Values{"client_id": {"shop"}, "client_secret": {secret}, "token": {"x"}})
			if status != want {
				t.Errorf("the client at %s: %d %v, want %d", node.Address(), status, answer, want)
			}
		}
	}
	known(secret, 200)
	for _, node := range c.Nodes {
		harness.Eventually(t, "the origin is allowed at "+node.Address(), func() bool { return preflight(node) == origin })
	}
	browser := harness.NewBrowser(t, c.Issuer)
	config := c.config()
	config.ClientID, config.ClientSecret, config.RedirectURL = "shop", secret, origin+"/cb"
	verifier := oauth2.GenerateVerifier()
	page := browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	left, page := browser.Follow(browser.Submit(page, harness.Number(5)), harness.Timeout)
	if left == nil {
		t.Fatalf("stopped at %s (%d)", page.URL, page.Status)
	}
	tokens, err := config.Exchange(t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}

	second := secretOf(c.operate(1, "client", "rotate-secret", "--output", "json", "shop"))
	known(secret, 200) // until the next rotation
	known(second, 200)
	c.operate(1, "client", "rotate-secret", "shop")
	known(secret, 401)

	c.operate(2, "client", "remove", "shop")
	known(second, 401)
	for _, node := range c.Nodes {
		if status, _ := userinfo(t, node.Address(), tokens); status != 401 {
			t.Errorf("userinfo at %s after the client was removed: %d, want 401", node.Address(), status)
		}
	}
}

// TestCallbackSecretOfAnotherServer changes the file of one server: all take callbacks
// with the new secret, and still those with the one before.
func TestCallbackSecretOfAnotherServer(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	status := func(node *harness.Production, secret string) int {
		t.Helper()
		response, err := http.Post(node.Address()+"/callback/default/"+secret, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	changed := strings.Repeat("n", 40)
	for i, node := range c.Nodes {
		if got := status(node, changed); got != http.StatusNotFound {
			t.Errorf("server %d takes callbacks with a secret that nobody has: %d", i, got)
		}
	}
	if err := os.WriteFile(filepath.Join(c.Nodes[0].Dir, "callback"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Nodes[0].Logged("new callback secret in use")
	for i, node := range c.Nodes {
		harness.Eventually(t, "a server takes callbacks with the new secret", func() bool { return status(node, changed) != http.StatusNotFound })
		if got := status(node, c.CallbackSecret); got == http.StatusNotFound {
			t.Errorf("server %d does not take the secret before", i)
		}
	}
	// A server that starts with the old file is no step back.
	c.StopNode(1, os.Interrupt)
	c.StartNode(1)
	for i, node := range c.Nodes {
		if got := status(node, changed); got == http.StatusNotFound {
			t.Errorf("server %d has forgotten the new secret", i)
		}
	}
}

// TestSweepingGoesOn kills two of three servers: the third one deletes what has expired at
// its next turn.
func TestSweepingGoesOn(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	c.StopNode(0, os.Kill)
	c.StopNode(1, os.Kill)
	if _, err := c.database.Query(t.Context(), `INSERT INTO outcomes (at, id, committed)
		SELECT now() - interval '3 hours', n::text::bytea, true FROM generate_series(1, 5000) AS n`); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	harness.Eventually(t, "what has expired is deleted", func() bool {
		rows, err := c.database.Query(t.Context(), "SELECT count(*) FROM outcomes WHERE at < now() - interval '2 hours'")
		if err != nil {
			t.Fatal(err)
		}
		return rows[0][0] == "0"
	})
	t.Logf("swept after %s", time.Since(begun).Round(time.Millisecond))
}
