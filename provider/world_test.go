package provider_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider"
	"calleridp/provider/account"
	"calleridp/provider/audit"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/logout"
	"calleridp/provider/session"
	"calleridp/storage/bolt"
	"calleridp/storage/storagetest"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

const (
	issuer   = "https://id.example"
	number   = "+46701740605"
	verifier = "abcdefghijklmnopqrstuvwxyz-0123456789.ABCDEFG~"
	secret   = "the-secret-of-app"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// world is a provider over the real store, engine and keys. Only Truecaller is
// played, and the pages are written down instead of drawn.
type world struct {
	t        testing.TB
	store    *bolt.Store
	provider provider.Flow
	engine   *login.Engine
	registry *client.Registry
	handler  http.Handler
	pages    *notebook
	phone    *truecallerDouble
	log      *journal
}

// truecallerDouble takes every push and remembers its state.
type truecallerDouble struct {
	mu    sync.Mutex
	state map[phone.Number]string
	fails error
	down  time.Time // nothing is asked until then
}

func (d *truecallerDouble) Admit(truecaller.App) (*truecaller.Permit, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Now().Before(d.down) {
		return nil, &truecaller.Unavailable{Purpose: truecaller.ForPush, Host: "api4.truecaller.com", RetryAt: d.down}
	}
	return new(truecaller.Permit), nil
}

func (d *truecallerDouble) Push(_ context.Context, _ *truecaller.Permit, _ truecaller.App, n phone.Number, state string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state[n] = state
	return "", d.fails
}

// notebook is Pages: each page is written as one line of JSON.
type notebook struct{}

func (notebook) write(w http.ResponseWriter, status int, page string, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"page": page, "view": v})
}

func (n notebook) SignIn(w http.ResponseWriter, _ *http.Request, v authorize.SignInView) {
	n.write(w, 200, "signin", v)
}
func (n notebook) Consent(w http.ResponseWriter, _ *http.Request, v authorize.ConsentView) {
	n.write(w, 200, "consent", v)
}
func (n notebook) Account(w http.ResponseWriter, _ *http.Request, v account.AccountView) {
	n.write(w, 200, "account", v)
}
func (n notebook) AccountStep(w http.ResponseWriter, _ *http.Request, v account.AccountStepView) {
	n.write(w, 200, "step", v)
}
func (n notebook) FormPost(w http.ResponseWriter, _ *http.Request, action string, fields []endpoint.Parameter) {
	pairs := make([][2]string, len(fields))
	for i, field := range fields {
		pairs[i] = [2]string{field.Name, field.Value}
	}
	n.write(w, 200, "formpost", map[string]any{"action": action, "fields": pairs})
}
func (n notebook) ConfirmSignOut(w http.ResponseWriter, _ *http.Request, v logout.SignOutView) {
	n.write(w, 200, "confirm", v)
}
func (n notebook) SignedOut(w http.ResponseWriter, _ *http.Request, v logout.SignedOutView) {
	n.write(w, 200, "signedout", v)
}
func (n notebook) Error(w http.ResponseWriter, _ *http.Request, v endpoint.ErrorView) {
	n.write(w, v.Status, "error", v)
}

// journal is what was logged.
type journal struct {
	mu sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.String()
}

// oneKeySet is a key store for one ring, which all tests share because RSA keys
// are slow to make.
type oneKeySet struct {
	records []keys.Record
	version uint64
}

func (s *oneKeySet) SigningKeys(context.Context) ([]keys.Record, uint64, error) {
	return s.records, s.version, nil
}

func (s *oneKeySet) ReplaceSigningKeys(_ context.Context, records []keys.Record, version uint64) error {
	s.records, s.version = records, version+1
	return nil
}

var master = sync.OnceValue(func() *keys.Master {
	m, err := keys.NewMaster(bytes.Repeat([]byte{7}, keys.MasterSize))
	if err != nil {
		panic(err)
	}
	return m
})

