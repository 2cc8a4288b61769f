package endpoint

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/login"
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
			c.SetSession(w, "s", time.Now().Add(time.Hour))
			c.SetDevices(w, []string{"one", "two"}, time.Hour)
			r := httptest.NewRequest("GET", "/", nil)
			for _, cookie := range w.Result().Cookies() {
				if strings.HasPrefix(cookie.Name, "__Host-") != secure || cookie.Secure != secure {
					t.Errorf("got %+v, want Secure and __Host- %v", cookie, secure)
				}
				if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" ||
					cookie.Domain != "" || cookie.MaxAge <= 0 {
					t.Errorf("got %+v, want HttpOnly, SameSite=Lax, the path / alone and a lifetime", cookie)
				}
				r.AddCookie(cookie)
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
			if cookie := w.Result().Cookies()[0]; cookie.MaxAge >= 0 || cookie.Value != "" {
				t.Errorf("clearing: got %+v, want an expired cookie without a value", cookie)
			}
			r = httptest.NewRequest("GET", "/", nil)
			r.AddCookie(&http.Cookie{Name: c.name("calleridp_session"), Value: strings.Repeat("x", 4000)})
			if c.Session(r) != "" {
				t.Errorf("a cookie of 4000 bytes: got %d bytes, want none", len(c.Session(r)))
			}
		})
	}
}
