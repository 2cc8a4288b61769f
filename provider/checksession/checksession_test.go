// SPDX-License-Identifier: Apache-2.0

package checksession_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// stateName is the cookie that the page reads.
const stateName = "__Host-calleridp_state"

// unchanged does what the page in the browser does (OpenID Connect Session Management 1.0
// §3.2): it reports whether a session_state is that of the cookie.
func unchanged(sessionState, clientID, origin, cookie string) bool {
	_, salt, _ := strings.Cut(sessionState, ".")
	sum := sha256.Sum256([]byte(clientID + " " + origin + " " + cookie + " " + salt))
	return sessionState == base64.RawURLEncoding.EncodeToString(sum[:])+"."+salt
}

// browser keeps cookies, as a browser does.
type browser struct {
	w       *testworld.World
	cookies map[string]*http.Cookie
}

func newBrowser(w *testworld.World, session *http.Cookie) *browser {
	b := &browser{w: w, cookies: map[string]*http.Cookie{}}
	if session != nil {
		b.cookies[session.Name] = session
	}
	return b
}

func (b *browser) do(r *http.Request) testworld.Response {
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	a := b.w.Do(r)
	for _, c := range a.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return a
}

func (b *browser) get(target string) testworld.Response {
	return b.do(httptest.NewRequest("GET", testworld.Issuer+target, nil))
}

func (b *browser) state() string {
	if c := b.cookies[stateName]; c != nil {
		return c.Value
	}
	return ""
}

// authorize sends an authorization request and returns the response's parameters.
func (b *browser) authorize(t *testing.T, clientID string, pairs ...string) url.Values {
	t.Helper()
	a := b.get("/authorize?" + testworld.AuthRequest(clientID, pairs...).Encode())
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != 303 {
		t.Fatalf("authorize: got %v, want a response to the client", a)
	}
	return to.Query()
}

func TestSessionState(t *testing.T) {
	const origin = "https://app.example"
	w := testworld.New(t)
	done, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	b := newBrowser(w, session)

	// The response of the sign-in itself, and the state that its page sets.
	first := testworld.Param(done.Response, "session_state")
	if !unchanged(first, "app", origin, string(done.State)) || done.State == "" {
		t.Fatalf("the sign-in: got session_state %q, want that of %q", first, done.State)
	}
	if strings.Contains(first, " ") || string(done.State) == session.Value {
		t.Error("got a space in session_state, or the session's secret in what scripts read")
	}

	// A browser that has lost the state gets it again, the same.
	second := b.authorize(t, "app", "prompt", "none").Get("session_state")
	cookie := b.cookies[stateName]
	if b.state() != string(done.State) || !unchanged(second, "app", origin, b.state()) || second == first {
		t.Errorf("prompt=none: got session_state %q and the cookie %q, want a new value of %q", second, b.state(), done.State)
	}
	if cookie.HttpOnly || cookie.SameSite != http.SameSiteNoneMode || !cookie.Secure || cookie.MaxAge <= 0 {
		t.Errorf("the cookie: got %+v, want it readable by scripts, SameSite=None and Secure", cookie)
	}
	if a := b.get("/authorize?" + testworld.AuthRequest("app", "prompt", "none").Encode()); len(a.Cookies()) != 0 {
		t.Errorf("prompt=none with the state: got cookies %v, want none", a.Cookies())
	}

	// Another client, and another origin of the same one, have values of their own.
	if unchanged(second, "pair", origin, b.state()) || unchanged(second, "app", "https://app.example:444", b.state()) {
		t.Error("got a session_state that is also another client's or origin's")
	}

	// Consent that is refused, or missing.
	w.AddClient(client.Client{ID: "asks", Name: "Asks", Public: true, RedirectURIs: []string{"https://ASKS.example:443/cb"}, Consent: client.ConsentAlways})
	missing := b.authorize(t, "asks", "redirect_uri", "https://ASKS.example:443/cb", "prompt", "none")
	if missing.Get("error") != "consent_required" || !unchanged(missing.Get("session_state"), "asks", "https://asks.example", b.state()) {
		t.Errorf("consent_required: got %v, want the session_state of the signed-in browser, for the origin as browsers write it", missing)
	}

	// Signing out ends the state, and a silent request says so.
	hint := testworld.TokensIn(t, w.Exchange("app", testworld.Param(done.Response, "code"))).ID
	b.get("/logout?id_token_hint=" + hint)
	if b.state() != "" || unchanged(second, "app", origin, b.state()) {
		t.Errorf("after signing out: got the state %q, want none", b.state())
	}
	none := b.authorize(t, "app", "prompt", "none")
	again := b.authorize(t, "app", "prompt", "none")
	if none.Get("error") != "login_required" || !unchanged(none.Get("session_state"), "app", origin, "") {
		t.Errorf("login_required: got %v, want the session_state of a browser in which nobody is signed in", none)
	}
	if none.Get("session_state") == again.Get("session_state") {
		t.Error("two errors: got one session_state, want one each (§3.1)")
	}
}

// Each sign-in is another state: a client that watches hears of it.
func TestASignInChangesTheState(t *testing.T) {
	w := testworld.New(t)
	one, session := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	id := w.Approved(testworld.AuthRequest("app", "prompt", "login"), testworld.OtherNumber)
	two, err := w.ContinueWith(session, id)
	if err != nil {
		t.Fatal(err)
	}
	if one.State == two.State || one.State == "" || two.State == "" {
		t.Errorf("got the states %q and %q, want two", one.State, two.State)
	}
}

