// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/envtest"
	"calleridp/provider/admin"
	"calleridp/storage/postgres"
	"calleridp/storage/postgres/pgtest"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

// trips counts the round trips to the database by the request that makes them.
type trips struct {
	mu sync.Mutex
	of map[string][]string // by request: the store's methods that made them
	at []string            // the requests in their order
}

// traced returns a context whose round trips are those of a request.
func (n *trips) traced(ctx context.Context, request string) context.Context {
	n.add(request)
	return postgres.Traced(ctx, func() {
		if method, delivers := storeMethod(); delivers || request != worker {
			n.add(request, method)
		}
	})
}

// worker is what follows a callback, instead of a request.
const worker = "the worker"

func (n *trips) add(request string, methods ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string][]string{}
	}
	if _, known := n.of[request]; !known {
		n.at = append(n.at, request)
	}
	n.of[request] = append(n.of[request], methods...)
}

// take returns the trips since the last time, and how many they are.
func (n *trips) take() (list string, sum int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, request := range n.at {
		list += fmt.Sprintf("\n  %-32s %d %v", request, len(n.of[request]), n.of[request])
		sum += len(n.of[request])
	}
	n.at, n.of = nil, nil
	return list, sum
}

// storeMethod returns the method of the store that the caller is called by, and whether
// that is for a delivery.
func storeMethod() (method string, delivers bool) {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers[:])])
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if _, name, ok := strings.Cut(frame.Function, "postgres.(*Store)."); ok {
			method, _, _ = strings.Cut(name, ".")
		}
		delivers = delivers || strings.Contains(frame.Function, "truecaller.(*Receiver).deliver")
	}
	return method, delivers
}

// counted is the whole server over PostgreSQL, in this process.
type counted struct {
	t      *testing.T
	trips  trips
	issuer string
	sim    string
	admin  http.Handler
}

func newCounted(t *testing.T, database *pgtest.Server) *counted {
	t.Helper()
	envtest.Clear(t)
	dsn, err := database.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{t: t}
	var serving, truecaller http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.URL.Path
		for pattern, name := range map[string]string{"^/attempt/[^/]+": "/attempt/{id}", "^/callback/.*": "/callback"} {
			at = regexp.MustCompile(pattern).ReplaceAllString(at, name)
		}
		serving.ServeHTTP(w, r.WithContext(c.trips.traced(r.Context(), r.Method+" "+at)))
	}))
	t.Cleanup(server.Close)
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { truecaller.ServeHTTP(w, r) }))
	t.Cleanup(at.Close)
	c.issuer, c.sim = server.URL, at.URL

	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	callbackSecret := strings.Repeat("c", 40)
	secret := write("secret", tripsSecret)
	settings, err := config.Load(write("calleridp.yaml", fmt.Sprintf(`
issuer: %s
listen: 127.0.0.1:8080
data_dir: %s/data
master_key_file: %s
storage: {engine: postgres, dsn_file: %s}
default_region: SE
truecaller: {app_name: Test, app_key_file: %s, callback_secret_file: %s, api_url: "%s", profile_urls: ["%s"]}
clients:
  - {client_id: shop, name: Shop, secret_file: %[9]s, redirect_uris: ["%[10]s"]}
  - {client_id: bank, name: Bank, secret_file: %[9]s, redirect_uris: ["%[10]s"], consent: remember}
  - {client_id: club, name: Club, secret_file: %[9]s, redirect_uris: ["%[10]s"], consent: remember}
limits: {number: 1000/1h, network: 1000/1h}
`, c.issuer, dir, write("master.key", strings.Repeat("ab", 32)+"\n"), write("dsn", dsn), write("appkey", "key"), write("callback", callbackSecret),
		c.sim, c.sim, secret, tripsRedirect)))
	if err != nil {
		t.Fatal(err)
	}
	sim := simulator.New(simulator.Config{Apps: []simulator.App{{Name: "Test", Key: "key", CallbackURL: c.issuer + "/callback/default/" + callbackSecret}}})
	t.Cleanup(sim.Close)
	truecaller = sim.Handler()
	program, err := build(t.Context(), settings, slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	serving, c.admin = program.Public, program.Admin
	ctx, cancel := context.WithCancel(c.trips.traced(t.Context(), worker))
	c.trips.take()
	var running sync.WaitGroup
	for _, run := range program.Background {
		running.Go(func() { run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		program.Store.Close()
	})
	c.until("the server listens", func() bool { return c.stats().Listening })
	return c
}

const (
	tripsSecret   = "secret-of-a-client-that-is-counted"
	tripsRedirect = "http://127.0.0.1:1/callback"
)

// browser is one with the script of our pages: it hears of an approval over the live
// connection, and goes on at once.
func (c *counted) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return &http.Client{
		Jar:           jar,
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c *counted) do(browser *http.Client, method, at string, form url.Values, set func(*http.Request)) (body, location string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if set != nil {
		set(r)
	}
	response, err := browser.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 400 {
		c.t.Fatalf("%s %s: %d %v\n%s", method, at, response.StatusCode, err, raw)
	}
	return string(raw), response.Header.Get("Location")
}

// asOperator makes a request one on the admin socket.
func asOperator(r *http.Request) *http.Request {
	return r.WithContext(admin.OnSocket(r.Context(), "test"))
}

// stats are the store's counters.
func (c *counted) stats() (stats postgres.Stats) {
	c.t.Helper()
	shown := httptest.NewRecorder()
	c.admin.ServeHTTP(shown, asOperator(httptest.NewRequest("GET", "/v1/stats", nil)))
	if err := json.Unmarshal(shown.Body.Bytes(), &stats); err != nil {
		c.t.Fatalf("%v: %s", err, shown.Body)
	}
	return stats
}

// until waits for what must happen.
func (c *counted) until(what string, happened func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("not within a minute: %s", what)
		}
	}
}

