// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/console"
	"calleridp/provider/endpoint"
	"calleridp/provider/internal/testworld"
	"calleridp/truecaller"
)

const (
	consoleURL = "https://admin.example:9443"
	viewer     = "+46701740606"
	stranger   = "+46701740607"
)

// place is a console in front of a whole provider.
type place struct {
	*testworld.World
	*console.Console
	t   *testing.T
	cfg console.Config
}

func newPlace(t *testing.T) *place {
	t.Helper()
	w := testworld.New(t)
	p := &place{World: w, t: t, cfg: console.Config{
		URL:    consoleURL,
		Issuer: testworld.Issuer,
		Operators: []console.Operator{
			{Number: testworld.ParseNumber(t, testworld.Number), Role: console.Admin},
			{Number: testworld.ParseNumber(t, viewer), Role: console.Viewer},
		},
		Master:     testworld.Master(),
		Sessions:   w.Store,
		Bindings:   w.Store,
		Keys:       w.Store,
		Audit:      audit.Log(slog.New(slog.NewJSONHandler(w.Log, nil)), nil),
		Log:        slog.New(slog.DiscardHandler),
		Algorithms: testworld.Ring().Algorithms(),
		Verify:     testworld.Ring().Verify,
		Endpoints:  w.Handler,
	}}
	p.open()
	return p
}

// open makes the console anew, as a restart with another configuration does.
func (p *place) open(change ...func(*console.Config)) {
	p.t.Helper()
	for _, c := range change {
		c(&p.cfg)
	}
	var err error
	if p.Console, err = console.New(p.cfg); err != nil {
		p.t.Fatal(err)
	}
	if err := p.Clients.AddOwn(p.Console.Client()); err != nil {
		p.t.Fatal(err)
	}
}

