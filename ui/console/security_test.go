// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/console"
	"calleridp/ui"
	pages "calleridp/ui/console"

	"github.com/go-chi/chi/v5"
)

// nothing is an API, a funnel and a health that must not be reached.
func nothing(t *testing.T, d pages.Door) http.Handler {
	t.Helper()
	return pages.Handler(pages.Config{Door: d, API: admin.New(admin.Config{}), Funnel: counts{t}, Health: nil, Tokens: ui.Tokens(), Log: slog.New(slog.DiscardHandler)})
}

// shut lets no one in, and must not be asked to keep anyone.
type shut struct{ door }

func (shut) Session(http.ResponseWriter, *http.Request) (console.Session, error) {
	return console.Session{}, console.ErrSignedOut
}

// routes returns what the console serves, each as "METHOD /path", with values for the
// parameters.
func routes(t *testing.T, h http.Handler) (all []string) {
	t.Helper()
	err := chi.Walk(h.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		route = strings.NewReplacer("{id}", "shop", "{sub}", "5Q3bY9rKcVxW8eTt2LmZ0g").Replace(route)
		all = append(all, method+" "+route)
		return nil
	})
	if err != nil || len(all) < 30 {
		t.Fatalf("got the routes %q, %v", all, err)
	}
	return all
}

// post returns a form with a token, as a page of origin sends it.
func post(path, origin, site, token string) *http.Request {
	r := httptest.NewRequest("POST", "https://admin.example:9443"+path, strings.NewReader(url.Values{"token": {token}, "key": {"calleridp_x"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range map[string]string{"Origin": origin, "Sec-Fetch-Site": site} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

// A page of another origin makes an operator's browser do nothing: neither one on another
// site, nor one on another port of the host, nor one that knows the token; and a form without
// the session's token does nothing either. This holds for every route.
func TestThreat_ForgedFormsDoNothing(t *testing.T) {
	h := nothing(t, door{scopes: apikey.Scopes}) // reaching the API would panic
	forms := 0
	for _, route := range routes(t, h) {
		method, path, _ := strings.Cut(route, " ")
		if method != http.MethodPost {
			continue
		}
		forms++
		for what, r := range map[string]*http.Request{
			"another site":           post(path, "https://evil.example", "cross-site", "t"),
			"another port":           post(path, "https://admin.example:8443", "same-site", "t"),
			"an older browser":       post(path, "https://evil.example", "", "t"),
			"a page without origin":  post(path, "null", "", "t"),
			"no token":               post(path, "https://admin.example:9443", "same-origin", ""),
			"a token of another one": post(path, "https://admin.example:9443", "same-origin", "u"),
		} {
			if path == "/console/signin/key" && strings.Contains(what, "token") {
				continue // there is no session yet, and the origin protects it
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s from %s: got %d, want 403", route, what, w.Code)
			}
		}
	}
	if forms < 15 {
		t.Errorf("got %d forms, want all", forms)
	}
}

// Without a session every page leads to the sign-in and does nothing.
func TestEveryPageNeedsASession(t *testing.T) {
	h := nothing(t, shut{})
	open := []string{"GET /console", "GET /console/signin", "GET /console/signin/start", "GET /console/callback", "POST /console/signin/key"}
	for _, route := range routes(t, h) {
		method, path, _ := strings.Cut(route, " ")
		isOpen := strings.HasPrefix(path, "/console/static/")
		for _, o := range open {
			isOpen = isOpen || o == route
		}
		if isOpen {
			continue
		}
		r := httptest.NewRequest(method, path, nil)
		if method == http.MethodPost {
			r = post(path, "https://admin.example:9443", "same-origin", "")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != console.PathSignIn {
			t.Errorf("%s: got %d to %q, want the sign-in", route, w.Code, w.Header().Get("Location"))
		}
	}
}

// No response can be framed, kept, read by another origin or run anything that it did not
// bring: neither a page, nor a refusal, nor a redirect. Only files without anything of an
// operator are kept by the browser.
func TestHeadersOfEveryResponse(t *testing.T) {
	in, out := nothing(t, door{scopes: apikey.Scopes}), nothing(t, shut{})
	answers := map[string]*httptest.ResponseRecorder{}
	ask := func(what string, h http.Handler, r *http.Request) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answers[what] = w
	}
	ask("sign-in", out, httptest.NewRequest("GET", "/console/signin", nil))
	ask("signed out", out, httptest.NewRequest("GET", "/console/clients", nil))
	ask("a form", in, httptest.NewRequest("GET", "/console/clients/new", nil))
	ask("no such page", in, httptest.NewRequest("GET", "/console/nothing", nil))
	ask("no such method", in, httptest.NewRequest("PUT", "/console/clients", nil))
	ask("from elsewhere", in, post("/console/keys/rotate", "https://evil.example", "cross-site", "t"))
	ask("without a token", in, post("/console/keys/rotate", "", "same-origin", ""))
	for what, w := range answers {
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy is %q, without %s", what, policy, part)
			}
		}
		if strings.Contains(policy, "script-src") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy %q lets something run", what, policy)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s (%d): %s is %q, want %q", what, w.Code, name, got, want)
			}
		}
	}
	page := answers["sign-in"].Body.String()
	_, rest, _ := strings.Cut(page, `<link rel="stylesheet" href="`)
	style, _, _ := strings.Cut(rest, `"`)
	w := httptest.NewRecorder()
	in.ServeHTTP(w, httptest.NewRequest("GET", style, nil))
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "private, max-age=86400" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the style at %q: got %d %v", style, w.Code, w.Header())
	}
}
