// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/login"
	"calleridp/provider/session"
)

// Over HTTPS the cookies are bound to the host and to TLS; over plain HTTP they
// lose that and nothing else.
func TestCookies(t *testing.T) {
	for name, secure := range map[string]bool{"over HTTPS": true, "over HTTP": false} {
		t.Run(name, func(t *testing.T) {
			c := Cookies{Secure: secure}
			w := httptest.NewRecorder()
			browser := BrowserCookie{Secret: login.NewBrowserSecret(), Before: login.NewBrowserSecret()}
			c.SetBrowser(w, browser)
			state := session.BrowserState(strings.Repeat("s", 43))
			c.SetSession(w, "s", state, time.Now().Add(time.Hour))
			c.SetDevices(w, []string{"one", "two"}, time.Hour)
			r := httptest.NewRequest("GET", "/", nil)
			for _, cookie := range w.Result().Cookies() {
				if strings.HasPrefix(cookie.Name, "__Host-") != secure || cookie.Secure != secure {
					t.Errorf("got %+v, want Secure and __Host- %v", cookie, secure)
				}
				r.AddCookie(cookie)
				if cookie.Name == c.StateName() { // scripts read it, also in a frame within another site
					if cookie.HttpOnly || (cookie.SameSite == http.SameSiteNoneMode) != secure || cookie.Path != "/" || cookie.MaxAge <= 0 {
						t.Errorf("got %+v, want it readable, SameSite=None %v, the path / and a lifetime", cookie, secure)
					}
					continue
				}
				if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" ||
					cookie.Domain != "" || cookie.MaxAge <= 0 {
					t.Errorf("got %+v, want HttpOnly, SameSite=Lax, the path / alone and a lifetime", cookie)
				}
			}
			if c.State(r) != state {
				t.Errorf("state read back: got %q, want %q", c.State(r), state)
			}
			if c.Browser(r) != browser || c.Session(r) != "s" {
				t.Errorf("read back: got %q and %q, want b and s", c.Browser(r), c.Session(r))
			}
			if got := c.Devices(r); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("devices read back: got %v", got)
			}
			if other := (Cookies{Secure: !secure}); other.Session(r) != "" {
				t.Errorf("read as the other kind: got %q, want none", other.Session(r))
			}
			w = httptest.NewRecorder()
			c.ClearSession(w)
			for _, cookie := range w.Result().Cookies() {
				if cookie.MaxAge >= 0 || cookie.Value != "" {
					t.Errorf("clearing: got %+v, want an expired cookie without a value", cookie)
				}
			}
			if n := len(w.Result().Cookies()); n != 2 {
				t.Errorf("clearing: got %d cookies, want the session and its state", n)
			}
			r = httptest.NewRequest("GET", "/", nil)
			r.AddCookie(&http.Cookie{Name: c.name("calleridp_session"), Value: strings.Repeat("x", 4000)})
			if c.Session(r) != "" {
				t.Errorf("a cookie of 4000 bytes: got %d bytes, want none", len(c.Session(r)))
			}
		})
	}
}

// What the browser cookie may be, and what comes of it: another value is not ours, and
// is no secret.
func TestBrowserCookie(t *testing.T) {
	one, two := login.NewBrowserSecret(), login.NewBrowserSecret()
	c := Cookies{Secure: true}
	for value, want := range map[string]BrowserCookie{
		string(one):                           {Secret: one},
		string(one) + "." + string(two):       {Secret: one, Before: two},
		string(one) + ".":                     {Secret: one},
		string(one) + ".x":                    {Secret: one},
		string(one) + "." + string(two) + ".": {Secret: one},
		"." + string(two):                     {},
		"x." + string(two):                    {},
		string(one)[1:]:                       {},
		string(one) + "x":                     {},
		"!" + string(one)[1:]:                 {},
		"":                                    {},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-calleridp_browser", Value: value})
		if got := c.Browser(r); got != want {
			t.Errorf("%q: got %q and %q, want %q and %q", value, string(got.Secret), string(got.Before), string(want.Secret), string(want.Before))
		}
	}
	if got := c.Browser(httptest.NewRequest("GET", "/", nil)); got != (BrowserCookie{}) {
		t.Error("no cookie: got a secret, want none")
	}
	for what, row := range map[string]struct {
		cookie BrowserCookie
		want   []login.BrowserSecret
	}{
		"none": {BrowserCookie{}, nil},
		"one":  {BrowserCookie{Secret: one}, []login.BrowserSecret{one}},
		"both": {BrowserCookie{Secret: one, Before: two}, []login.BrowserSecret{one, two}},
	} {
		if got := row.cookie.Secrets(); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %d secrets, want %d", what, len(got), len(row.want))
		}
	}
	both := BrowserCookie{Secret: one, Before: two}
	if both.Renewed(one) != both || both.Renewed(two) != (BrowserCookie{Secret: two, Before: one}) {
		t.Error("renewed: want the same for the same secret, and the secret before for another")
	}
}

// How long each cookie lives, and that what clears one names it.
func TestCookieLifetimes(t *testing.T) {
	write := func(do func(http.ResponseWriter)) *http.Cookie {
		w := httptest.NewRecorder()
		do(w)
		return w.Result().Cookies()[0]
	}
	c, secret := Cookies{Secure: true}, login.NewBrowserSecret()
	for what, row := range map[string]struct {
		cookie *http.Cookie
		name   string
		age    int
	}{
		"the browser's":         {write(func(w http.ResponseWriter) { c.SetBrowser(w, BrowserCookie{Secret: secret}) }), "browser", 65 * 60},
		"the browser's, longer": {write(func(w http.ResponseWriter) { Cookies{true, time.Minute}.SetBrowser(w, BrowserCookie{Secret: secret}) }), "browser", 60},
		"the devices'":          {write(func(w http.ResponseWriter) { c.SetDevices(w, []string{"x"}, time.Hour) }), "device", 3600},
		"the language's":        {write(func(w http.ResponseWriter) { c.SetLanguage(w, "sv") }), "language", 365 * 24 * 3600},
		"a session that ends":   {write(func(w http.ResponseWriter) { c.SetSession(w, "s", "state", time.Now()) }), "session", 1},
		"clearing a session":    {write(c.ClearSession), "session", -1},
		"clearing the browser":  {write(c.ClearBrowser), "browser", -1},
		"clearing the devices":  {write(c.ClearDevices), "device", -1},
	} {
		if row.cookie.Name != "__Host-calleridp_"+row.name || row.cookie.MaxAge != row.age {
			t.Errorf("%s: got %s for %d s, want %s for %d s", what, row.cookie.Name, row.cookie.MaxAge, row.name, row.age)
		}
	}
	for size, want := range map[int]bool{128: true, 129: false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-calleridp_language", Value: strings.Repeat("x", size)})
		if got := c.Language(r) != ""; got != want {
			t.Errorf("a cookie of %d bytes: got it read %v, want %v", size, got, want)
		}
	}
	for size, want := range map[int]bool{0: false, 1: true, 1024: true, 1025: false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-calleridp_device", Value: strings.Repeat("x", size)})
		if got := c.Devices(r) != nil; got != want {
			t.Errorf("devices of %d bytes: got them read %v, want %v", size, got, want)
		}
	}
}
