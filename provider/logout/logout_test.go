// SPDX-License-Identifier: Apache-2.0

package logout_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/provider/authorize"
	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/session"
)

func TestLogoutWithHint(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			w := testworld.New(t)
			got, session := w.Tokens("app", testworld.AllScopes)
			v := url.Values{
				"id_token_hint":            {got.ID},
				"post_logout_redirect_uri": {"https://app.example/bye"},
				"state":                    {"a b"},
			}
			var a testworld.Response
			if method == "GET" {
				a = w.Get("/logout?"+v.Encode(), session)
			} else {
				a = w.Post("/logout", v, testworld.Cookie(session))
			}
			a.WantRedirect(t, "signing out", "https://app.example/bye?state=a+b")
			wantSignedOut(t, w, a, session)
			// Offline access outlives the session.
			w.Refresh("app", got.Refresh).WantStatus(t, "refreshing afterwards", 200)
		})
	}
}

// wantSignedOut fails the test unless the response cleared the cookie of the
// session and the session has ended.
func wantSignedOut(t *testing.T, w *testworld.World, a testworld.Response, session *http.Cookie) {
	t.Helper()
	if !a.ClearsSession() {
		t.Errorf("signing out: got Set-Cookie %q, want the session cookie deleted", a.Header.Get("Set-Cookie"))
	}
	if w.SignedIn(session) {
		t.Error("signing out: got a live session, want it ended")
	}
}

// Tokens that belong to the session end with it.
func TestLogoutEndsTokens(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	w.Get("/logout?id_token_hint="+got.ID, session)
	w.Userinfo(got.Access).WantStatus(t, "userinfo after signing out", 401)
}

// A broker sends the request itself, without the browser's cookie. The hint counts
// while the session that it names is live, and not afterwards.
func TestLogoutWithoutCookie(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("pair", "openid")
	a := w.Get("/logout?state=x&id_token_hint=" + got.ID)
	if a.StatusCode < 200 || a.StatusCode > 399 || w.SignedIn(session) {
		t.Errorf("a hint without a cookie: got %v and a live session %v, want success and none", a, w.SignedIn(session))
	}
	_, next := w.Tokens("pair", "openid")
	if a := w.Get("/logout?id_token_hint=" + got.ID); a.StatusCode != 303 || !w.SignedIn(next) {
		t.Errorf("the hint of an ended session: got %v and the new session live %v, want 303 and true",
			a, w.SignedIn(next))
	}
	// A form of another site arrives without the cookie, too, so there may be one.
	w.Post("/logout", url.Values{"id_token_hint": {got.ID}}).WantPage(t, "the same by POST", "confirm")
}

func TestLogoutPrompts(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	others, _ := w.TokensOf(testworld.OtherNumber, "app", "openid")
	for what, row := range map[string]struct{ query, client, action string }{
		"nothing":                           {"", "", ""},
		"a state only":                      {"state=x", "", ""},
		"a client":                          {"client_id=app", "App", ""},
		"a client and its redirect URI":     {"client_id=app&post_logout_redirect_uri=https://app.example/bye", "App", "https://app.example"},
		"a redirect URI without a client":   {"post_logout_redirect_uri=https://app.example/bye", "", ""},
		"a state that goes nowhere":         {"client_id=app&state=%ff", "App", ""},
		"any redirect URI without a client": {"post_logout_redirect_uri=https://evil.example/", "", ""},
		"another user's hint":               {"id_token_hint=" + others.ID, "App", ""},
		"an empty hint":                     {"id_token_hint=&client_id=app", "App", ""},
		"a logout_hint of the user":         {"client_id=app&logout_hint=" + url.QueryEscape(testworld.Number), "App", ""},
		"a logout_hint of the session":      {"client_id=app&logout_hint=" + got.Claims(t)["sid"].(string), "App", ""},
	} {
		t.Run(what, func(t *testing.T) {
			a := w.Get("/logout?"+row.query+"&ui_locales=sv", session)
			view := a.WantPage(t, "logout request", "confirm")
			name := ""
			if c, ok := view["Client"].(map[string]any); ok {
				name, _ = c["Name"].(string)
			}
			if !reflect.DeepEqual(view["UILocales"], []any{"sv"}) {
				t.Errorf("got %v, want the page in sv", a)
			}
			if view["Request"] == "" || name != row.client || view["FormAction"] != row.action || a.ClearsSession() {
				t.Errorf("got %v, want the client %q, the form action %q and the session untouched",
					a, row.client, row.action)
			}
		})
	}
	if !w.SignedIn(session) {
		t.Fatal("after the prompts: got the session ended, want it live")
	}

	sealed := signOutRequest(t, w, session, "client_id=app&state=s&post_logout_redirect_uri=https://app.example/bye")
	confirm := func(sealed string, change ...testworld.Change) testworld.Response {
		return w.Post("/logout/confirm", url.Values{"request": {sealed}}, append(change, testworld.Cookie(session))...)
	}
	signIn := w.Submission(w.Authorize("app"), "").Request
	for what, a := range map[string]testworld.Response{
		"another site":           confirm(sealed, testworld.CrossSite),
		"another origin":         confirm(sealed, testworld.Header("Origin", "https://evil.example")),
		"nothing":                confirm(""),
		"nonsense":               confirm("nonsense"),
		"an expired prompt":      confirm(testworld.Aged(t, keys.PurposeLogoutRequest, sealed)),
		"a sealed sign-in":       confirm(signIn),
		"GET instead of a click": w.Get("/logout/confirm?request="+sealed, session),
	} {
		t.Run(what, func(t *testing.T) {
			page, view := a.Page()
			if page != "error" || a.StatusCode < 400 || !w.SignedIn(session) {
				t.Errorf("confirming: got %v and the session live %v, want an error page and true",
					a, w.SignedIn(session))
			}
			if expired := what == "an expired prompt"; (view["Kind"] == "request_expired") != expired {
				t.Errorf("confirming: got %v, want request_expired %v", a, expired)
			}
		})
	}
	sameOrigin := testworld.Header("Sec-Fetch-Site", "same-origin")
	a := confirm(sealed, testworld.Header("Origin", testworld.Issuer), sameOrigin)
	a.WantRedirect(t, "confirming", "https://app.example/bye?state=s")
	wantSignedOut(t, w, a, session)
	confirm(sealed).WantStatus(t, "confirming twice", 303)
}