func request(target string, cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", consoleURL+target, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// begin begins a sign-in, and returns the authorization request and the flow's cookie.
func (p *place) begin() (url.Values, *http.Cookie) {
	p.t.Helper()
	w := httptest.NewRecorder()
	if err := p.Begin(w, request(console.PathSignIn)); err != nil {
		p.t.Fatal(err)
	}
	to, err := w.Result().Location()
	if err != nil {
		p.t.Fatal(err)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || !cookies[0].Secure || !strings.HasPrefix(cookies[0].Name, "__Host-") || cookies[0].SameSite != http.SameSiteLaxMode {
		p.t.Fatalf("the flow's cookies are %v", cookies)
	}
	return to.Query(), cookies[0]
}

// callback takes a response, and returns the session's cookie.
func (p *place) callback(query url.Values, cookies ...*http.Cookie) (*http.Cookie, error) {
	w := httptest.NewRecorder()
	err := p.Console.Callback(w, request(console.PathCallback+"?"+query.Encode(), cookies...))
	for _, c := range w.Result().Cookies() {
		if c.Name == "__Host-calleridp_console" {
			return c, err
		}
	}
	return nil, err
}

// response returns what the issuer sends the browser back with after an approval.
func (p *place) response(v url.Values, profile truecaller.Profile) url.Values {
	p.t.Helper()
	finished, _ := p.SignInAs(v, profile)
	back, err := url.Parse(finished.Response.URL())
	if err != nil || !strings.HasPrefix(finished.Response.URL(), consoleURL+console.PathCallback+"?") {
		p.t.Fatalf("the issuer sends the browser to %q", finished.Response.URL())
	}
	return back.Query()
}

// signIn signs in to the console.
func (p *place) signIn(profile truecaller.Profile) (*http.Cookie, error) {
	p.t.Helper()
	v, flow := p.begin()
	return p.callback(p.response(v, profile), flow)
}

// session returns the session of a cookie.
func (p *place) session(cookie *http.Cookie) (console.Session, *http.Cookie, error) {
	w := httptest.NewRecorder()
	s, err := p.Console.Session(w, request(console.PathHome, cookie))
	if renewed := w.Result().Cookies(); len(renewed) > 0 {
		return s, renewed[0], err
	}
	return s, cookie, err
}

func TestOperatorsSignIn(t *testing.T) {
	p := newPlace(t)
	cookie, err := p.signIn(testworld.Profile(t, testworld.Number))
	if err != nil {
		t.Fatal(err)
	}
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("the session's cookie is %v", cookie)
	}
	s, _, err := p.session(cookie)
	if err != nil || s.Role != console.Admin || !slices.Equal(s.Scopes, apikey.Scopes) || !strings.HasPrefix(s.Who, "console sub ") || strings.Contains(s.Name, "7017") {
		t.Fatalf("got %+v, %v; want an admin with every scope", s, err)
	}
	if !strings.Contains(p.Log.Text(), `"msg":"console.signed_in"`) || !strings.Contains(p.Log.Text(), `"operator":"`+s.Who+`"`) {
		t.Error("the audit does not say who signed in")
	}
	cookie, err = p.signIn(testworld.Profile(t, viewer))
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := p.session(cookie)
	if err != nil || other.Role != console.Viewer || len(other.Scopes) == 0 || slices.ContainsFunc(other.Scopes, func(s apikey.Scope) bool { return !strings.HasSuffix(string(s), ":read") }) {
		t.Errorf("got %+v, %v; want a viewer who may only read", other, err)
	}
	if s.IsToken(other.Token) || !s.IsToken(s.Token) || s.IsToken("") {
		t.Error("the token of a form is not that of its session alone")
	}
}

// Every cookie of the console is bound to its host, and no script and no plain request has it.
// That of a session is sent by pages of the console alone, and the browser drops it when the
// session has ended.
func TestCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		check := func(what string, w *httptest.ResponseRecorder, name string, site http.SameSite, life int) {
			t.Helper()
			for _, c := range w.Result().Cookies() {
				if c.Name != "__Host-"+name {
					continue
				}
				if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != site || c.MaxAge != life {
					t.Errorf("%s: the cookie is %v, want SameSite %d and %d s", what, c, site, life)
				}
				return
			}
			t.Errorf("%s: no cookie __Host-%s among %v", what, name, w.Result().Cookies())
		}
		const flow, session = "calleridp_console_flow", "calleridp_console"
		idle := int(console.IdleAfter / time.Second)

		w := httptest.NewRecorder()
		if err := p.Begin(w, request(console.PathSignIn)); err != nil {
			t.Fatal(err)
		}
		check("begun", w, flow, http.SameSiteLaxMode, 600)
		began, err := w.Result().Location()
		if err != nil {
			t.Fatal(err)
		}
		answer := p.response(began.Query(), testworld.Profile(t, testworld.Number))
		back := httptest.NewRecorder()
		if err := p.Callback(back, request(console.PathCallback+"?"+answer.Encode(), w.Result().Cookies()...)); err != nil {
			t.Fatal(err)
		}
		check("signed in", back, flow, http.SameSiteLaxMode, -1)
		check("signed in", back, session, http.SameSiteStrictMode, idle)

		k, _ := apikey.New("laptop", apikey.Scopes, "test", time.Now(), time.Hour)
		if err := p.Store.CreateAPIKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		w = httptest.NewRecorder()
		if err := p.UseKey(w, request(console.PathSignIn), k); err != nil {
			t.Fatal(err)
		}
		check("with a key", w, session, http.SameSiteStrictMode, idle)
		cookie := w.Result().Cookies()[0]
		time.Sleep(20 * time.Minute)
		w = httptest.NewRecorder()
		s, err := p.Session(w, request(console.PathHome, cookie))
		if err != nil {
			t.Fatal(err)
		}
		check("renewed", w, session, http.SameSiteStrictMode, idle)
		w = httptest.NewRecorder()
		if err := p.SignOut(w, request(console.PathHome, cookie), s); err != nil {
			t.Fatal(err)
		}
		check("signed out", w, session, http.SameSiteStrictMode, -1)
		// A cookie without the prefix, which a page on another host could have set, is none.
		if _, err := p.Session(httptest.NewRecorder(), request(console.PathHome, &http.Cookie{Name: session, Value: cookie.Value})); !errors.Is(err, console.ErrSignedOut) {
			t.Errorf("a cookie without __Host-: %v, want ErrSignedOut", err)
		}
	})
}

