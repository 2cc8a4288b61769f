// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"
	"time"

	"calleridp/provider/login"
	"calleridp/provider/session"
)

// Cookies reads and writes the cookies that browsers get. Over HTTPS all have the
// __Host- prefix and Secure; a plain-HTTP issuer, which is accepted on loopback
// only, loses those two and nothing else.
type Cookies struct {
	Secure bool
	// BrowserAge is how long the browser cookie lives. Zero: an hour and five minutes.
	BrowserAge time.Duration
}

func (c Cookies) name(base string) string {
	if c.Secure {
		return "__Host-" + base
	}
	return base
}

// BrowserCookie is the cookie that binds attempts to the browser that started them
// (invariant 2); one serves all tabs.
type BrowserCookie struct {
	Secret login.BrowserSecret
	// Before is the secret that the browser had before, "" for none: the pages of its
	// earlier attempts need it.
	Before login.BrowserSecret
}

// Secrets returns the secrets that there are.
func (b BrowserCookie) Secrets() []login.BrowserSecret {
	switch {
	case b.Secret == "":
		return nil
	case b.Before == "":
		return []login.BrowserSecret{b.Secret}
	}
	return []login.BrowserSecret{b.Secret, b.Before}
}

// Renewed returns the cookie with another secret.
func (b BrowserCookie) Renewed(secret login.BrowserSecret) BrowserCookie {
	if secret == b.Secret {
		return b
	}
	return BrowserCookie{Secret: secret, Before: b.Secret}
}

// browserSecret is the form of a secret. A value of another form is not ours.
var browserSecret = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// Browser returns the browser cookie, without secrets if there is none.
func (c Cookies) Browser(r *http.Request) BrowserCookie {
	secret, before, _ := strings.Cut(c.read(r, "calleridp_browser"), ".")
	switch {
	case !browserSecret.MatchString(secret):
		return BrowserCookie{}
	case !browserSecret.MatchString(before):
		before = ""
	}
	return BrowserCookie{Secret: login.BrowserSecret(secret), Before: login.BrowserSecret(before)}
}

// SetBrowser keeps the browser cookie.
func (c Cookies) SetBrowser(w http.ResponseWriter, b BrowserCookie) {
	value := string(b.Secret)
	if b.Before != "" {
		value += "." + string(b.Before)
	}
	age := cmp.Or(c.BrowserAge, 65*time.Minute)
	c.write(w, "calleridp_browser", value, int(age/time.Second))
}

// ClearBrowser removes the browser cookie.
func (c Cookies) ClearBrowser(w http.ResponseWriter) { c.write(w, "calleridp_browser", "", -1) }

// Devices returns the device cookie (authorize.Flow.Remember), nil when there is none.
func (c Cookies) Devices(r *http.Request) []string {
	cookie, err := r.Cookie(c.name("calleridp_device"))
	if err != nil || len(cookie.Value) > 1024 || cookie.Value == "" {
		return nil
	}
	return strings.Split(cookie.Value, ".")
}

// SetDevices keeps the device cookie for so long.
func (c Cookies) SetDevices(w http.ResponseWriter, devices []string, life time.Duration) {
	c.write(w, "calleridp_device", strings.Join(devices, "."), int(life/time.Second))
}

// ClearDevices removes the device cookie.
func (c Cookies) ClearDevices(w http.ResponseWriter) { c.write(w, "calleridp_device", "", -1) }

// Session returns the session cookie's secret, "" when there is none.
func (c Cookies) Session(r *http.Request) session.Secret {
	return session.Secret(c.read(r, "calleridp_session"))
}

// SetSession keeps secret as the session cookie until expires, and state beside it.
func (c Cookies) SetSession(w http.ResponseWriter, secret session.Secret, state session.BrowserState, expires time.Time) {
	c.write(w, "calleridp_session", string(secret), secondsUntil(expires))
	c.SetState(w, state, expires)
}

// ClearSession removes the session cookie, and the state with it.
func (c Cookies) ClearSession(w http.ResponseWriter) {
	c.write(w, "calleridp_session", "", -1)
	c.ClearState(w)
}

func secondsUntil(t time.Time) int { return max(1, int(time.Until(t)/time.Second)) }

// stateCookie is the cookie that the page of session management reads (OpenID Connect
// Session Management 1.0 §3.2).
const stateCookie = "calleridp_state"

// StateName returns the name of the state's cookie.
func (c Cookies) StateName() string { return c.name(stateCookie) }

// State returns the state that the browser sends, "" for none.
func (c Cookies) State(r *http.Request) session.BrowserState {
	return session.ParseBrowserState(c.read(r, stateCookie))
}

// SetState keeps the state until its session expires.
func (c Cookies) SetState(w http.ResponseWriter, state session.BrowserState, expires time.Time) {
	c.writeState(w, string(state), secondsUntil(expires))
}

// ClearState removes the state, because no user is signed in.
func (c Cookies) ClearState(w http.ResponseWriter) { c.writeState(w, "", -1) }

// writeState writes the one cookie that scripts read, and that a page of ours within a
// client's has as well. Browsers take SameSite=None over HTTPS only.
func (c Cookies) writeState(w http.ResponseWriter, value string, maxAge int) {
	cookie := &http.Cookie{
		Name:     c.StateName(),
		Value:    value,
		Path:     "/",
		MaxAge:   maxAge,
		Secure:   c.Secure,
		SameSite: http.SameSiteLaxMode,
	}
	if c.Secure {
		cookie.SameSite = http.SameSiteNoneMode
	}
	http.SetCookie(w, cookie)
}

// languageCookieAge is how long a chosen language is remembered.
const languageCookieAge = 365 * 24 * time.Hour

// Language returns what SetLanguage kept, "" when there is none. The browser may
// have changed it: it is a preference at most.
func (c Cookies) Language(r *http.Request) string { return c.read(r, "calleridp_language") }

// SetLanguage keeps a preference of the pages.
func (c Cookies) SetLanguage(w http.ResponseWriter, preference string) {
	c.write(w, "calleridp_language", preference, int(languageCookieAge/time.Second))
}

func (c Cookies) read(r *http.Request, base string) string {
	cookie, err := r.Cookie(c.name(base))
	if err != nil || len(cookie.Value) > 128 {
		return ""
	}
	return cookie.Value
}

func (c Cookies) write(w http.ResponseWriter, base, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name:     c.name(base),
		Value:    value,
		Path:     "/",
		MaxAge:   maxAge,
		Secure:   c.Secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
