package provider_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/provider"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	truecallerURN = "urn:calleridp:params:oauth:token-type:truecaller-code"
	accessTokenTy = "urn:ietf:params:oauth:token-type:access_token"
	sdkCode       = "code-of-the-sdk"
	wholeProfile  = "openid profile email phone address truecaller offline_access"
)

// oauthDouble stands for Truecaller's OAuth interface: it takes every code with
// the usual verifier, once or as often as it comes.
type oauthDouble struct {
	mu       sync.Mutex
	asked    []string
	down     *truecaller.Unavailable
	exchange error
	userinfo error
	profile  truecaller.Profile
}

func (d *oauthDouble) AdmitExchange(truecaller.App) (*truecaller.Permit, error) {
	if d.down != nil {
		return nil, d.down
	}
	return &truecaller.Permit{}, nil
}

func (d *oauthDouble) ExchangeCode(_ context.Context, _ *truecaller.Permit, app truecaller.App, code, given string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, app.ID+" "+code)
	if given != verifier {
		return "", fmt.Errorf("%w: status 403", truecaller.ErrCodeRefused)
	}
	return "access-token-of-truecaller", d.exchange
}

func (d *oauthDouble) FetchUserinfo(context.Context, truecaller.App, string) (truecaller.Profile, error) {
	if d.userinfo != nil {
		return truecaller.Profile{}, d.userinfo
	}
	return d.profile, nil
}

// nativeClients are those that a world with native sign-in has besides.
func nativeClients() []client.Client {
	hash := [][32]byte{client.HashSecret(secret)}
	return []client.Client{
		{ID: "native", Name: "Android app", Public: true, Native: true, TruecallerApp: "nat"},
		{ID: "native-too", Public: true, Native: true, TruecallerApp: "nat"},
		{ID: "backend", SecretHashes: hash, Native: true, TruecallerApp: "nat", RedirectURIs: []string{"https://backend.example/cb"}},
		{ID: "native-pair", Public: true, Native: true, Pairwise: true, SectorHost: "pair.example", TruecallerApp: "nat"},
		{ID: "native-narrow", Public: true, Native: true, Scopes: []string{"openid", "phone"}, TruecallerApp: "nat"},
		{ID: "native-lost", Public: true, Native: true, TruecallerApp: "one"}, // an app without an OAuth client id
		{ID: "web-of-nat", SecretHashes: hash, RedirectURIs: []string{"https://nat.example/cb"}, TruecallerApp: "nat"},
	}
}

