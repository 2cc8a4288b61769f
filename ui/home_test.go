// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/ui/page"

	"github.com/go-chi/chi/v5"
)

// The root of a deployment says what it is, in the user's language, and leads to the
// account page. Crawlers stay away.
func TestTheRootOfADeployment(t *testing.T) {
	u, err := newUI(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := chi.NewRouter()
	u.Mount(r, nil)
	request := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		in := httptest.NewRequest(method, "https://id.example"+path, nil)
		in.Header.Set("Accept-Language", "sv")
		r.ServeHTTP(w, in)
		return w
	}
	home := request("GET", "/")
	for _, part := range []string{`<html lang="sv"`, `href="/account"`, "Här loggar du in", "CallerIdP", `name="back" value="/"`} {
		if home.Code != 200 || !strings.Contains(home.Body.String(), part) {
			t.Errorf("GET /: got %d %s, want %s in it", home.Code, home.Body, part)
		}
	}
	if cookie := home.Header().Get("Set-Cookie"); cookie != "" || home.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("GET /: got the headers %v, want a policy and no cookie", home.Header())
	}
	if got := request("GET", "/robots.txt"); got.Code != 200 || got.Body.String() != "User-agent: *\nDisallow: /\n" ||
		!strings.HasPrefix(got.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("GET /robots.txt: got %d %s", got.Code, got.Body)
	}
	for _, path := range []string{"/", "/robots.txt"} {
		if got := request("HEAD", path); got.Code != http.StatusOK {
			t.Errorf("HEAD %s: got %d, want 200", path, got.Code)
		}
		if got := request("POST", path); got.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d, want 405", path, got.Code)
		}
	}
}

// A form leads back to a page of ours, and nowhere else.
func TestRepeatablePaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/?x=1": true, "/account": true, "/logout/done?client_id=app": true,
		"": false, "//": false, "//evil.example": false, "/\\evil.example": false, "/account/": false, "https://evil.example": false, "/?x=/": false,
	} {
		if page.Repeatable(path) != want {
			t.Errorf("%q: got %v, want %v", path, !want, want)
		}
	}
}
