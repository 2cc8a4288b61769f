// SPDX-License-Identifier: Apache-2.0

// Package nodes tests several servers over one PostgreSQL.
package nodes

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

// cluster is three servers over a database of their own.
type cluster struct {
	*harness.Cluster
	t        *testing.T
	database *pgtest.Server
	storage  string                                   // more keys of the section storage, each behind a comma
	calls    func(http.ResponseWriter, *http.Request) // takes Truecaller's callbacks; nil: the proxy
}

// before, if not nil, gets Truecaller's requests first. Each change is made before
// anything starts.
func newCluster(t *testing.T, o pgtest.Options, before func(http.Handler) http.Handler, change ...func(*cluster)) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for _, change := range change {
		change(c)
	}
	var err error
	if c.database, err = pgtest.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.database.Stop)
	c.Cluster = harness.NewCluster(t, 3, fmt.Sprintf("{engine: postgres, dsn_file: %s%s}", dsnFile(t, c.database), c.storage),
		func(callbackURL string) http.Handler {
			if c.calls != nil {
				calls := httptest.NewServer(http.HandlerFunc(c.calls))
				t.Cleanup(calls.Close)
				callbackURL = calls.URL + must(url.Parse(callbackURL)).Path
			}
			sim := simulator.New(simulator.Config{Apps: []simulator.App{{
				Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL, NativeClientID: nativeClientID,
			}}})
			t.Cleanup(sim.Close)
			if before == nil {
				return sim.Handler()
			}
			return before(sim.Handler())
		}, "limits: {number: 1000/1h, network: 1000/1h}\nkeys: {algorithms: [RS256]}",
		"methods: [push, onetap, native]", "native_client_id: "+nativeClientID, "oauth_url: "+harness.VendorURL)
	return c
}