var ring = sync.OnceValue(func() *keys.Ring {
	r, err := keys.OpenRing(context.Background(), keys.Config{Store: &oneKeySet{}, Master: master(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return r
})

// clients that the worlds have.
func clients() []client.Client {
	hash := [][32]byte{client.HashSecret(secret)}
	hour := time.Hour
	return []client.Client{
		{ID: "app", Name: "App", SecretHashes: hash, RedirectURIs: []string{"https://app.example/cb", "https://app.example/cb?with=query"},
			PostLogoutRedirectURIs: []string{"https://app.example/bye"}, AllowedOrigins: []string{"https://app.example"}, TruecallerApp: "one"},
		{ID: "public", Name: "Public", Public: true, RedirectURIs: []string{"http://127.0.0.1/cb", "com.example.app:/cb"}, AllowedOrigins: []string{"https://spa.example"}},
		{ID: "old", Name: "Old", SecretHashes: hash, WithoutPKCE: true, RedirectURIs: []string{"https://old.example/cb"}},
		{ID: "es256", SecretHashes: hash, IDTokenAlg: "ES256", RedirectURIs: []string{"https://es.example/cb"}},
		{ID: "eddsa", SecretHashes: hash, IDTokenAlg: "EdDSA", RedirectURIs: []string{"https://ed.example/cb"}},
		{ID: "pair", SecretHashes: hash, Pairwise: true, RedirectURIs: []string{"https://pair.example/cb"}, PostLogoutRedirectURIs: []string{"https://pair.example/bye"}},
		{ID: "tap", Name: "Tap", SecretHashes: hash, TruecallerApp: "tap", PolicyURI: "https://tap.example/privacy", RedirectURIs: []string{"https://tap.example/cb"}},
		{ID: "narrow", SecretHashes: hash, Scopes: []string{"openid", "phone"}, RedirectURIs: []string{"https://narrow.example/cb"}},
		{ID: "third", Name: "Third party", SecretHashes: hash, Consent: client.ConsentRemember, RedirectURIs: []string{"https://third.example/cb"}},
		{ID: "wary", SecretHashes: hash, Consent: client.ConsentAlways, RedirectURIs: []string{"https://wary.example/cb"}},
		{ID: "hourly", SecretHashes: hash, DefaultMaxAge: &hour, RedirectURIs: []string{"https://hourly.example/cb"}},
	}
}

// apps are the Truecaller apps that the worlds have.
func apps() map[string]truecaller.App {
	return map[string]truecaller.App{
		"one": {ID: "one", Name: "One", Key: "key-of-one"},
		"tap": {ID: "tap", Name: "Tap", Key: "key-of-tap", OneTap: &truecaller.Dialog{}},
	}
}

func newWorld(t testing.TB, change ...func(*provider.Config)) *world {
	t.Helper()
	return newWorldWith(t, func(*login.Config) {}, change...)
}

// newWorldWith is newWorld with another engine.
func newWorldWith(t testing.TB, engine func(*login.Config), change ...func(*provider.Config)) *world {
	t.Helper()
	log := &journal{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	store, err := bolt.Open(filepath.Join(t.TempDir(), "store"), master(), bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{t: t, store: store, pages: &notebook{}, phone: &truecallerDouble{state: map[phone.Number]string{}}, log: log}
	wide := limit.Rate{Burst: 10000, Period: time.Minute}
	stores := storagetest.Pure(t, store)
	engineConfig := login.Config{
		Store: stores, Inbox: store, Pusher: w.phone, Apps: apps(),
		Limits: login.Limits{Number: wide, Network: wide, Client: wide, Deployment: wide}, Log: logger, Audit: audit.Log(logger),
	}
	engine(&engineConfig)
	if w.engine, err = login.New(engineConfig); err != nil {
		t.Fatal(err)
	}
	w.registry, err = client.NewRegistry(clients(), store, []client.App{{ID: "one"}, {ID: "tap"}})
	if err != nil {
		t.Fatal(err)
	}
	config := provider.Config{
		Issuer: issuer, Engine: w.engine, Pages: w.pages, Ring: ring(), Master: master(), Clients: w.registry,
		Grants: stores, Sessions: store, People: store, Consents: stores, Records: store, DefaultRegion: "SE", Apps: truecaller.Apps{ByID: apps(), Default: "one"},
		Cookies: endpoint.Cookies{Secure: true}, Log: logger, Audit: audit.Log(logger), Dev: true,
	}
	for _, c := range change {
		c(&config)
	}
	op, err := provider.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.provider = op.Flow()
	w.handler = op.Handler()
	return w
}

// answer is a response, read.
type answer struct {
	*http.Response
	body string
}

// page is the page that was shown, with its view.
func (a answer) page() (string, map[string]any) {
	var p struct {
		Page string         `json:"page"`
		View map[string]any `json:"view"`
	}
	json.Unmarshal([]byte(a.body), &p)
	return p.Page, p.View
}

// json is the body.
func (a answer) json() map[string]any {
	var m map[string]any
	json.Unmarshal([]byte(a.body), &m)
	return m
}

// to is where a redirect goes, without its query, and the query.
func (a answer) to() (string, url.Values) {
	at, query, _ := strings.Cut(a.Header.Get("Location"), "?")
	values, _ := url.ParseQuery(query)
	return at, values
}

// do sends a request straight to the handler.
func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res, string(body)}
}

func (w *world) get(target string, cookies ...*http.Cookie) answer {
	w.t.Helper()
	r := httptest.NewRequest("GET", issuer+target, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return w.do(r)
}

func form(target string, v url.Values) *http.Request {
	r := httptest.NewRequest("POST", issuer+target, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func (w *world) post(target string, v url.Values, change ...func(*http.Request)) answer {
	w.t.Helper()
	r := form(target, v)
	for _, c := range change {
		c(r)
	}
	return w.do(r)
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func cookie(c *http.Cookie) func(*http.Request) { return func(r *http.Request) { r.AddCookie(c) } }

// redirects of the clients.
var redirects = map[string]string{
	"app": "https://app.example/cb", "public": "com.example.app:/cb", "old": "https://old.example/cb", "es256": "https://es.example/cb",
	"eddsa": "https://ed.example/cb", "pair": "https://pair.example/cb", "tap": "https://tap.example/cb", "narrow": "https://narrow.example/cb", "hourly": "https://hourly.example/cb",
	"third": "https://third.example/cb", "wary": "https://wary.example/cb",
}

// asked is a good authorization request of the client, changed by pairs of name
// and value; the value "-" leaves a parameter out.
func asked(clientID string, pairs ...string) url.Values {
	v := url.Values{
		"client_id": {clientID}, "redirect_uri": {redirects[clientID]}, "response_type": {"code"}, "scope": {"openid"},
		"state": {"the-state"}, "nonce": {"the-nonce"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
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

const browser = "the-browser-cookie-of-a-test"

// submit sends a number from a sign-in page.
func (w *world) submit(a answer, number string) login.ID {
	w.t.Helper()
	page, view := a.page()
	if page != "signin" {
		w.t.Fatalf("no sign-in page: %d %s %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	id, err := w.provider.Submit(w.t.Context(), authorize.Submission{Request: view["Request"].(string), Phone: number, Browser: browser, Network: "192.0.2.1/32"})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// profile is a full one of the number.
func profile(t testing.TB, number string) truecaller.Profile {
	t.Helper()
	n, err := phone.FromDigits(number)
	if err != nil {
		t.Fatal(err)
	}
	return truecaller.Profile{
		ID: "tc-" + n.Digits(), UserID: "17", Numbers: []phone.Number{n}, FirstName: "Asha", LastName: "Rao", Email: "asha@example.com",
		AvatarURL: "https://img.example/a.png", Gender: "Female", JobTitle: "Engineer", UpdatedAt: time.Unix(1_600_000_000, 0),
		Addresses: []truecaller.Address{{Street: "Kungsgatan 1", City: "Stockholm", Zipcode: "111 43", CountryCode: "SE"}},
	}
}

// approve does what the phone does.
func (w *world) approve(number string) {
	w.t.Helper()
	w.approveAs(profile(w.t, number))
}

// approveAs does it for somebody with this profile.
func (w *world) approveAs(p truecaller.Profile) {
	w.t.Helper()
	w.phone.mu.Lock()
	state := w.phone.state[p.Numbers[0]]
	w.phone.mu.Unlock()
	d := truecaller.Delivery{ID: "d-" + state, App: "one", Received: time.Now(), Callback: truecaller.Callback{State: state, RequestID: "r", AccessToken: "t"}}
	if err := w.engine.Profile(w.t.Context(), d, p); err != nil {
		w.t.Fatal(err)
	}
}

// signIn goes from the authorization request to its response, and gives the
// session cookie.
func (w *world) signIn(request url.Values, number string) (authorize.Finished, *http.Cookie) {
	w.t.Helper()
	id := w.submit(w.get("/authorize?"+request.Encode()), number)
	w.approve(number)
	done, err := w.provider.Continue(w.t.Context(), id, browser, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return done, &http.Cookie{Name: "__Host-calleridp_session", Value: string(done.Session)}
}

// param is a parameter of a response.
func param(r authorize.Response, name string) string {
	for _, p := range r.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// exchange redeems a code.
func (w *world) exchange(clientID, code string, change ...func(url.Values)) answer {
	w.t.Helper()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirects[clientID]}, "code_verifier": {verifier}}
	for _, c := range change {
		c(v)
	}
	if clientID == "public" {
		v.Set("client_id", clientID)
		return w.post("/token", v)
	}
	return w.post("/token", v, basic(clientID, secret))
}

// tokens signs in and redeems the code.
func (w *world) tokens(clientID, scope string) (map[string]any, *http.Cookie) {
	w.t.Helper()
	done, session := w.signIn(asked(clientID, "scope", scope), number)
	a := w.exchange(clientID, param(done.Response, "code"))
	if a.StatusCode != 200 {
		w.t.Fatalf("token: %d %s", a.StatusCode, a.body)
	}
	return a.json(), session
}

// claimsOf opens an ID token.
func claimsOf(t testing.TB, token any) map[string]any {
	t.Helper()
	text, _ := token.(string)
	payload, err := ring().Verify(text)
	if err != nil {
		t.Fatalf("ID token %q: %v", text, err)
	}
	var m map[string]any
	if err := json.Unmarshal(payload, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// aged returns a sealed request as it would be if it had been made two hours ago.
func aged(t testing.TB, purpose keys.Purpose, sealed string) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := endpoint.Unseal(master(), purpose, sealed, &fields); err != nil {
		t.Fatal(err)
	}
	var until int64
	if err := json.Unmarshal(fields["e"], &until); err != nil {
		t.Fatal(err)
	}
	fields["e"] = json.RawMessage(strconv.FormatInt(until-7200, 10))
	sealed, err := endpoint.Seal(master(), purpose, fields)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// solves reports whether a solution has so many zero bits, counted by hand.
func solves(seed string, zeros int, solution string) bool {
	text := ""
	for _, b := range sha256.Sum256([]byte(seed + solution)) {
		text += fmt.Sprintf("%08b", b)
	}
	return strings.HasPrefix(text, strings.Repeat("0", zeros))
}

// solve finds a solution as a browser does.
func solve(seed string, zeros int) string {
	for n := 0; ; n++ {
		if solution := strconv.Itoa(n); solves(seed, zeros, solution) {
			return solution
		}
	}
}

// secretOf returns the session secret that a cookie carries.
func secretOf(c *http.Cookie) session.Secret { return session.Secret(c.Value) }
