// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

// observed serves r through the middleware and returns the response and the log.
func observed(t *testing.T, m Middleware, r *http.Request, h http.HandlerFunc) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	m.Log = slog.New(withRequestID{slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	if m.ErrorPage == nil {
		m.ErrorPage = func(w http.ResponseWriter, _ *http.Request, v endpoint.ErrorView) {
			w.WriteHeader(v.Status)
			io.WriteString(w, "page "+string(v.Kind)+" "+v.Correlation)
		}
	}
	if m.Observe == nil {
		m.Observe = func(context.Context, string, string, int, time.Duration) {}
	}
	w := httptest.NewRecorder()
	m.Wrap(h).ServeHTTP(w, r)
	return w, log.String()
}

// Each response is counted under the pattern of its route, never under text of the
// path (invariant 10).
func TestResponsesAreCountedByRoute(t *testing.T) {
	router := chi.NewRouter()
	router.Get("/attempt/{id}/events", func(w http.ResponseWriter, r *http.Request) {})
	router.Handle("/callback/*", http.NotFoundHandler())
	router.Get("/broken", func(w http.ResponseWriter, r *http.Request) { panic("x") })
	for target, want := range map[string]string{
		"/attempt/46701740605/events": "/attempt/{id}/events 200",
		"/callback/default/SECRET":    "/callback/* 404",
		"/broken":                     "/broken 500",
		"/46701740605":                " 404",
		"/attempt/46701740605":        " 404",
	} {
		got := ""
		count := func(_ context.Context, _, route string, status int, _ time.Duration) {
			got += fmt.Sprint(route, " ", status)
		}
		observed(t, Middleware{Observe: count}, httptest.NewRequest("GET", target, nil), router.ServeHTTP)
		if got != want {
			t.Errorf("%s: got count of %q, want %q", target, got, want)
		}
	}
}

// The log has no secrets: no query, and no secret segment of a callback
// (invariant 10).
func TestInvariant10_RequestLog(t *testing.T) {
	for _, row := range []struct{ target, path string }{
		{"/authorize?client_id=x&state=SECRET", "/authorize"},
		{"/callback/default/SECRET", "/callback/default/..."},
		{"/callback/default/SECRET/more/SECRET", "/callback/default/..."},
		{"/callback/SECRET" + strings.Repeat("x", 40) + "/y", "/callback/SECRET" + strings.Repeat("x", 26) + ".../..."},
		{"/attempt/abc/events", "/attempt/abc/events"},
		{"/" + strings.Repeat("a", 1000), "/" + strings.Repeat("a", 199) + "..."},
	} {
		r := httptest.NewRequest("POST", row.target, strings.NewReader("SECRET"))
		r.Header.Set("Authorization", "Basic SECRET")
		r.Header.Set("Cookie", "a=SECRET")
		_, log := observed(t, Middleware{}, r, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
		var event map[string]any
		if err := json.Unmarshal([]byte(log), &event); err != nil {
			t.Fatalf("got %v, want one event in\n%s", err, log)
		}
		if event["path"] != row.path || event["method"] != "POST" || event["status"] != 204.0 || event["from"] != "192.0.2.1" || event["request_id"] == nil || event["took_ms"] == nil {
			t.Errorf("%s: %s", row.target, log)
		}
		if !strings.HasPrefix(row.path, "/callback/SECRET") && strings.Contains(log, "SECRET") {
			t.Errorf("%s: got a secret in %s", row.target, log)
		}
	}
}

func TestHealthChecksAreLoggedForDebuggingOnly(t *testing.T) {
	for _, path := range []string{PathHealth, PathReady} {
		_, log := observed(t, Middleware{}, httptest.NewRequest("GET", path, nil), func(http.ResponseWriter, *http.Request) {})
		if !strings.Contains(log, `"level":"DEBUG"`) {
			t.Error(log)
		}
	}
	// A flood of callbacks must not fill the log. Their receiver logs them.
	if _, log := observed(t, Middleware{}, httptest.NewRequest("POST", "/callback/default/x", nil), func(http.ResponseWriter, *http.Request) {}); !strings.Contains(log, `"level":"DEBUG"`) {
		t.Error(log)
	}
}

func TestEveryResponseHasItsIDAndHeaders(t *testing.T) {
	inside := ""
	w, log := observed(t, Middleware{HSTS: 365 * 24 * time.Hour}, httptest.NewRequest("GET", "/", nil), func(w http.ResponseWriter, r *http.Request) {
		inside = w.Header().Get("X-Request-ID")
	})
	id := w.Header().Get("X-Request-ID")
	if len(id) != 16 || id != inside || !strings.Contains(log, `"request_id":"`+id+`"`) {
		t.Errorf("got id %q, inside %q, log %s; want the same 16 characters in all", id, inside, log)
	}
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("got headers %v, want nosniff and HSTS", w.Header())
	}
	if w, _ := observed(t, Middleware{}, httptest.NewRequest("GET", "/", nil), func(http.ResponseWriter, *http.Request) {}); w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("got HSTS without a promise")
	}
}