// signOutRequest returns the sealed request of the sign-out prompt.
func signOutRequest(t *testing.T, w *testworld.World, session *http.Cookie, query string) string {
	t.Helper()
	return testworld.SealedRequest(t, w.Get("/logout?"+query, session), "confirm")
}

func TestLogoutRefuses(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	hint := got.ID
	dot := strings.LastIndexByte(hint, '.')
	for what, row := range map[string]struct{ query, kind string }{
		"a malformed hint":                {"id_token_hint=nonsense&post_logout_redirect_uri=https://app.example/bye", "bad_request"},
		"a malformed hint and a client":   {"id_token_hint=nonsense&client_id=app", "bad_request"},
		"a hint with a changed signature": {"id_token_hint=" + hint[:dot+1] + "AAAA" + hint[dot+5:], "bad_request"},
		"a hint without signature":        {"id_token_hint=" + hint[:dot+1], "bad_request"},
		"a hint with another payload":     {"id_token_hint=" + strings.Replace(hint, ".", ".e30", 1), "bad_request"},
		"an access token as a hint":       {"id_token_hint=" + got.Access, "bad_request"},
		"two hints":                       {"id_token_hint=" + hint + "&id_token_hint=" + hint, "bad_request"},
		"two logout_hints":                {"logout_hint=a&logout_hint=b", "bad_request"},

		"not registered, by client_id": {"client_id=app&post_logout_redirect_uri=https://evil.example/", "redirect_uri"},
		"not registered, by hint":      {"id_token_hint=" + hint + "&post_logout_redirect_uri=https://app.example/bye/", "redirect_uri"},
		"another client's":             {"client_id=pair&post_logout_redirect_uri=https://app.example/bye", "redirect_uri"},
		"the redirect URI is not it":   {"client_id=app&post_logout_redirect_uri=https://app.example/cb", "redirect_uri"},
		"unknown client":               {"client_id=nobody", "unknown_client"},
		"client_id is not the hint's":  {"client_id=old&id_token_hint=" + hint, "bad_request"},
		"twice":                        {"state=1&state=2", "bad_request"},
		"a state that is not UTF-8":    {"client_id=app&post_logout_redirect_uri=https://app.example/bye&state=%ff", "bad_request"},
	} {
		t.Run(what, func(t *testing.T) {
			a := w.Get("/logout?"+row.query, session)
			a.WantErrorPage(t, "logout request", 400, row.kind)
			if to := a.Header.Get("Location"); to != "" || !w.SignedIn(session) {
				t.Errorf("got a redirect to %q and the session live %v, want none and true", to, w.SignedIn(session))
			}
		})
	}
}

