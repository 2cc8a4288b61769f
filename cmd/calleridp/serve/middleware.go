// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

// requestIDHeader connects a response with the log. Error pages show its value.
const requestIDHeader = "X-Request-Id"

// maxBody exceeds what any endpoint accepts; each also has its own limit.
const maxBody = 1 << 20

// Middleware gives every request an id, every response the common headers and one
// event in the log, and turns a panic into an error response.
type Middleware struct {
	Log       *slog.Logger
	Addresses ClientAddresses
	HSTS      time.Duration // for how long browsers are promised HTTPS (RFC 6797); 0: no promise
	ErrorPage func(http.ResponseWriter, *http.Request, endpoint.ErrorView)
	// Begin returns the context of a request from which its trace follows; nil: it has none.
	Begin func(ctx context.Context) context.Context
	// Observe is called for each response with the route that served it, "" if
	// none matched. ctx is that of the request.
	Observe func(ctx context.Context, method, route string, status int, took time.Duration)
}

// Wrap returns next behind the middleware.
func (m Middleware) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		id := m.requestID(r)
		from := m.Addresses.Of(r)
		h := w.Header()
		h.Set(requestIDHeader, id)
		h.Set("X-Content-Type-Options", "nosniff")
		if m.HSTS > 0 {
			h.Set("Strict-Transport-Security", "max-age="+strconv.FormatInt(int64(m.HSTS/time.Second), 10))
		}
		route := chi.NewRouteContext() // the router records in it which route matched
		ctx := audit.WithSender(context.WithValue(r.Context(), requestIDKey{}, id), from)
		if m.Begin != nil {
			ctx = m.Begin(ctx)
		}
		r = r.WithContext(context.WithValue(ctx, chi.RouteCtxKey, route))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		recorded := &statusWriter{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				m.recovered(recorded, r, p)
			}
			took := time.Since(begun)
			m.Observe(r.Context(), r.Method, route.RoutePattern(), cmp.Or(recorded.status, http.StatusOK), took)
			level := slog.LevelInfo
			// The receiver of callbacks logs those that match an attempt, and counts the others.
			if r.URL.Path == PathHealth || r.URL.Path == PathReady || strings.HasPrefix(r.URL.Path, endpoint.PathCallback) {
				level = slog.LevelDebug
			}
			if !m.Log.Enabled(r.Context(), level) {
				return
			}
			// Neither the query nor the secret part of a callback's path is logged
			// (invariant 10).
			m.Log.LogAttrs(r.Context(), level, "request",
				slog.String("method", loggedText(r.Method, 16)),
				slog.String("path", loggedPath(r.URL.Path)),
				slog.Int("status", recorded.status),
				slog.Float64("took_ms", float64(took.Microseconds())/1000),
				slog.String("from", from.String()))
		}()
		next.ServeHTTP(recorded, r)
	})
}

// MethodNotAllowed responds to a method that a path does not support and lists
// those that it does (RFC 9110 §15.5.6).
func MethodNotAllowed(router chi.Routes, page func(http.ResponseWriter, *http.Request, endpoint.ErrorView)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if router.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		page(w, r, endpoint.ErrorView{Kind: endpoint.ErrorMethodNotAllowed, Status: http.StatusMethodNotAllowed})
	}
}

// requestID returns the id that a trusted proxy sent, or a new one.
func (m Middleware) requestID(r *http.Request) string {
	if given := r.Header.Get(requestIDHeader); isRequestID(given) && m.Addresses.FromProxy(r) {
		return given
	}
	return rand.Text()[:16]
}

func isRequestID(s string) bool {
	return len(s) >= 8 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// recovered logs the cause of a panic and responds without it (invariant 10).
func (m Middleware) recovered(w *statusWriter, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	m.Log.ErrorContext(r.Context(), "panic", "panic", p, "stack", string(debug.Stack()))
	switch {
	case w.status != 0:
		// The response has begun; closing the connection shows that it is incomplete.
		panic(http.ErrAbortHandler)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		m.ErrorPage(w, r, endpoint.ErrorView{
			Kind:        endpoint.ErrorInternal,
			Status:      http.StatusInternalServerError,
			Correlation: w.Header().Get(requestIDHeader),
		})
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusInternalServerError)
		w.Write([]byte(`{"error":"server_error"}` + "\n"))
	}
}

// loggedPath returns a path for the log, without the secret part of a callback's.
func loggedPath(path string) string {
	if rest, ok := strings.CutPrefix(path, endpoint.PathCallback); ok {
		app, _, _ := strings.Cut(rest, "/")
		return endpoint.PathCallback + loggedText(app, 32) + "/..."
	}
	return loggedText(path, 200)
}

// loggedText bounds how much of a request goes into the log.
func loggedText(s string, limit int) string {
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// statusWriter records the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // 1xx precede the response
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Hijack hands the connection to a handler that writes to it directly. Live events
// do, with status 200.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusOK
	}
	return conn, buffer, err
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
