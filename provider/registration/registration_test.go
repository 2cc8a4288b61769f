// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/provider/registration"
)

// published is what clients have published, by address. It is posted nothing.
type published map[string]string

func (published) Post(context.Context, string, url.Values) (fetch.Reply, error) {
	return fetch.Reply{}, fetch.ErrResponse
}

func (p published) Get(_ context.Context, address, _ string) ([]byte, error) {
	if text, ok := p[address]; ok {
		return []byte(text), nil
	}
	return nil, errors.New("connection refused by 10.0.0.1")
}

const (
	callback = "https://app.example/cb"
	sector   = "https://sector.example/redirects.json"
)

func open() registration.Policy {
	return registration.Policy{Mode: registration.Open, Network: testworld.Wide, Deployment: testworld.Wide, Most: 1000}
}

func worldWith(t testing.TB, p registration.Policy, change ...func(*testworld.Config)) *testworld.World {
	return testworld.New(t, append(change, func(c *testworld.Config) {
		c.Provider.Registration = p
		c.Provider.ResponseTypes = []client.ResponseType{"code", "id_token", "code id_token"}
		c.Provider.Fetch = published{
			sector:                     `["` + callback + `","https://other.example/cb","com.example.app:/cb"]`,
			"https://sector.example/1": `["https://other.example/cb"]`,
			"https://sector.example/2": `{"redirect_uris":["` + callback + `"]}`,
		}
	})...)
}