// What express-openid-connect and Spring send by default can be registered: an
// address without a path, which equals the one with a slash.
func TestLogoutToAnAddressWithoutAPath(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(client.Client{
		ID:                     "express",
		Name:                   "Express",
		RedirectURIs:           []string{"http://localhost:9602/callback"},
		PostLogoutRedirectURIs: []string{"http://localhost:9602"},
	})
	for _, uri := range []string{"http://localhost:9602", "http://localhost:9602/"} {
		a := w.Get("/logout?client_id=express&post_logout_redirect_uri=" + url.QueryEscape(uri))
		view := a.WantPage(t, uri, "confirm")
		w.Post("/logout/confirm", url.Values{"request": {view["Request"].(string)}}).WantRedirect(t, uri, uri)
	}
	w.Get("/logout?client_id=express&post_logout_redirect_uri=http://localhost:9602/x").WantErrorPage(t, "a path", 400, "redirect_uri")
}

// After prompt=login the client's ID token names a session that was replaced. It
// is the same user, so there is no prompt.
func TestLogoutAfterTheSessionWasReplaced(t *testing.T) {
	w := testworld.New(t)
	got, _ := w.Tokens("app", "openid")
	_, session := w.Tokens("app", "openid")
	if a := w.Get("/logout?id_token_hint="+got.ID, session); a.StatusCode != 303 || w.SignedIn(session) {
		t.Errorf("the hint of the earlier session: got %v and a live session %v, want 303 and none",
			a, w.SignedIn(session))
	}
}

func TestSignedOutPage(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	w.Get("/logout?ui_locales=sv+en&id_token_hint="+got.ID, session).WantRedirect(t, "signing out", "/logout/done?client_id=app&ui_locales=sv+en")
	if view := w.Get("/logout/done?client_id=app&ui_locales=sv+en").WantPage(t, "GET", "signedout"); !reflect.DeepEqual(view["UILocales"], []any{"sv", "en"}) {
		t.Errorf("languages: got %v, want sv and en", view["UILocales"])
	}
	for target, name := range map[string]string{
		"/logout/done?client_id=app":       "App",
		"/logout/done":                     "",
		"/logout/done?client_id=nobody":    "",
		"/logout/done?x=%zz&client_id=app": "App",
	} {
		t.Run(target, func(t *testing.T) {
			view := w.Get(target).WantPage(t, "GET", "signedout")
			if c, _ := view["Client"].(map[string]any); c["Name"] != name {
				t.Errorf("client: got %v, want %q", c["Name"], name)
			}
		})
	}
	w.Do(httptest.NewRequest("POST", testworld.Issuer+"/logout/done", nil)).WantStatus(t, "POST", 405)
}

// A HEAD request has no effect: a link checker, or a proxy that looks ahead, signs no
// user out, also where GET would without asking.
func TestLogoutHead(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	for what, target := range map[string]string{"nothing": "/logout", "a hint": "/logout?id_token_hint=" + got.ID} {
		w.WantHeadWithoutEffect(target, session)
		r := httptest.NewRequest("HEAD", testworld.Issuer+target, nil)
		if a := w.Do(r); a.StatusCode != 200 || a.Text != "" || !w.SignedIn(session) {
			t.Errorf("%s, without the cookie: got %v and the session live %v, want 200 and true", what, a, w.SignedIn(session))
		}
		r.AddCookie(session)
		if a := w.Do(r); a.StatusCode != 200 || a.Text != "" || a.ClearsSession() || !w.SignedIn(session) {
			t.Errorf("%s: got %v and the session live %v, want 200, the cookie kept and true", what, a, w.SignedIn(session))
		}
	}
}

// expired is a session store that has not swept its sessions, which have all expired
// while is is set.
type expired struct {
	session.Store
	is *atomic.Bool
}

func (e expired) Session(ctx context.Context, id string) (session.Session, error) {
	s, err := e.Store.Session(ctx, id)
	if e.is.Load() {
		s.Expires = time.Now()
	}
	return s, err
}