func nativeWorld(t testing.TB, limits *login.Limits, change ...func(*provider.Config)) (*world, *oauthDouble) {
	t.Helper()
	n, err := phone.FromDigits(number[1:])
	if err != nil {
		t.Fatal(err)
	}
	oauth := &oauthDouble{profile: truecaller.Profile{
		OAuthSub: "90071992547409931", Numbers: []phone.Number{n}, FirstName: "Asha", LastName: "Rao", Email: "asha@example.com",
		AvatarURL: "https://img.example/a.png", Gender: "female", Addresses: []truecaller.Address{{City: "Stockholm", Zipcode: "111 43"}},
	}}
	wide := limit.Rate{Burst: 10000, Period: time.Minute}
	if limits == nil {
		limits = &login.Limits{Number: wide, Network: wide, Client: wide, Deployment: wide}
	}
	all := apps()
	all["nat"] = truecaller.App{ID: "nat", Name: "Nat", NativeClientID: "truecaller-client-id", WithoutPush: true}
	var engine *login.Engine
	var registry *client.Registry
	w := newWorld(t, append([]func(*provider.Config){func(c *provider.Config) {
		store := c.Grants.(storagetest.Engine)
		if registry, err = client.NewRegistry(append(clients(), nativeClients()...), store, []client.App{{ID: "one"}, {ID: "tap"}, {ID: "nat", Native: true}}); err != nil {
			t.Fatal(err)
		}
		engine, err = login.New(login.Config{
			Store: store, Inbox: store, Pusher: &truecallerDouble{state: map[phone.Number]string{}}, Exchanger: oauth, Apps: all, Limits: *limits, Log: c.Log, Audit: c.Audit,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Engine, c.Apps.ByID, c.Clients = engine, all, registry
	}}, change...)...)
	w.registry = registry
	return w, oauth
}

// exchanged is a good token exchange of the client, changed by pairs of name and
// value; the value "-" leaves a parameter out.
func exchanged(clientID string, pairs ...string) url.Values {
	v := url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {sdkCode}, "subject_token_type": {truecallerURN}, "code_verifier": {verifier},
		"scope": {wholeProfile}, "client_id": {clientID},
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			v.Del(pairs[i])
			continue
		}
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// native signs in natively.
func (w *world) native(clientID string, pairs ...string) map[string]any {
	w.t.Helper()
	a := w.post("/token", exchanged(clientID, pairs...))
	if a.StatusCode != 200 {
		w.t.Fatalf("token exchange: %d %s", a.StatusCode, a.body)
	}
	return a.json()
}

// without is m without these.
func without(m map[string]any, names ...string) map[string]any {
	m = maps.Clone(m)
	for _, name := range names {
		delete(m, name)
	}
	return m
}

func TestTokenExchange(t *testing.T) {
	w, _ := nativeWorld(t, nil)
	a := w.post("/token", exchanged("native", "requested_token_type", accessTokenTy))
	out := a.json()
	if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if out["issued_token_type"] != accessTokenTy || out["token_type"] != "Bearer" || out["expires_in"] != 3600.0 ||
		out["scope"] != "openid profile email phone address offline_access" || out["session_state"] != nil || out["refresh_token"] == nil {
		t.Errorf("%s", a.body)
	}
	id := claimsOf(t, out["id_token"])
	for name, want := range map[string]any{
		"iss": issuer, "aud": "native", "azp": "native", "phone_number": number, "phone_number_verified": true, "name": "Asha Rao", "given_name": "Asha",
		"picture": "https://img.example/a.png", "gender": "female", "email": "asha@example.com", "email_verified": false, "acr": endpoint.ACR,
	} {
		if id[name] != want {
			t.Errorf("%s is %v, want %v", name, id[name], want)
		}
	}
	for _, name := range []string{"sid", "nonce", "truecaller"} {
		if id[name] != nil {
			t.Errorf("%s is %v", name, id[name])
		}
	}
	if id["at_hash"] == nil || id["auth_time"] == nil || strings.Contains(id["sub"].(string), "90071992547409931") {
		t.Errorf("%v", id)
	}

	// Userinfo and a refreshed ID token say the same of the person.
	info := w.get2("/userinfo", bearer(out["access_token"].(string)))
	own := []string{"iss", "aud", "azp", "exp", "iat", "auth_time", "acr", "at_hash"}
	if want := without(id, own...); info.StatusCode != 200 || !reflect.DeepEqual(info.json(), want) {
		t.Errorf("userinfo %s\nwant %v", info.body, want)
	}
	refreshed := w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}, "client_id": {"native"}})
	again := claimsOf(t, refreshed.json()["id_token"])
	if refreshed.StatusCode != 200 || !reflect.DeepEqual(without(again, "exp", "iat", "at_hash"), without(id, "exp", "iat", "at_hash")) {
		t.Errorf("refreshed: %s\n%v\n%v", refreshed.body, again, id)
	}
	if refreshed.json()["issued_token_type"] != nil {
		t.Error("a refresh is no token exchange")
	}

	// It ends as every other.
	if a := w.post("/revoke", url.Values{"token": {refreshed.json()["refresh_token"].(string)}, "client_id": {"native"}}); a.StatusCode != 200 {
		t.Errorf("revocation: %d %s", a.StatusCode, a.body)
	}
	if a := w.get2("/userinfo", bearer(refreshed.json()["access_token"].(string))); a.StatusCode != 401 {
		t.Errorf("after the revocation: %d", a.StatusCode)
	}
}