// send sends JSON.
func send(w *testworld.World, method, target, body string, change ...testworld.Change) testworld.Response {
	r := httptest.NewRequest(method, testworld.Issuer+target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	return w.Do(r)
}

func register(w *testworld.World, body string, change ...testworld.Change) testworld.Response {
	return send(w, http.MethodPost, "/register", body, change...)
}

// with returns the metadata of a client with redirect_uris and more members.
func with(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"redirect_uris":["` + callback + `"]` + members + `}`
}

// manages returns where a client manages itself, and its token.
func manages(t *testing.T, r testworld.Response) (target string, token testworld.Change) {
	t.Helper()
	target, ok := strings.CutPrefix(r.Member("registration_client_uri"), testworld.Issuer)
	if r.StatusCode != http.StatusCreated || !ok {
		t.Fatalf("got %s, want a new client", r)
	}
	return target, testworld.Bearer(r.Member("registration_access_token"))
}

// A stranger's client signs a user in, with PKCE and after consent, and is then used.
func TestSignIn(t *testing.T) {
	w := worldWith(t, open())
	got := register(w, with(`"logo_uri":"https://app.example/logo.png","client_name":"Stranger"`))
	id, secret := got.Member("client_id"), got.Member("client_secret")
	if plain := w.Authorize(id, "redirect_uri", callback, "code_challenge", "", "code_challenge_method", ""); plain.StatusCode == http.StatusOK {
		t.Errorf("without PKCE: got %s, want a refusal", plain)
	}
	prompt, session := w.PromptedFor(id, "redirect_uri", callback)
	if prompt == nil || prompt.Client.Logo != "" || prompt.Client.Name != "Stranger (app.example)" {
		t.Fatalf("got %+v, want a prompt without the stranger's picture", prompt)
	}
	allowed := w.Allow(prompt.Request, session)
	if to, _ := allowed.Redirect(); to != callback || allowed.Code() == "" {
		t.Fatalf("allowed: got %s", allowed)
	}
	out := w.Post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {allowed.Code()}, "redirect_uri": {callback},
		"code_verifier": {testworld.Verifier}}, testworld.Basic(id, secret))
	if out.StatusCode != http.StatusOK || out.Member("id_token") == "" {
		t.Fatalf("the token endpoint: got %s", out)
	}
	if c, err := w.Clients.Client(t.Context(), id); err != nil || !c.Registration.Used {
		t.Errorf("got %+v, %v, want it marked as used", c.Registration, err)
	}
}

// A client that gets its ID tokens from the authorization endpoint redeems no code, and is
// used all the same.
func TestImplicitSignIn(t *testing.T) {
	w := worldWith(t, open())
	id := register(w, with(`"response_types":["id_token"],"grant_types":["implicit"]`)).Member("client_id")
	prompt, session := w.PromptedFor(id, "redirect_uri", callback, "response_type", "id_token", "nonce", "n", "code_challenge", "", "code_challenge_method", "")
	if c, err := w.Clients.Client(t.Context(), id); err != nil || c.Registration.Used {
		t.Fatalf("before the consent: got %+v, %v", c.Registration, err)
	}
	if got := w.Allow(prompt.Request, session); !strings.Contains(got.Header.Get("Location"), "id_token=") {
		t.Fatalf("allowed: got %s", got)
	}
	if c, err := w.Clients.Client(t.Context(), id); err != nil || !c.Registration.Used {
		t.Errorf("got %+v, %v, want it marked as used", c.Registration, err)
	}
}

// A client is managed by who has its registration access token, and by nobody else (RFC
// 7592 §2, §3).
func TestManage(t *testing.T) {
	w := worldWith(t, open())
	got := register(w, with(`"client_name":"Before","policy_uri":"https://app.example/policy"`))
	target, token := manages(t, got)
	id, secret := got.Member("client_id"), got.Member("client_secret")
	other := register(w, with(""))
	wrong := map[string]testworld.Change{
		"no token":                testworld.Unchanged,
		"a wrong token":           testworld.Bearer("x"),
		"an empty token":          testworld.Bearer(""),
		"another client's token":  testworld.Bearer(other.Member("registration_access_token")),
		"its secret":              testworld.Bearer(secret),
		"its token by Basic auth": testworld.Basic(id, got.Member("registration_access_token")),
	}
	body := func(members string) string { return with(`"client_id":"` + id + `",` + members) }
	for what, change := range wrong {
		for method, text := range map[string]string{http.MethodGet: "", http.MethodPut: body(`"client_name":"Evil"`), http.MethodDelete: ""} {
			refused := send(w, method, target, text, change)
			if refused.StatusCode != http.StatusUnauthorized || refused.Member("error") != "invalid_token" || !strings.HasPrefix(refused.Header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s with %s: got %s, want 401", method, what, refused)
			}
		}
	}
	for _, absent := range []string{"/register/none", "/register/shop", "/register/" + other.Member("client_id")} {
		if refused := send(w, http.MethodGet, absent, "", token); refused.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: got %s, want 401", absent, refused)
		}
	}

	for members, name := range map[string]string{
		`"registration_access_token":"x"`: "registration_access_token",
		`"registration_client_uri":"x"`:   "registration_client_uri",
		`"client_secret_expires_at":0`:    "client_secret_expires_at",
		`"client_id_issued_at":1`:         "client_id_issued_at",
		`"client_secret":"wrong"`:         "client_secret",
		`"client_id":"another"`:           "client_id",
		`"tos_uri":"x"`:                   "tos_uri",
	} {
		if refused := send(w, http.MethodPut, target, body(members), token); refused.StatusCode != http.StatusBadRequest || !strings.HasPrefix(refused.Member("error_description"), name+": ") {
			t.Errorf("PUT %s: got %s, want it refused by name", members, refused)
		}
	}
	if read := send(w, http.MethodGet, target, "", token); read.Member("client_name") != "Before" || read.Member("policy_uri") == "" {
		t.Fatalf("refused changes have changed something: %s", read)
	}

	// What is left out is gone; ID, token and secret stay.
	changed := send(w, http.MethodPut, target, body(`"client_name":"After","client_secret":"`+secret+`"`), token)
	if changed.StatusCode != http.StatusOK || changed.Member("client_name") != "After" || changed.Member("policy_uri") != "" ||
		changed.Member("client_id") != id || changed.Member("client_secret") != "" ||
		changed.Member("registration_access_token") != got.Member("registration_access_token") {
		t.Errorf("PUT: got %s", changed)
	}
	if _, err := w.Clients.Authenticate(t.Context(), id, secret); err != nil {
		t.Errorf("the secret after a change: %v", err)
	}
	// Another method needs another secret, or none; the old one is then void.
	next := ""
	for _, method := range []string{"client_secret_jwt", "client_secret_post", "none", "client_secret_basic"} {
		changed := send(w, http.MethodPut, target, body(`"token_endpoint_auth_method":"`+method+`"`), token)
		if next = changed.Member("client_secret"); changed.StatusCode != http.StatusOK || (next == "") != (method == "none") {
			t.Errorf("%s: got %s", method, changed)
		}
		if _, err := w.Clients.Authenticate(t.Context(), id, secret); !errors.Is(err, client.ErrUnauthenticated) {
			t.Errorf("%s: the secret of before: got %v, want ErrUnauthenticated", method, err)
		}
	}
	if _, err := w.Clients.Authenticate(t.Context(), id, next); err != nil {
		t.Errorf("the newest secret: %v", err)
	}

	if gone := send(w, http.MethodDelete, target, "", token); gone.StatusCode != http.StatusNoContent || gone.Text != "" {
		t.Errorf("DELETE: got %s", gone)
	}
	if refused := send(w, http.MethodGet, target, "", token); refused.StatusCode != http.StatusUnauthorized {
		t.Errorf("after DELETE: got %s, want 401", refused)
	}
	w.WantNotLogged(secret, got.Member("registration_access_token"))
	w.WantLogged("client.registered", "client.changed", "client.deregistered", "registration.refused")
}

// An operator's clients have no registration access token, whatever is presented.
func TestThreat_OperatorsClientsAreNotManaged(t *testing.T) {
	w := worldWith(t, open())
	c, secret := w.AddClient(client.Client{Name: "Own", RedirectURIs: []string{callback}})
	for _, token := range []string{"", secret, c.ID, strings.Repeat("\x00", 32)} {
		if got := send(w, http.MethodDelete, "/register/"+c.ID, "", testworld.Bearer(token)); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: got %s, want 401", token, got)
		}
	}
}

// Closed, the default, is no endpoint at all, and discovery names none.
func TestModes(t *testing.T) {
	closed := worldWith(t, registration.Policy{})
	for _, target := range []string{"/register", "/register/x"} {
		if got := register(closed, with("")); got.StatusCode != http.StatusNotFound {
			t.Errorf("closed, %s: got %s, want 404", target, got)
		}
	}
	if at := closed.Get("/.well-known/openid-configuration").JSON()["registration_endpoint"]; at != nil {
		t.Errorf("closed: discovery names %v", at)
	}
	p := open()
	p.Mode = registration.Token
	w := worldWith(t, p)
	if at := w.Get("/.well-known/openid-configuration").JSON()["registration_endpoint"]; at != testworld.Issuer+"/register" {
		t.Errorf("discovery names %v", at)
	}
	refused := func(what string, change ...testworld.Change) {
		t.Helper()
		if got := register(w, with(""), change...); got.StatusCode != http.StatusUnauthorized || got.Member("error") != "invalid_token" {
			t.Errorf("%s: got %s, want invalid_token", what, got)
		}
	}
	token, text, err := addInitialToken(t, w, "a partner", time.Hour, 2)
	if err != nil {
		t.Fatal(err)
	}
	refused("no token")
	refused("a wrong token", testworld.Bearer("x"))
	refused("the ID of a token", testworld.Bearer(token.ID))
	if got := register(w, with(`"tos_uri":"x"`), testworld.Bearer(text)); got.StatusCode != http.StatusBadRequest {
		t.Errorf("bad metadata: got %s", got)
	}
	for range 2 { // what was refused has cost no use
		if got := register(w, with(""), testworld.Bearer(text)); got.StatusCode != http.StatusCreated {
			t.Errorf("got %s, want a new client", got)
		}
	}
	refused("a token that is used up", testworld.Bearer(text))
	w.WantNotLogged(text)
}

// Pages of the operator's origins may call, and no others (CORS).
func TestOrigins(t *testing.T) {
	p := open()
	p.Origins = []string{"https://portal.example"}
	w := worldWith(t, p)
	for origin, want := range map[string]string{"https://portal.example": "https://portal.example", "https://other.example": "", "null": ""} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			got := send(w, method, "/register", with(""), testworld.Header("Origin", origin))
			if got.Header.Get("Access-Control-Allow-Origin") != want || got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: got %v", method, origin, got.Header)
			}
			if method == http.MethodOptions && want != "" && (got.StatusCode != http.StatusNoContent || !strings.Contains(got.Header.Get("Access-Control-Allow-Headers"), "Authorization")) {
				t.Errorf("the preflight: got %s with %v", got, got.Header)
			}
		}
	}
}

// A network, and all together, register only so many clients, and there are never more than
// the quota: what is refused stores nothing.
func TestThreat_RegistrationsAreBounded(t *testing.T) {
	narrow := limit.Rate{Burst: 2, Period: time.Hour}
	for what, row := range map[string]struct {
		change func(*registration.Policy)
		status int
		code   string
		after  bool
	}{
		"the network's": {func(p *registration.Policy) { p.Network = narrow }, 429, "temporarily_unavailable", true},
		"all":           {func(p *registration.Policy) { p.Deployment = narrow }, 429, "temporarily_unavailable", true},
		"the quota":     {func(p *registration.Policy) { p.Most = 2 }, 403, "access_denied", false},
	} {
		p := open()
		row.change(&p)
		w := worldWith(t, p)
		for range 2 {
			if got := register(w, with("")); got.StatusCode != http.StatusCreated {
				t.Fatalf("%s: got %s", what, got)
			}
		}
		got := register(w, with(""))
		if got.StatusCode != row.status || got.Member("error") != row.code || (got.Header.Get("Retry-After") != "") != row.after {
			t.Errorf("%s: got %s with Retry-After %q", what, got, got.Header.Get("Retry-After"))
		}
		all, err := w.Store.Clients(t.Context())
		if err != nil || len(all) != 2 {
			t.Errorf("%s: %d clients are stored, %v", what, len(all), err)
		}
	}
}

// A change is paid for as a registration is. With a new jwks_uri each time, one client could
// have addresses of its choice fetched without end, and crowd out the keys of others.
func TestThreat_ChangesAreBounded(t *testing.T) {
	p := open()
	p.Network = limit.Rate{Burst: 3, Period: time.Hour}
	w := worldWith(t, p)
	got := register(w, with(""))
	target, token := manages(t, got)
	change := func(uri string) testworld.Response {
		return send(w, http.MethodPut, target, with(`"client_id":"`+got.Member("client_id")+`","jwks_uri":"https://app.example/`+uri+`"`), token)
	}
	for _, uri := range []string{"1", "2"} {
		if changed := change(uri); changed.StatusCode != http.StatusOK {
			t.Fatalf("a change: got %s", changed)
		}
	}
	if refused := change("3"); refused.StatusCode != http.StatusTooManyRequests || refused.Header.Get("Retry-After") == "" {
		t.Errorf("one change too many: got %s, want 429", refused)
	}
	if read := send(w, http.MethodGet, target, "", token); read.Member("jwks_uri") != "https://app.example/2" {
		t.Errorf("afterwards: got %s, want the change before", read)
	}
}

// A client that nobody has used is removed in time; one that was used, or is an operator's, stays.
func TestUnusedClientsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open()
		p.UnusedFor = 30 * 24 * time.Hour
		w := worldWith(t, p)
		own, _ := w.AddClient(client.Client{Name: "Own", RedirectURIs: []string{callback}})
		unused, used := register(w, with("")).Member("client_id"), register(w, with("")).Member("client_id")
		c, err := w.Clients.Client(t.Context(), used)
		if err == nil {
			err = w.Clients.MarkUsed(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go w.Provider.Run(ctx)
		exists := func(id string) bool {
			_, err := w.Clients.Client(t.Context(), id)
			return err == nil
		}
		time.Sleep(p.UnusedFor - time.Hour)
		synctest.Wait()
		if !exists(unused) {
			t.Error("it was removed too early")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if exists(unused) || !exists(used) || !exists(own.ID) {
			t.Errorf("after %v: unused %v, used %v, an operator's %v", p.UnusedFor, exists(unused), exists(used), exists(own.ID))
		}
		w.WantLogged("client.expired")
		stop()
		synctest.Wait()
	})
}

// addInitialToken stores an initial access token.
func addInitialToken(t *testing.T, w *testworld.World, note string, life time.Duration, uses int) (client.InitialToken, string, error) {
	t.Helper()
	token, text, err := client.NewInitialToken(note, life, uses)
	if err == nil {
		err = w.Clients.AddInitialToken(t.Context(), token)
	}
	return token, text, err
}

// PostSET is for nobody here.
func (published) PostSET(context.Context, string, redact.Text, string) (fetch.Reply, error) {
	return fetch.Reply{}, fetch.ErrResponse
}