// A hint ends the session that it names only if that is its own user's, whatever else
// it says; and only while the session is live.
func TestThreat_AHintEndsItsOwnUsersSessionOnly(t *testing.T) {
	var over atomic.Bool
	w := testworld.New(t, func(c *testworld.Config) { c.Provider.Sessions = expired{c.Provider.Sessions, &over} })
	got, session := w.Tokens("app", "openid")
	others, _ := w.TokensOf(testworld.OtherNumber, "app", "openid")
	claims := got.Claims(t)
	claims["sub"] = others.Claims(t)["sub"]
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := testworld.Ring().Sign("RS256", "JWT", payload)
	if err != nil {
		t.Fatal(err)
	}
	w.Post("/logout", url.Values{"id_token_hint": {mixed}}).WantPage(t, "another user's sub, by POST", "confirm")
	if a := w.Get("/logout?id_token_hint=" + mixed); a.StatusCode != 303 || !w.SignedIn(session) {
		t.Errorf("another user's sub: got %v and the session live %v, want 303 and true", a, w.SignedIn(session))
	}
	over.Store(true)
	w.Log.Reset()
	w.Get("/logout?id_token_hint="+got.ID).WantStatus(t, "the hint of an expired session", 303)
	w.Post("/logout", url.Values{"id_token_hint": {got.ID}}).WantPage(t, "the hint of an expired session, by POST", "confirm")
	w.WantNotLogged("session.ended")
	over.Store(false)
	w.Get("/logout?id_token_hint="+got.ID).WantStatus(t, "the hint of a live session", 303)
	w.WantLogged("session.ended")
}

// A native sign-in has no session: signing out prompts the user and keeps the
// application's tokens.
func TestNativeGrantsHaveNoSession(t *testing.T) {
	w, _ := testworld.NewNative(t)
	out := w.NativeTokens("native", "scope", "openid phone") // without offline access, which would outlive a session
	hint := url.Values{"id_token_hint": {out.ID}, "client_id": {"native"}}
	a := w.Get("/logout?" + hint.Encode())
	if page, _ := a.Page(); page == "error" {
		t.Errorf("a hint without a sid: got %v, want no error page", a)
	}
	w.Post("/logout", hint).WantStatus(t, "the same by POST", 200)
	w.Userinfo(out.Access).WantStatus(t, "userinfo after signing out", 200)
}

// unreadable is a session store that cannot be read while broken is set; only not
// by a cookie's secret while cookies is set; nor changed while kept is set.
type unreadable struct {
	session.Store
	broken, cookies, kept *atomic.Bool
}

func (u unreadable) Session(ctx context.Context, id string) (session.Session, error) {
	if u.broken.Load() {
		return session.Session{}, testworld.ErrDisk
	}
	return u.Store.Session(ctx, id)
}

func (u unreadable) SessionBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	if u.broken.Load() || u.cookies.Load() {
		return session.Session{}, testworld.ErrDisk
	}
	return u.Store.SessionBySecret(ctx, secret)
}

func (u unreadable) EndSession(ctx context.Context, id string) (session.Session, error) {
	if u.broken.Load() || u.kept.Load() {
		return session.Session{}, testworld.ErrDisk
	}
	return u.Store.EndSession(ctx, id)
}

// A user who is told that they are signed out is: our own failure says so, and
// leaves the cookie.
func TestLogoutThatFails(t *testing.T) {
	var broken, cookies, kept atomic.Bool
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.Sessions = unreadable{c.Provider.Sessions, &broken, &cookies, &kept}
	})
	got, session := w.Tokens("app", "openid")
	sealed := signOutRequest(t, w, session, "client_id=app")
	broken.Store(true)
	for what, a := range map[string]testworld.Response{
		"with a cookie":    w.Get("/logout?id_token_hint="+got.ID, session),
		"without a hint":   w.Get("/logout", session),
		"without a cookie": w.Get("/logout?id_token_hint=" + got.ID),
		"confirming":       w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session)),
	} {
		if _, view := a.Page(); a.StatusCode != 500 || view["Kind"] != "internal" || a.ClearsSession() {
			t.Errorf("%s: got %v, want the error page internal, and the cookie kept", what, a)
		}
	}
	broken.Store(false)
	cookies.Store(true)
	w.Get("/logout?id_token_hint="+got.ID, session).WantStatus(t, "a cookie that cannot be looked up", 500)
	cookies.Store(false)
	kept.Store(true)
	for what, a := range map[string]testworld.Response{
		"with a cookie":    w.Get("/logout?id_token_hint="+got.ID, session),
		"without a cookie": w.Get("/logout?id_token_hint=" + got.ID),
		"confirming":       w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session)),
	} {
		if a.WantErrorPage(t, what+" that does not end", 500, "internal"); a.ClearsSession() {
			t.Errorf("%s that does not end: got %v, want the cookie kept", what, a.Header)
		}
	}
	kept.Store(false)
	if !w.SignedIn(session) {
		t.Error("the session has ended, want it live")
	}
}

// The audit names the session that ended, and nothing where none did.
func TestLogoutIsAudited(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	sid := w.Claim(session, "sid")
	w.Log.Reset()
	w.Get("/logout?id_token_hint="+got.ID, session).WantStatus(t, "signing out", 303)
	w.WantLogged(`"session.ended"`, `"sid":"`+sid+`"`, `"client":"app"`)
	w.Log.Reset()
	w.Get("/logout?id_token_hint="+got.ID).WantStatus(t, "signing out again", 303)
	w.WantNotLogged("session.ended")
}