var sealedRequest = regexp.MustCompile(`name="request"[^>]*value="([^"]*)"`)

// tripsTokens are what a sign-in gives.
type tripsTokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

// signIn signs a number in to a client, approved on the phone.
func (c *counted) signIn(browser *http.Client, clientID, number string) tripsTokens {
	c.t.Helper()
	verifier := oauth2.GenerateVerifier()
	page, _ := c.do(browser, "GET", c.request(clientID, verifier, "login"), nil, nil)
	sealed := sealedRequest.FindStringSubmatch(page)
	if sealed == nil {
		c.t.Fatalf("no sign-in page:\n%s", page)
	}
	_, attempt := c.do(browser, "POST", c.issuer+"/signin", url.Values{"request": {sealed[1]}, "phone": {number}}, nil)
	// What was noted of the push is stored by the time a person has looked at the page.
	c.until("the note of the push is stored", func() bool { return c.stats().Notes == 0 })
	c.do(browser, "GET", c.issuer+attempt, nil, nil)
	r, err := http.NewRequestWithContext(c.t.Context(), "GET", c.issuer+attempt+"/events", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	stream, err := browser.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer stream.Body.Close()
	// The first event is out before the phone answers.
	if _, err := io.ReadFull(stream.Body, make([]byte, 8)); err != nil {
		c.t.Fatal(err)
	}
	var pending []struct{ RequestID string }
	list, _ := c.do(http.DefaultClient, "GET", c.sim+"/sim/requests", nil, nil)
	if err := json.Unmarshal([]byte(list), &pending); err != nil || len(pending) != 1 {
		c.t.Fatalf("%s is pending, %v", list, err)
	}
	c.do(http.DefaultClient, "POST", c.sim+"/sim/requests/"+url.PathEscape(pending[0].RequestID)+"/approve", nil, nil)
	if heard, err := io.ReadAll(stream.Body); err != nil || !strings.Contains(string(heard), "approved") {
		c.t.Fatalf("the page heard %s, %v", heard, err)
	}
	page, location := c.do(browser, "GET", c.issuer+attempt+"/continue", nil, nil)
	if location == "" {
		sealed := sealedRequest.FindStringSubmatch(page)
		if sealed == nil {
			c.t.Fatalf("no consent page:\n%s", page)
		}
		_, location = c.do(browser, "POST", c.issuer+"/consent", url.Values{"request": {sealed[1]}, "decision": {"allow"}}, nil)
	}
	return c.redeem(clientID, verifier, location)
}

// request is the address of an authorization request.
func (c *counted) request(clientID, verifier, prompt string) string {
	return c.issuer + "/authorize?" + url.Values{
		"client_id": {clientID}, "redirect_uri": {tripsRedirect}, "response_type": {"code"}, "scope": {"openid phone offline_access"}, "prompt": {prompt},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}.Encode()
}

// redeem redeems the code of a response.
func (c *counted) redeem(clientID, verifier, location string) (tokens tripsTokens) {
	c.t.Helper()
	back, err := url.Parse(location)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, _ := c.do(http.DefaultClient, "POST", c.issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {tripsRedirect}, "code_verifier": {verifier},
	}, func(r *http.Request) { r.SetBasicAuth(clientID, tripsSecret) })
	if err := json.Unmarshal([]byte(answer), &tokens); err != nil || tokens.Access == "" {
		c.t.Fatalf("no tokens: %s", answer)
	}
	return tokens
}