// The id of a trusted proxy is kept, so that its log and ours match; others are
// replaced.
func TestRequestIDOfAProxy(t *testing.T) {
	for _, row := range []struct {
		from, given string
		taken       bool
	}{
		{"10.0.0.1:1", "0af7651916cd43dd8448eb211c80319c", true},
		{"203.0.113.9:1", "0af7651916cd43dd8448eb211c80319c", false},
		{"10.0.0.1:1", "short", false},
		{"10.0.0.1:1", "with\"quotes\"and\nlines", false},
		{"10.0.0.1:1", strings.Repeat("a", 65), false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = row.from
		r.Header.Set("X-Request-ID", row.given)
		w, _ := observed(t, Middleware{Addresses: proxies(t, "10.0.0.0/8")}, r, func(http.ResponseWriter, *http.Request) {})
		if got := w.Header().Get("X-Request-ID"); (got == row.given) != row.taken || got == "" {
			t.Errorf("%s from %s: got %q, want it kept: %v", row.given, row.from, got, row.taken)
		}
	}
}

// The cause of a panic is in the log only (invariant 10).
func TestInvariant10_Panic(t *testing.T) {
	boom := func(http.ResponseWriter, *http.Request) { panic("the cause") }
	page := httptest.NewRequest("GET", "/signin", nil)
	page.Header.Set("Accept", "text/html,application/xhtml+xml")
	w, log := observed(t, Middleware{}, page, boom)
	if w.Code != 500 || w.Body.String() != "page internal "+w.Header().Get("X-Request-ID") || !strings.Contains(log, "the cause") || !strings.Contains(log, `"status":500`) {
		t.Errorf("page: got %d %s\n%s\nwant 500, the id, and the cause in the log", w.Code, w.Body, log)
	}
	w, _ = observed(t, Middleware{}, httptest.NewRequest("POST", "/token", nil), boom)
	if w.Code != 500 || w.Body.String() != `{"error":"server_error"}`+"\n" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("token: got %d %s, want 500 and server_error", w.Code, w.Body)
	}
	// Half a response must not look complete.
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("got %v, want http.ErrAbortHandler, which closes the connection", p)
		}
	}()
	observed(t, Middleware{}, page, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "half"); panic("x") })
	t.Error("got no panic")
}

// Whatever a request makes the program log as an error is summed up by the network that
// it came from, also in work that outlives it.
func TestThreat_ErrorsOfRequestsAreBounded(t *testing.T) {
	var log bytes.Buffer
	sums := audit.NewSums(slog.New(withRequestID{slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})}), nil)
	m := Middleware{
		Log:       sums.Logger(),
		Addresses: proxies(t, "10.0.0.0/8"),
		ErrorPage: func(http.ResponseWriter, *http.Request, endpoint.ErrorView) {},
		Observe:   func(context.Context, string, string, int, time.Duration) {},
	}
	h := m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m.Log.ErrorContext(context.WithoutCancel(r.Context()), "a page failed", "path", r.URL.Path)
		panic("the cause")
	}))
	const requests = 1000
	for i := range requests {
		r := httptest.NewRequest("GET", fmt.Sprintf("/%d", i), nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", 7+i%2))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	sums.Flush()
	if n := strings.Count(log.String(), "\n"); n > 60 {
		t.Errorf("%d requests wrote %d lines, want at most 60", requests, n)
	}
	for _, message := range []string{"a page failed", "panic"} {
		for _, network := range []string{"192.0.2.7/32", "192.0.2.8/32"} {
			if want := fmt.Sprintf(`"level":"ERROR","msg":%q,"network":%q,"more":490}`, message, network); !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %s", want)
			}
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", maxBody+1)))
	var got error
	observed(t, Middleware{}, r, func(_ http.ResponseWriter, r *http.Request) { _, got = io.ReadAll(r.Body) })
	if _, ok := got.(*http.MaxBytesError); !ok {
		t.Errorf("got %v, want *http.MaxBytesError", got)
	}
}

// A response to an unsupported method lists those that the path supports (RFC 9110
// §15.5.6).
func TestMethodNotAllowedNamesThoseThatAre(t *testing.T) {
	router := chi.NewRouter()
	nothing := func(http.ResponseWriter, *http.Request) {}
	router.Post("/signin", nothing)
	router.Get("/attempt/{id}", nothing)
	router.MethodNotAllowed(MethodNotAllowed(router, func(w http.ResponseWriter, _ *http.Request, v endpoint.ErrorView) { w.WriteHeader(v.Status) }))
	for request, want := range map[string]string{"GET /signin": "POST", "DELETE /signin": "POST", "POST /attempt/a": "GET"} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if got := strings.Join(w.Header().Values("Allow"), ", "); w.Code != 405 || got != want {
			t.Errorf("%s: got %d, Allow %q; want 405, %q", request, w.Code, got, want)
		}
	}
}
