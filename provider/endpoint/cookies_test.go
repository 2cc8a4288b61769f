package endpoint

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Over HTTPS the cookies are bound to the host and to TLS; over plain HTTP they
// lose that and nothing else.
func TestCookies(t *testing.T) {
	for _, secure := range []bool{true, false} {
		c := Cookies{Secure: secure}
		w := httptest.NewRecorder()
		c.SetBrowser(w, "b")
		c.SetSession(w, "s", time.Now().Add(time.Hour))
		r := httptest.NewRequest("GET", "/", nil)
		for _, cookie := range w.Result().Cookies() {
			if strings.HasPrefix(cookie.Name, "__Host-") != secure || cookie.Secure != secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge <= 0 {
				t.Errorf("%+v", cookie)
			}
			r.AddCookie(cookie)
		}
		if c.Browser(r) != "b" || c.Session(r) != "s" {
			t.Errorf("read back %q, %q", c.Browser(r), c.Session(r))
		}
		if other := (Cookies{Secure: !secure}); other.Session(r) != "" {
			t.Error("a cookie of the other kind counts")
		}
		w = httptest.NewRecorder()
		c.ClearSession(w)
		if cookie := w.Result().Cookies()[0]; cookie.MaxAge >= 0 || cookie.Value != "" {
			t.Errorf("clearing: %+v", cookie)
		}
		r = httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: c.name("calleridp_session"), Value: strings.Repeat("x", 4000)})
		if c.Session(r) != "" {
			t.Error("a huge cookie is read")
		}
	}
}