// TestRoundTrips counts the round trips to the database of a whole sign-in, in every
// request that it makes, and of userinfo and introspection. What the store does by
// itself for all sign-ins together is not in it: storing notes (ten times a second),
// notifying other servers, sweeping.
func TestRoundTrips(t *testing.T) {
	database, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Stop)
	c := newCounted(t, database)
	const number = "+46701740607"
	first := c.browser()
	var got tripsTokens
	for _, row := range []struct {
		who     string
		browser *http.Client
		client  string
		most    int
	}{
		{"a new user", first, "shop", 7},
		{"a returning user in another browser", c.browser(), "shop", 7},
		{"a returning user in the same browser, with a session", first, "shop", 9}, // whose attempts and user are looked at, and who is greeted
		{"a returning user who has to consent", c.browser(), "bank", 8},            // on a page more
		{"a returning user who has consented", c.browser(), "bank", 7},
		{"all at once", first, "club", 10},
	} {
		// Another browser may not ask so soon after an approval.
		cleared := httptest.NewRecorder()
		c.admin.ServeHTTP(cleared, asOperator(httptest.NewRequest("POST", "/v1/limits/clear", strings.NewReader(`{"number": "`+number+`"}`))))
		if cleared.Code != http.StatusOK {
			t.Fatalf("clearing limits: %d %s", cleared.Code, cleared.Body)
		}
		got = c.signIn(row.browser, row.client, number)
		list, n := c.trips.take()
		t.Logf("%s: %d round trips:%s", row.who, n, list)
		if n > row.most {
			t.Errorf("%s: %d round trips, want at most %d", row.who, n, row.most)
		}
	}
	asClient := func(r *http.Request) { r.SetBasicAuth("club", tripsSecret) }
	again := func(clientID string) func() {
		return func() {
			verifier := oauth2.GenerateVerifier()
			_, location := c.do(first, "GET", c.request(clientID, verifier, ""), nil, nil)
			c.redeem(clientID, verifier, location)
		}
	}
	for _, row := range []struct {
		name string
		most int
		do   func()
	}{
		{"userinfo", 1, func() {
			c.do(http.DefaultClient, "GET", c.issuer+"/userinfo", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+got.Access) })
		}},
		{"introspection", 1, func() {
			c.do(http.DefaultClient, "POST", c.issuer+"/introspect", url.Values{"token": {got.Access}}, asClient)
		}},
		{"refresh", 2, func() {
			c.do(http.DefaultClient, "POST", c.issuer+"/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}, asClient)
		}},
		{"another sign-in by the session", 3, again("shop")},
		{"another sign-in by the session, to whom consent was given", 4, again("club")},
		{"signing out", 3, func() {
			c.do(first, "GET", c.issuer+"/logout?"+url.Values{"id_token_hint": {got.ID}}.Encode(), nil, nil)
		}},
	} {
		row.do()
		list, n := c.trips.take()
		t.Logf("%s: %d round trips:%s", row.name, n, list)
		if n > row.most {
			t.Errorf("%s: %d round trips, want at most %d", row.name, n, row.most)
		}
	}
}