func TestUsersAreKeptOut(t *testing.T) {
	p := newPlace(t)
	if cookie, err := p.signIn(testworld.Profile(t, stranger)); !errors.Is(err, console.ErrNotListed) || cookie != nil {
		t.Errorf("a user who is not on the list: %v, %v", cookie, err)
	}
	if _, err := p.signIn(testworld.Profile(t, testworld.Number)); err != nil {
		t.Fatal(err)
	}
	// The number changes hands.
	cookie, err := p.signIn(testworld.AnotherProfile(t, testworld.Number))
	if !errors.Is(err, console.ErrAnotherUser) || cookie != nil {
		t.Fatalf("another user with the operator's number: %v, %v", cookie, err)
	}
	if log := p.Log.Text(); !strings.Contains(log, `"reason":"another_user"`) || !strings.Contains(log, `"reason":"not_listed"`) {
		t.Error("the audit does not say who was refused")
	}
	// Until the configuration names them.
	person, err := p.Store.PersonOf(t.Context(), testworld.ParseNumber(t, testworld.Number))
	if err != nil {
		t.Fatal(err)
	}
	p.open(func(c *console.Config) { c.Subs = []string{person.Sub} })
	if _, err := p.signIn(testworld.AnotherProfile(t, testworld.Number)); err != nil {
		t.Errorf("a user whom the configuration names: %v", err)
	}
}

// A response counts in the browser that began the sign-in, once, and from this issuer.
func TestForgedResponses(t *testing.T) {
	p := newPlace(t)
	v, flow := p.begin()
	good := p.response(v, testworld.Profile(t, testworld.Number))
	other, otherFlow := p.begin()
	for what, forge := range map[string]func(url.Values) *http.Cookie{
		"no cookie":      func(url.Values) *http.Cookie { return nil },
		"another flow":   func(url.Values) *http.Cookie { return otherFlow },
		"another state":  func(q url.Values) *http.Cookie { q.Set("state", other.Get("state")); return flow },
		"no state":       func(q url.Values) *http.Cookie { q.Del("state"); return flow },
		"another issuer": func(q url.Values) *http.Cookie { q.Set("iss", "https://evil.example"); return flow },
		"no issuer":      func(q url.Values) *http.Cookie { q.Del("iss"); return flow },
		"a made-up code": func(q url.Values) *http.Cookie { q.Set("code", strings.Repeat("a", 43)); return flow },
		"a cookie of our own making": func(url.Values) *http.Cookie {
			return &http.Cookie{Name: flow.Name, Value: strings.Repeat("A", len(flow.Value))}
		},
		"the code of the attacker": func(q url.Values) *http.Cookie { // with the state of the victim
			q.Set("code", p.response(other, testworld.Profile(t, viewer)).Get("code"))
			return flow
		},
	} {
		q := url.Values{}
		for name := range good {
			q.Set(name, good.Get(name))
		}
		var cookies []*http.Cookie
		if c := forge(q); c != nil {
			cookies = append(cookies, c)
		}
		if cookie, err := p.callback(q, cookies...); !errors.Is(err, console.ErrFlow) || cookie != nil {
			t.Errorf("%s: got %v, %v; want ErrFlow", what, cookie, err)
		}
	}
	if cookie, err := p.callback(url.Values{"error": {"access_denied"}, "state": {v.Get("state")}, "iss": {testworld.Issuer}}, flow); !errors.Is(err, console.ErrDeclined) || cookie != nil {
		t.Errorf("a declined sign-in: got %v, %v; want ErrDeclined", cookie, err)
	}
	if _, err := p.callback(good, flow); err != nil {
		t.Fatalf("the response itself: %v", err)
	}
	if cookie, err := p.callback(good, flow); !errors.Is(err, console.ErrFlow) || cookie != nil {
		t.Errorf("the response a second time: got %v, %v; want ErrFlow", cookie, err)
	}
	if cookie, err := p.callback(good, &http.Cookie{Name: "__Host-calleridp_console", Value: flow.Value}); cookie != nil || err == nil {
		t.Error("a flow opens a session")
	}
	if _, _, err := p.session(&http.Cookie{Name: "__Host-calleridp_console", Value: flow.Value}); !errors.Is(err, console.ErrSignedOut) {
		t.Errorf("the flow's cookie as a session: %v", err)
	}
}