// dsnFile returns a file with the connection string of a database.
func dsnFile(t *testing.T, database *pgtest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(path, []byte(database.DSN("postgres")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const nativeClientID = "test-native-client-id"

// config is the client demo.
func (c *cluster) config(scopes ...string) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     "demo",
		ClientSecret: harness.ClientSecret,
		RedirectURL:  harness.RedirectURI,
		Scopes:       append([]string{"openid", "phone"}, scopes...),
		Endpoint:     oauth2.Endpoint{AuthURL: c.Issuer + "/authorize", TokenURL: c.Issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// signIn signs a number in, and returns the tokens.
func (c *cluster) signIn(browser *harness.Browser, number string, scopes ...string) *oauth2.Token {
	c.t.Helper()
	tokens, err := c.codeOf(browser, number, scopes...)()
	if err != nil {
		c.t.Fatal(err)
	}
	return tokens
}

// codeOf signs a number in, and returns what redeems the code.
func (c *cluster) codeOf(browser *harness.Browser, number string, scopes ...string) (redeem func() (*oauth2.Token, error)) {
	c.t.Helper()
	verifier := oauth2.GenerateVerifier()
	config := c.config(scopes...)
	page := browser.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	if page.Has("phone") {
		page = browser.Submit(page, number)
	}
	left, page := browser.Follow(page, harness.Timeout)
	if left == nil && page.Has("consent") {
		left, page = browser.Follow(browser.Post(browser.Issuer+"/consent", url.Values{"request": {page.Sealed()}, "decision": {"allow"}}), harness.Timeout)
	}
	if left == nil || left.Query().Get("code") == "" {
		c.t.Fatalf("the sign-in left to %v or stopped at %s (%d)\n%s", left, page.URL, page.Status, page.Body)
	}
	return func() (*oauth2.Token, error) {
		return config.Exchange(c.t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
	}
}

// userinfo returns the status of userinfo at a server, and the claims.
func userinfo(t *testing.T, at string, tokens *oauth2.Token) (status int, claims map[string]any) {
	t.Helper()
	r, err := http.NewRequest("GET", at+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens.SetAuthHeader(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	json.NewDecoder(response.Body).Decode(&claims)
	return response.StatusCode, claims
}

// simulated calls the simulator's control API.
func (c *cluster) simulated(method, at, body string) string {
	c.t.Helper()
	r := must(http.NewRequest(method, c.Truecaller+at, strings.NewReader(body)))
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, at, response.StatusCode, raw)
	}
	return string(raw)
}

// operate runs a command for operators at one of the servers.
func (c *cluster) operate(node int, args ...string) string {
	c.t.Helper()
	out, err := harness.Run(c.t, append(args, "--socket", c.Nodes[node].Socket)...)
	if err != nil {
		c.t.Fatalf("calleridp %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func get(t *testing.T, at string) string {
	t.Helper()
	response, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestEachRequestAtAnotherServer does everything with every request at another server.
func TestEachRequestAtAnotherServer(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	number := harness.Number(5)

	browser := harness.NewBrowser(t, c.Issuer)
	tokens := c.signIn(browser, number)
	for _, node := range c.Nodes {
		if status, claims := userinfo(t, node.Address(), tokens); status != 200 || claims["phone_number"] != number {
			t.Errorf("userinfo at %s: %d %v", node.Address(), status, claims)
		}
	}
	// With the session, at three servers in turn, and with a refresh token.
	for range 3 {
		page := browser.Get(c.config().AuthCodeURL("state", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
		if left, _ := browser.Follow(page, 0); left == nil || left.Query().Get("code") == "" {
			t.Fatalf("a session of another server is not one here: %d %s", page.Status, page.Body)
		}
	}
	offline := c.signIn(browser, number, "offline_access")
	refresh := offline.RefreshToken
	for range 4 {
		next, err := c.config().TokenSource(t.Context(), &oauth2.Token{RefreshToken: refresh}).Token()
		if err != nil {
			t.Fatal(err)
		}
		refresh = next.RefreshToken
	}

	// A code is used once, also at another server (invariant 9).
	redeem := c.codeOf(browser, number)
	bought, err := redeem()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := redeem(); err == nil {
		t.Error("a code was used twice")
	}
	if status, _ := userinfo(t, c.Nodes[1].Address(), bought); status != 401 {
		t.Errorf("userinfo with a token of a code that was used twice: %d, want 401", status)
	}

	// Signing keys: what one server rotates, all publish at once, also without waiting.
	c.operate(0, "keys", "rotate", "--force")
	set := get(t, c.Nodes[0].Address()+"/jwks")
	for _, node := range c.Nodes {
		if got := get(t, node.Address()+"/jwks"); got != set {
			t.Errorf("%s publishes other keys", node.Address())
		}
	}
	fresh := c.signIn(harness.NewBrowser(t, c.Issuer), harness.Number(12))
	if kid := kidOf(t, fresh); !strings.Contains(set, `"`+kid+`"`) {
		t.Errorf("key %s signs, and is not published", kid)
	}

	// Revocation.
	form := url.Values{"token": {refresh}, "client_id": {"demo"}, "client_secret": {harness.ClientSecret}}
	response, err := http.PostForm(c.Nodes[1].Address()+"/revoke", form)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("revoking: %v, %v", response, err)
	}
	response.Body.Close()
	if _, err := c.config().TokenSource(t.Context(), &oauth2.Token{RefreshToken: refresh}).Token(); err == nil {
		t.Error("a revoked refresh token works")
	}

	// One-tap, whose callback comes before its attempt, to other servers; then consent.
	tapping := harness.NewBrowser(t, c.Issuer)
	tapping.Transport = onAndroid{}
	form = url.Values{}
	page := tapping.Get(c.AuthorizationURL("prompt", "consent"))
	link := html.UnescapeString(regexp.MustCompile(`data-link="([^"]*)"`).FindStringSubmatch(page.Body)[1])
	form.Set("request", page.Sealed())
	form.Set("nonce", html.UnescapeString(regexp.MustCompile(`name="nonce" value="([^"]*)"`).FindStringSubmatch(page.Body)[1]))
	c.simulated("POST", "/sim/open", string(must(json.Marshal(map[string]string{"link": link, "phone": harness.Number(19)}))))
	var pending []struct{ RequestID string }
	json.Unmarshal([]byte(c.simulated("GET", "/sim/requests", "")), &pending)
	for _, p := range pending {
		c.simulated("POST", "/sim/requests/"+url.PathEscape(p.RequestID)+"/approve", "")
	}
	started := tapping.Post(c.Issuer+"/onetap", form)
	if started.Status != http.StatusSeeOther {
		t.Fatalf("one-tap: %d %s", started.Status, started.Body)
	}
	left, page := tapping.Follow(started, harness.Timeout)
	if left != nil || !page.Has("consent") {
		t.Fatalf("one-tap left to %v or stopped at %s (%d)\n%s", left, page.URL, page.Status, page.Body)
	}
	left, _ = tapping.Follow(tapping.Post(c.Issuer+"/consent", url.Values{"request": {page.Sealed()}, "decision": {"allow"}}), 0)
	if left == nil || left.Query().Get("code") == "" {
		t.Errorf("consent left to %v", left)
	}

	// The account, and the end of a session.
	page = browser.Get(c.Issuer + "/account")
	if !page.Has("account") {
		t.Fatalf("the account page: %d\n%s", page.Status, page.Body)
	}
	token := regexp.MustCompile(`name="token" value="([^"]*)"`).FindStringSubmatch(page.Body)[1]
	browser.Post(c.Issuer+"/account/signout-all", url.Values{"token": {token}})
	if page := browser.Get(c.Issuer + "/account"); page.Has("account") {
		t.Error("the session did not end everywhere")
	}
	if status, _ := userinfo(t, c.Nodes[2].Address(), tokens); status != 401 {
		t.Errorf("userinfo after signing out everywhere: %d, want 401", status)
	}

	// Limits: the number is locked at every server, until an operator clears it.
	waits := harness.Number(7)
	first, second := harness.NewBrowser(t, c.Issuer), harness.NewBrowser(t, c.Issuer)
	if _, page := first.Follow(first.Submit(first.Get(c.AuthorizationURL()), waits), 0); !page.Has("waiting") {
		t.Fatalf("status %d\n%s", page.Status, page.Body)
	}
	for range 3 {
		if _, page := second.Follow(second.Submit(second.Get(c.AuthorizationURL()), waits), 0); page.Has("waiting") {
			t.Fatal("a number got two pushes at once")
		}
	}
	c.operate(2, "limit", "clear", waits)
	if _, page := second.Follow(second.Submit(second.Get(c.AuthorizationURL()), waits), 0); !page.Has("waiting") {
		t.Errorf("after clearing the limits: status %d\n%s", page.Status, page.Body)
	}

	// Deleting the user.
	sub := claim(t, tokens, "sub")
	c.operate(1, "user", "delete", sub)
	c.operate(0, "limit", "clear", number) // which others may not sign in with so soon after an approval
	again := c.signIn(harness.NewBrowser(t, c.Issuer), number)
	if claim(t, again, "sub") == sub {
		t.Error("a sub was issued again")
	}
}

// onAndroid makes requests of a browser on a phone.
type onAndroid struct{}

func (onAndroid) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36")
	return http.DefaultTransport.RoundTrip(r)
}

// claim returns a claim of the ID token.
func claim(t *testing.T, tokens *oauth2.Token, name string) string {
	t.Helper()
	return part(t, tokens, 1)[name].(string)
}

func kidOf(t *testing.T, tokens *oauth2.Token) string {
	t.Helper()
	return part(t, tokens, 0)["kid"].(string)
}

// TestAnApprovalWakesThePageAtAnotherServer lets a page wait at one server and the
// callback arrive at the others.
func TestAnApprovalWakesThePageAtAnotherServer(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil)
	var took []time.Duration
	for range 6 {
		c.operate(0, "limit", "clear", harness.Number(7))
		browser := harness.NewBrowser(t, c.Issuer)
		_, page := browser.Follow(browser.Submit(browser.Get(c.AuthorizationURL()), harness.Number(7)), 0)
		if !page.Has("waiting") {
			t.Fatalf("status %d\n%s", page.Status, page.Body)
		}
		stream, err := browser.Client.Get(page.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stream.Body)
		state := func() string {
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					return data
				}
			}
			t.Fatalf("the stream has ended: %v", lines.Err())
			return ""
		}
		if first := state(); !strings.Contains(first, "waiting") {
			t.Fatalf("the state %s, want waiting", first)
		}
		var pending []struct{ RequestID string }
		if err := json.Unmarshal([]byte(c.simulated("GET", "/sim/requests", "")), &pending); err != nil || len(pending) == 0 {
			t.Fatalf("%v, %v", pending, err)
		}
		begun := time.Now()
		c.simulated("POST", "/sim/requests/"+url.PathEscape(pending[0].RequestID)+"/approve", "")
		for !strings.Contains(state(), "approved") {
		}
		took = append(took, time.Since(begun))
		stream.Body.Close()
	}
	t.Logf("from the approval to the page: %v", took)
}

// part returns a part of the ID token.
func part(t *testing.T, tokens *oauth2.Token, n int) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.Extra("id_token").(string), ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}