// A session that was ended elsewhere ends the state at the browser's next visit, of
// whatever kind.
func TestASessionThatWasEndedElsewhere(t *testing.T) {
	for what, pairs := range map[string][]string{"silently": {"prompt", "none"}, "to the sign-in page": nil} {
		t.Run(what, func(t *testing.T) {
			w := testworld.New(t)
			got, session := w.Tokens("app", "openid")
			b := newBrowser(w, session)
			b.authorize(t, "app", "prompt", "none")
			before := b.state()
			w.Get("/logout?id_token_hint=" + got.ID) // a broker's request
			if b.state() != before || before == "" {
				t.Fatalf("got the state %q, want it to stay until the browser comes back", b.state())
			}
			b.get("/authorize?" + testworld.AuthRequest("app", pairs...).Encode())
			if b.state() != "" {
				t.Errorf("got the state %q, want none", b.state())
			}
		})
	}
}

// A frame within a page of another site has no session cookie, and the state's only. The
// error that it gets leads to no loop: its session_state is that of the cookie, which
// stays.
func TestASilentRequestWithoutTheSessionCookie(t *testing.T) {
	w := testworld.New(t)
	done, _ := w.SignIn(testworld.AuthRequest("app"), testworld.Number)
	b := newBrowser(w, nil)
	b.cookies[stateName] = &http.Cookie{Name: stateName, Value: string(done.State)}
	got := b.authorize(t, "app", "prompt", "none")
	if got.Get("error") != "login_required" || !unchanged(got.Get("session_state"), "app", "https://app.example", string(done.State)) || b.state() != string(done.State) {
		t.Errorf("got %v and the state %q, want login_required with the session_state of %q", got, b.state(), done.State)
	}
	b.cookies[stateName].Value = "<script>"
	if got := b.authorize(t, "app", "prompt", "none").Get("session_state"); !unchanged(got, "app", "https://app.example", "") {
		t.Errorf("a cookie that is not ours: got %q, want it to count as none", got)
	}
}

// An application without pages has nothing that could ask.
func TestNoSessionStateWithoutAWebOrigin(t *testing.T) {
	w := testworld.New(t)
	done, _ := w.SignIn(testworld.AuthRequest("public", "redirect_uri", "com.example.app:/cb"), testworld.Number)
	if got := testworld.Param(done.Response, "session_state"); got != "" || testworld.Param(done.Response, "code") == "" {
		t.Errorf("got session_state %q, want a code without it", got)
	}
}

// An error that is not about who is signed in says nothing of it.
func TestNoSessionStateInOtherErrors(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	got := newBrowser(w, session).authorize(t, "app", "response_type", "none")
	if got.Get("error") == "" || got.Has("session_state") {
		t.Errorf("got %v, want an error without session_state", got)
	}
}

// The page is for the pages of clients: no other site learns from its answers whether
// somebody is signed in.
func TestThreat_ThePageIsForClientsPages(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(client.Client{ID: "spa", Name: "SPA", Public: true, RedirectURIs: []string{"https://Own.example:443/cb"}})
	frame := func(referer string) testworld.Response {
		r := httptest.NewRequest("GET", testworld.Issuer+"/session", nil)
		if referer != "" {
			r.Header.Set("Referer", referer)
		}
		return w.Do(r)
	}
	for referer, origin := range map[string]string{
		"https://app.example/":           "https://app.example",
		"https://app.example/deep?x=%61": "https://app.example",
		"https://own.example/":           "https://own.example",
	} {
		view := frame(referer).WantPage(t, referer, "checksession")
		if view["Origin"] != origin || view["Cookie"] != stateName {
			t.Errorf("%s: got %v, want %s and %s", referer, view, origin, stateName)
		}
	}
	for _, referer := range []string{
		"", "https://evil.example/", "https://app.example.evil.example/", "https://app.example@evil.example/",
		"http://app.example/", "https://app.example:8443/", "https://sub.app.example/", "null", "about:client", "%",
		"https://spa.example/", // a CORS origin of another client, and no redirect URI
	} {
		frame(referer).WantErrorPage(t, referer, 403, "cross_origin")
	}
	w.RemoveClient("spa")
	frame("https://own.example/").WantErrorPage(t, "a client that was removed", 403, "cross_origin")
}

func TestDiscovery(t *testing.T) {
	w := testworld.New(t)
	if got, want := w.Get("/.well-known/openid-configuration").JSON()["check_session_iframe"], testworld.Issuer+"/session"; got != want {
		t.Errorf("check_session_iframe: got %v, want %s", got, want)
	}
}

// Applications in a browser read one session_state, and it is that of the authorization
// response: the token response has none for them.
func TestTokenResponse(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(client.Client{ID: "spa", Name: "SPA", Public: true, RedirectURIs: []string{"https://spa.example/cb"}})
	request := testworld.AuthRequest("spa", "redirect_uri", "https://spa.example/cb")
	done, session := w.SignIn(request, testworld.Number)
	v := testworld.CodeRequest("spa", testworld.Param(done.Response, "code"))
	v.Set("client_id", "spa")
	v.Set("redirect_uri", "https://spa.example/cb")
	if got := testworld.TokensIn(t, w.Post("/token", v)).JSON(); got["session_state"] != nil {
		t.Errorf("a public client: got session_state %v, want none", got["session_state"])
	}
	if got := w.CodeTokens(session, "app"); got.JSON()["session_state"] == nil {
		t.Error("a confidential client: got no session_state, want the sid")
	}
}