// The user signs in anew: a session that the browser has at the issuer does not do, also if
// an attacker takes prompt=login out of the request.
func TestEarlierSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		_, session := p.SignIn(testworld.AuthRequest("app"), testworld.Number)
		time.Sleep(time.Hour)
		v, flow := p.begin()
		if v.Get("prompt") != "login" {
			t.Fatalf("the authorization request is %v", v)
		}
		v.Del("prompt")
		answer := p.Get("/authorize?"+v.Encode(), session)
		_, query := answer.Redirect()
		if query.Get("code") == "" {
			t.Fatalf("got %v, want a code", answer)
		}
		if cookie, err := p.callback(query, flow); err == nil || cookie != nil {
			t.Errorf("a sign-in of an hour ago opens the console: %v", cookie)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		cookie := p.mustSignIn()
		time.Sleep(29 * time.Minute)
		_, renewed, err := p.session(cookie)
		if err != nil || renewed.Value == cookie.Value {
			t.Fatalf("after 29 minutes: %v, renewed %v", err, renewed.Value != cookie.Value)
		}
		time.Sleep(2 * time.Minute)
		if _, _, err := p.session(cookie); !errors.Is(err, console.ErrSignedOut) {
			t.Errorf("the cookie from 31 minutes ago: %v, want ErrSignedOut", err)
		}
		for range 17 { // eight hours in all
			if _, renewed, err = p.session(renewed); err != nil {
				t.Fatal(err)
			}
			time.Sleep(28 * time.Minute)
		}
		if _, _, err := p.session(renewed); !errors.Is(err, console.ErrSignedOut) {
			t.Errorf("after eight hours: %v, want ErrSignedOut", err)
		}

		// Signing out ends each copy, and the session at the issuer.
		cookie = p.mustSignIn()
		s, _, err := p.session(cookie)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.SignOut(httptest.NewRecorder(), request(console.PathHome, cookie), s); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.session(cookie); !errors.Is(err, console.ErrSignedOut) {
			t.Errorf("after signing out: %v, want ErrSignedOut", err)
		}

		// So does taking the number off the list, at a reload and at a restart.
		cookie = p.mustSignIn()
		p.SetOperators(p.cfg.Operators[1:], nil)
		if _, _, err := p.session(cookie); !errors.Is(err, console.ErrSignedOut) {
			t.Errorf("off the list, after a reload: %v, want ErrSignedOut", err)
		}
		p.SetOperators(p.cfg.Operators, nil)
		if _, _, err := p.session(cookie); err != nil || !p.HasOperators(p.cfg.Operators, nil) || p.HasOperators(p.cfg.Operators[1:], nil) {
			t.Errorf("on the list again: %v", err)
		}
		p.open(func(c *console.Config) { c.Operators = c.Operators[1:] })
		if _, _, err := p.session(cookie); !errors.Is(err, console.ErrSignedOut) {
			t.Errorf("off the list: %v, want ErrSignedOut", err)
		}
	})
}

func (p *place) mustSignIn() *http.Cookie {
	p.t.Helper()
	cookie, err := p.signIn(testworld.Profile(p.t, testworld.Number))
	if err != nil {
		p.t.Fatal(err)
	}
	return cookie
}

func TestAPIKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		k, _ := apikey.New("laptop", []apikey.Scope{apikey.ClientsRead}, "test", time.Now(), time.Hour)
		for what, end := range map[string]func(){
			"expired": func() { // while in use
				for range 3 {
					time.Sleep(20 * time.Minute)
				}
			},
			"removed": func() {
				if err := p.Store.DeleteAPIKey(t.Context(), k.ID); err != nil {
					t.Fatal(err)
				}
			},
		} {
			k.Created, k.Expires = time.Now(), time.Now().Add(59*time.Minute)
			if err := p.Store.CreateAPIKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := p.UseKey(w, request(console.PathSignIn), k); err != nil {
				t.Fatal(err)
			}
			s, cookie, err := p.session(w.Result().Cookies()[0])
			if err != nil || s.Role != console.Key || !slices.Equal(s.Scopes, k.Scopes) || !s.Until.Equal(k.Expires) || s.Who != "console key laptop ("+k.ID+")" {
				t.Fatalf("got %+v, %v; want what the key may do", s, err)
			}
			end()
			if _, _, err := p.session(cookie); !errors.Is(err, console.ErrSignedOut) {
				t.Errorf("%s: %v, want ErrSignedOut", what, err)
			}
		}
	})
}

