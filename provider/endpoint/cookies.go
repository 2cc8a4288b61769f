package endpoint

import (
	"net/http"
	"time"

	"calleridp/provider/login"
	"calleridp/provider/session"
)

// Cookies reads and writes the cookies that browsers get. Over HTTPS all have the
// __Host- prefix and Secure; a plain-HTTP issuer, which is accepted on loopback
// only, loses those two and nothing else.
type Cookies struct {
	Secure bool
}

// The browser cookie binds attempts to the browser that started them (invariant
// 2); one serves all tabs.
const browserCookieAge = 24 * time.Hour

func (c Cookies) name(base string) string {
	if c.Secure {
		return "__Host-" + base
	}
	return base
}

// Browser returns the browser cookie's secret, "" when there is none.
func (c Cookies) Browser(r *http.Request) login.BrowserSecret {
	return login.BrowserSecret(c.read(r, "calleridp_browser"))
}

// SetBrowser keeps secret as the browser cookie.
func (c Cookies) SetBrowser(w http.ResponseWriter, secret login.BrowserSecret) {
	c.write(w, "calleridp_browser", string(secret), int(browserCookieAge/time.Second))
}

// Session returns the session cookie's secret, "" when there is none.
func (c Cookies) Session(r *http.Request) session.Secret {
	return session.Secret(c.read(r, "calleridp_session"))
}

// SetSession keeps secret as the session cookie until expires.
func (c Cookies) SetSession(w http.ResponseWriter, secret session.Secret, expires time.Time) {
	c.write(w, "calleridp_session", string(secret), max(1, int(time.Until(expires)/time.Second)))
}

// ClearSession removes the session cookie.
func (c Cookies) ClearSession(w http.ResponseWriter) { c.write(w, "calleridp_session", "", -1) }

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