// unswept is a session store that still has its sessions when they have expired.
type unswept struct{ session.Store }

func (u unswept) SessionBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	s, err := u.Store.SessionBySecret(ctx, secret)
	s.Expires = s.Created
	return s, err
}

// Confirming in a browser whose session has expired ends none, and the audit names none.
func TestLogoutOfAnExpiredSession(t *testing.T) {
	w := testworld.New(t, func(c *testworld.Config) {
		c.Provider.Sessions = unswept{c.Provider.Sessions}
	})
	_, session := w.Tokens("app", "openid")
	sealed := signOutRequest(t, w, session, "client_id=app")
	w.Log.Reset()
	a := w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(session))
	a.WantRedirect(t, "confirming", "/logout/done?client_id=app")
	if !a.ClearsSession() {
		t.Error("confirming: got the cookie kept, want it deleted")
	}
	w.WantNotLogged("session.ended")
}

// ahead is a session store whose sessions were all created by a fast clock.
type ahead struct{ session.Store }

func (a ahead) SessionBySecret(ctx context.Context, secret session.SecretHash) (session.Session, error) {
	s, err := a.Store.SessionBySecret(ctx, secret)
	s.Created = time.Now().Add(time.Hour)
	return s, err
}

func (a ahead) Session(ctx context.Context, id string) (session.Session, error) {
	s, err := a.Store.Session(ctx, id)
	s.Created = time.Now().Add(time.Hour)
	return s, err
}

// A session from a fast clock signs no one in now, but would later: signing out ends it,
// whichever way.
func TestThreat_SigningOutEndsASessionOfAFastClock(t *testing.T) {
	for what, signOut := range map[string]func(*testworld.World, string, *http.Cookie) testworld.Response{
		"a hint and the cookie": func(w *testworld.World, hint string, s *http.Cookie) testworld.Response {
			return w.Get("/logout?id_token_hint="+hint, s)
		},
		"a hint alone": func(w *testworld.World, hint string, s *http.Cookie) testworld.Response {
			return w.Get("/logout?id_token_hint=" + hint)
		},
		"the prompt": func(w *testworld.World, hint string, s *http.Cookie) testworld.Response {
			sealed := signOutRequest(t, w, s, "client_id=app")
			return w.Post("/logout/confirm", url.Values{"request": {sealed}}, testworld.Cookie(s))
		},
	} {
		w := testworld.New(t, func(c *testworld.Config) {
			c.Provider.Sessions = ahead{c.Provider.Sessions}
		})
		got, session := w.Tokens("app", "openid")
		w.Log.Reset()
		signOut(w, got.ID, session).WantRedirect(t, what, "/logout/done?client_id=app")
		w.WantLogged(`"session.ended"`, `"client":"app"`)
	}
}

// What cannot be read as a form is refused, and ends nothing.
func TestLogoutRefusesWhatIsNoForm(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	hint := url.Values{"id_token_hint": {got.ID}}
	w.Post("/logout", hint, testworld.Cookie(session), testworld.Header("Content-Type", "application/json")).
		WantErrorPage(t, "JSON", 400, "bad_request")
	hint.Set("x", strings.Repeat("x", 100_000))
	w.Post("/logout", hint, testworld.Cookie(session)).WantErrorPage(t, "a large form", 413, "too_large")
	if !w.SignedIn(session) {
		t.Error("afterwards: got the session ended, want it live")
	}
}

// A state without an address to return to goes nowhere.
func TestLogoutWithAStateAlone(t *testing.T) {
	w := testworld.New(t)
	got, session := w.Tokens("app", "openid")
	w.Get("/logout?state=x&id_token_hint="+got.ID, session).WantRedirect(t, "signing out", "/logout/done?client_id=app")
}

// While registered clients cannot be read, no page claims that there are none.
func TestLogoutWithoutTheRegistry(t *testing.T) {
	w := testworld.New(t)
	w.AddClient(testworld.App("brief"))
	sealed := signOutRequest(t, w, testworld.SessionCookie("none"), "client_id=brief")
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	w.Get("/logout?client_id=brief").WantErrorPage(t, "a logout request", 500, "internal")
	w.Get("/logout/done?client_id=brief").WantErrorPage(t, "the page afterwards", 500, "internal")
	w.Reopen(authorize.Reopening{Request: sealed}).WantErrorPage(t, "the prompt again", 500, "internal")
}