// An attacker with the master key, who knows what is no secret (the ID of an API key, the sid
// and sub of an operator), forges no session and extends none: that needs a hash which only
// the store has.
func TestThreat_MasterKeyForgesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		keyed := func(name string, scopes ...apikey.Scope) (apikey.Key, *http.Cookie) {
			k, _ := apikey.New(name, scopes, "test", time.Now(), 24*time.Hour)
			if err := p.Store.CreateAPIKey(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := p.UseKey(w, request(console.PathSignIn), k); err != nil {
				t.Fatal(err)
			}
			return k, w.Result().Cookies()[0]
		}
		strong, victim := keyed("strong", apikey.ClientsWrite)
		_, own := keyed("weak", apikey.StatusRead)
		operator := p.mustSignIn()
		other, err := p.signIn(testworld.Profile(t, viewer))
		if err != nil {
			t.Fatal(err)
		}
		opened := func(c *http.Cookie) map[string]any {
			said := map[string]any{}
			if err := endpoint.Unseal(testworld.Master(), keys.PurposeConsoleSession, c.Value, &said); err != nil {
				t.Fatal(err)
			}
			return said
		}
		// forge seals what a cookie says, changed, and returns what the console makes of it.
		forge := func(c *http.Cookie, change func(map[string]any)) error {
			said := opened(c)
			for _, when := range []string{"Began", "Seen"} { // whole seconds, as they were
				said[when] = int64(said[when].(float64))
			}
			change(said)
			sealed, err := endpoint.Seal(testworld.Master(), keys.PurposeConsoleSession, said)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = p.session(&http.Cookie{Name: c.Name, Value: sealed})
			return err
		}
		for _, c := range []*http.Cookie{victim, own, operator, other} {
			if err := forge(c, func(map[string]any) {}); err != nil {
				t.Fatalf("a cookie as it was: %v", err)
			}
		}
		admin := opened(operator)
		for what, err := range map[string]error{
			"another key's ID":          forge(own, func(b map[string]any) { b["Key"] = strong.ID }),
			"no bond":                   forge(victim, func(b map[string]any) { delete(b, "Bond") }),
			"an empty bond":             forge(victim, func(b map[string]any) { b["Bond"] = "" }),
			"the bond of another":       forge(victim, func(b map[string]any) { b["Bond"] = opened(own)["Bond"] }),
			"a later beginning":         forge(victim, func(b map[string]any) { b["Began"] = time.Now().Add(time.Hour).Unix() }),
			"seen later":                forge(victim, func(b map[string]any) { b["Seen"] = time.Now().Add(time.Hour).Unix() }),
			"an operator's sid and sub": forge(other, func(b map[string]any) { b["SID"], b["Sub"], b["Number"] = admin["SID"], admin["Sub"], admin["Number"] }),
			"another operator's number": forge(other, func(b map[string]any) { b["Number"] = admin["Number"] }),
			"an operator without bond":  forge(operator, func(b map[string]any) { delete(b, "Bond") }),
		} {
			if !errors.Is(err, console.ErrSignedOut) {
				t.Errorf("%s: got %v, want ErrSignedOut", what, err)
			}
		}
		time.Sleep(console.IdleAfter)
		for what, c := range map[string]*http.Cookie{"an API key": victim, "an operator": operator} {
			if err := forge(c, func(b map[string]any) { b["Seen"] = time.Now().Unix() }); !errors.Is(err, console.ErrSignedOut) {
				t.Errorf("the expired cookie of %s, seen again: got %v, want ErrSignedOut", what, err)
			}
		}
	})
}