func (w *world) get2(target string, change ...func(*http.Request)) answer {
	w.t.Helper()
	r, err := http.NewRequest("GET", issuer+target, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	return w.do(r)
}

// A confidential client authenticates as everywhere, and may introspect what it
// has got.
func TestTokenExchangeOfABackend(t *testing.T) {
	w, _ := nativeWorld(t, nil)
	for what, row := range map[string]struct {
		form url.Values
		auth func(*http.Request)
	}{
		"basic":                        {exchanged("backend", "client_id", "-", "subject_token", "a"), basic("backend", secret)},
		"basic, client_id in the body": {exchanged("backend", "subject_token", "b"), basic("backend", secret)},
		"post":                         {exchanged("backend", "client_secret", secret, "subject_token", "c"), func(*http.Request) {}},
	} {
		a := w.post("/token", row.form, row.auth)
		if a.StatusCode != 200 {
			t.Errorf("%s: %d %s", what, a.StatusCode, a.body)
			continue
		}
		seen := w.post("/introspect", url.Values{"token": {a.json()["access_token"].(string)}}, basic("backend", secret)).json()
		if seen["active"] != true || seen["client_id"] != "backend" || seen["sid"] != nil || seen["acr"] != endpoint.ACR {
			t.Errorf("%s: introspection %v", what, seen)
		}
	}
}

// What is granted is what was asked for, as far as the client may have it and
// Truecaller has told anything for it. Without a scope it is openid.
func TestTokenExchangeScopes(t *testing.T) {
	bare := func(p *truecaller.Profile) {
		*p = truecaller.Profile{OAuthSub: p.OAuthSub, Numbers: p.Numbers}
	}
	for _, row := range []struct {
		what, client, scope string
		told                func(*truecaller.Profile)
		want                string
	}{
		{"no scope", "native", "-", nil, "openid"},
		{"one", "native", "phone", nil, "phone"},
		{"unknown ones are ignored", "native", "openid groups phone", nil, "openid phone"},
		{"the client may not have more", "native-narrow", wholeProfile, nil, "openid phone"},
		{"Truecaller tells the number alone", "native", wholeProfile, bare, "openid phone offline_access"},
		{"Truecaller tells no address", "native", wholeProfile, func(p *truecaller.Profile) { p.Addresses = nil }, "openid profile email phone offline_access"},
		{"Truecaller tells no e-mail", "native", "openid email", func(p *truecaller.Profile) { p.Email = "" }, "openid"},
	} {
		w, oauth := nativeWorld(t, nil)
		if row.told != nil {
			row.told(&oauth.profile)
		}
		out := w.native(row.client, "scope", row.scope)
		if out["scope"] != row.want {
			t.Errorf("%s: %v, want %s", row.what, out["scope"], row.want)
		}
		if (out["id_token"] != nil) != strings.Contains(row.want, "openid") || (out["refresh_token"] != nil) != strings.Contains(row.want, "offline") {
			t.Errorf("%s: %v", row.what, out)
		}
	}
	w, _ := nativeWorld(t, nil)
	for _, scope := range []string{"groups", "profile"} {
		if a := w.post("/token", exchanged("native-narrow", "scope", scope)); a.StatusCode != 400 || a.json()["error"] != "invalid_scope" {
			t.Errorf("%s: %d %s", scope, a.StatusCode, a.body)
		}
	}
}

// The person is the same however they sign in, and what they told another
// application is not this one's.
func TestTokenExchangeAndTheWebKnowOnePerson(t *testing.T) {
	w, oauth := nativeWorld(t, nil)
	oauth.profile = truecaller.Profile{OAuthSub: oauth.profile.OAuthSub, Numbers: oauth.profile.Numbers}
	first := claimsOf(t, w.native("native")["id_token"])
	// As a push would: the profile with everything.
	w.push(t, profile(t, number))
	out := w.native("native", "subject_token", "another")
	second := claimsOf(t, out["id_token"])
	if first["sub"] != second["sub"] {
		t.Errorf("sub %v, then %v", first["sub"], second["sub"])
	}
	if second["email"] != nil || second["name"] != nil || out["scope"] != "openid phone offline_access" {
		t.Errorf("the application got what it was not told: %v", second)
	}
	person, err := w.store.Person(t.Context(), second["sub"].(string))
	if err != nil || person.Profile.Email != "asha@example.com" || person.Profile.JobTitle != "Engineer" || person.TruecallerID == "" || person.OAuthSub == "" {
		t.Errorf("%+v, %v", person, err)
	}
	pair := claimsOf(t, w.native("native-pair", "subject_token", "third")["id_token"])
	if pair["sub"] == second["sub"] || pair["sub"] == "" {
		t.Errorf("a pairwise client's sub is %v", pair["sub"])
	}
}

// push is a web sign-in with this profile, as far as the person is concerned.
func (w *world) push(t *testing.T, p truecaller.Profile) {
	t.Helper()
	now := time.Now()
	a := login.Attempt{ID: "pushed", Method: login.Push, State: login.Approved, Number: p.Numbers[0], Created: now, Expires: now.Add(time.Minute)}
	if err := w.store.CreateAttempt(t.Context(), a, limit.Spend{}, now); err != nil {
		t.Fatal(err)
	}
	signIn := subject.SignIn{Number: a.Number, Profile: p, At: now, NewSub: subject.NewSub()}
	_, err := w.store.ApproveAttempt(t.Context(), a.ID, a.Number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
		person, _ := subject.Policy{}.Resolve(known, signIn)
		return login.Approval{Attempt: a, Person: person}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A code that comes twice revokes what it gave (RFC 6749 §4.1.2), unless it is
// another client that brings it.
func TestInvariant9_ASecondUseOfATruecallerCodeRevokes(t *testing.T) {
	w, oauth := nativeWorld(t, nil)
	out := w.native("native")
	alive := func() bool { return w.get2("/userinfo", bearer(out["access_token"].(string))).StatusCode == 200 }
	if a := w.post("/token", exchanged("native-too")); a.StatusCode != 400 || a.json()["error"] != "invalid_request" || !alive() {
		t.Errorf("another client: %d %s, alive %v", a.StatusCode, a.body, alive())
	}
	if a := w.post("/token", exchanged("native")); a.StatusCode != 400 || a.json()["error"] != "invalid_request" || alive() {
		t.Errorf("the same client: %d %s, alive %v", a.StatusCode, a.body, alive())
	}
	if a := w.post("/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out["refresh_token"].(string)}, "client_id": {"native"}}); a.StatusCode != 400 {
		t.Errorf("its refresh token: %d", a.StatusCode)
	}
	if len(oauth.asked) != 1 || !strings.Contains(w.log.text(), `"grant.reused"`) {
		t.Errorf("asked %v; %s", oauth.asked, w.log.text())
	}
	// A code that failed is not good later either, and there is nothing to revoke.
	oauth.exchange = truecaller.ErrExchangeUnavailable
	w.post("/token", exchanged("native", "subject_token", "other"))
	oauth.exchange = nil
	if a := w.post("/token", exchanged("native", "subject_token", "other")); a.StatusCode != 400 || a.json()["error"] != "invalid_request" {
		t.Errorf("after a failure: %d %s", a.StatusCode, a.body)
	}
	w.quiet(sdkCode, verifier)
}

// A spent budget is told with 429, and when to come back; the code is still
// good. An application's own server does not spend the budget of its address.
func TestInvariant7_TokenExchangeSpendsBudgets(t *testing.T) {
	wide, one := limit.Rate{Burst: 1000, Period: time.Minute}, limit.Rate{Burst: 1, Period: time.Hour}
	addr := netip.MustParseAddr("192.0.2.7")
	w, oauth := nativeWorld(t, &login.Limits{Number: one, Network: one, Client: wide, Deployment: wide},
		func(c *provider.Config) { c.ClientAddr = func(*http.Request) netip.Addr { return addr } })
	w.native("native", "subject_token", "first")
	a := w.post("/token", exchanged("native"))
	var seconds int
	if _, err := fmt.Sscan(a.Header.Get("Retry-After"), &seconds); err != nil || seconds < 3590 || seconds > 3600 {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	if a.StatusCode != 429 || a.json()["error"] != "temporarily_unavailable" || len(oauth.asked) != 1 {
		t.Errorf("%d %s, asked %v", a.StatusCode, a.body, oauth.asked)
	}
	addr = netip.MustParseAddr("198.51.100.9")
	w.native("native")
	for i := range 3 {
		if a := w.post("/token", exchanged("backend", "client_id", "-", "subject_token", fmt.Sprint("backend", i)), basic("backend", secret)); a.StatusCode != 200 {
			t.Errorf("backend: %d %s", a.StatusCode, a.body)
		}
	}
	for _, want := range []string{`"network":"192.0.2.7/32"`, `"network":"198.51.100.9/32"`, `"method":"native"`, `"limit":"network"`} {
		if !strings.Contains(w.log.text(), want) {
			t.Errorf("the audit has no %s", want)
		}
	}
}

// Discovery lists it where it works, and nowhere else.
func TestTokenExchangeIsListedWhereItIsConfigured(t *testing.T) {
	plain := newWorld(t)
	if a := plain.post("/token", exchanged("public")); a.StatusCode != 400 || a.json()["error"] != "unsupported_grant_type" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	listed := func(w *world) bool {
		return strings.Contains(w.get("/.well-known/openid-configuration").body, exchangeGrant)
	}
	w, _ := nativeWorld(t, nil)
	if listed(plain) || !listed(w) {
		t.Errorf("listed: without native apps %v, with one %v", listed(plain), listed(w))
	}
	if a := w.post("/token", url.Values{"grant_type": {"password"}}, basic("app", secret)); !strings.Contains(a.body, exchangeGrant) {
		t.Errorf("the refusal does not name it: %s", a.body)
	}
}

// There is no browser session, and none is missed: signing out asks the person,
// and leaves the application's tokens alone.
func TestNativeGrantsHaveNoSession(t *testing.T) {
	w, _ := nativeWorld(t, nil)
	out := w.native("native", "scope", "openid phone") // without offline access, which would outlive a session
	hint := url.Values{"id_token_hint": {out["id_token"].(string)}, "client_id": {"native"}}
	if page, _ := w.get("/logout?" + hint.Encode()).page(); page == "error" {
		t.Errorf("a hint without a sid: %s", page)
	}
	if a := w.post("/logout", hint); a.StatusCode != 200 {
		t.Errorf("posted: %d %s", a.StatusCode, a.body)
	}
	if a := w.get2("/userinfo", bearer(out["access_token"].(string))); a.StatusCode != 200 {
		t.Errorf("after signing out: %d", a.StatusCode)
	}
}

// Without redirect URIs nobody signs in through a browser, and the page says so.
func TestNativeClientsAtTheAuthorizationEndpoint(t *testing.T) {
	w, _ := nativeWorld(t, nil)
	for _, uri := range []string{"https://evil.example/cb", "com.example.app:/cb", "-"} {
		v := asked("app", "client_id", "native", "redirect_uri", uri)
		page, view := w.get("/authorize?" + v.Encode()).page()
		if page != "error" || !strings.Contains(fmt.Sprint(view["Detail"]), "no redirect_uri is registered") {
			t.Errorf("%s: %s %v", uri, page, view)
		}
	}
	// With some, but through a Truecaller app that reaches nobody in a browser.
	_, query := w.get("/authorize?" + asked("app", "client_id", "web-of-nat", "redirect_uri", "https://nat.example/cb").Encode()).to()
	if query.Get("error") != "unauthorized_client" {
		t.Errorf("%v", query)
	}
}
