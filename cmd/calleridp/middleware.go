package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

// requestIDHeader carries the word that connects an answer with the log. Error
// pages show it.
const requestIDHeader = "X-Request-Id"

type requestIDKey struct{}

// withRequestID is a log whose events name the request during which they
// happened.
type withRequestID struct{ slog.Handler }

func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs)}
}

func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name)}
}

// maxBody is more than any endpoint takes; each has a limit of its own.
const maxBody = 1 << 20

// observer is what every request goes through: it gets an id, the headers that
// every answer has, one event in the log, and a calm answer to a panic.
type observer struct {
	log       *slog.Logger
	addresses clientAddresses
	strict    bool // the issuer is https: browsers need never try without
	broken    func(http.ResponseWriter, *http.Request, endpoint.ErrorView)
	// counted is told of each answer, with the route that gave it, "" for none.
	counted func(route string, status int, took time.Duration)
}

func (o observer) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		id := o.requestID(r)
		h := w.Header()
		h.Set(requestIDHeader, id)
		h.Set("X-Content-Type-Options", "nosniff")
		if o.strict {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		taken := chi.NewRouteContext() // the router writes down in it which route it took
		r = r.WithContext(context.WithValue(context.WithValue(r.Context(), requestIDKey{}, id), chi.RouteCtxKey, taken))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		seen := &statusWriter{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				o.panicked(seen, r, p)
			}
			took := time.Since(begun)
			o.counted(taken.RoutePattern(), cmp.Or(seen.status, http.StatusOK), took)
			level := slog.LevelInfo
			// Callbacks are logged by whoever takes them, who knows which of them count.
			if r.URL.Path == pathHealth || r.URL.Path == pathReady || strings.HasPrefix(r.URL.Path, endpoint.PathCallback) {
				level = slog.LevelDebug
			}
			if !o.log.Enabled(r.Context(), level) {
				return
			}
			// Neither the query nor the secret part of a callback's path is logged
			// (invariant 10).
			o.log.LogAttrs(r.Context(), level, "request",
				slog.String("method", loggedText(r.Method, 16)), slog.String("path", loggedPath(r.URL.Path)), slog.Int("status", seen.status),
				slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("from", o.addresses.of(r).String()))
		}()
		next.ServeHTTP(seen, r)
	})
}

// methodNotAllowed answers a method that the path does not take, and says which it
// does (RFC 9110 §15.5.6).
func methodNotAllowed(router chi.Routes, page func(http.ResponseWriter, *http.Request, endpoint.ErrorView)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if router.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		page(w, r, endpoint.ErrorView{Kind: endpoint.ErrorMethodNotAllowed, Status: http.StatusMethodNotAllowed})
	}
}

// requestID is the one that a trusted proxy gave, or a new one.
func (o observer) requestID(r *http.Request) string {
	if given := r.Header.Get(requestIDHeader); isRequestID(given) && o.addresses.fromProxy(r) {
		return given
	}
	return rand.Text()[:16]
}

func isRequestID(s string) bool {
	return len(s) >= 8 && len(s) <= 64 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// panicked logs the cause of a panic and answers without it (invariant 10).
func (o observer) panicked(w *statusWriter, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	o.log.ErrorContext(r.Context(), "panic", "panic", p, "stack", string(debug.Stack()))
	switch {
	case w.status != 0:
		// The answer has begun and cannot be taken back; ending the connection
		// says that it is not whole.
		panic(http.ErrAbortHandler)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		o.broken(w, r, endpoint.ErrorView{Kind: endpoint.ErrorInternal, Status: http.StatusInternalServerError, Correlation: w.Header().Get(requestIDHeader)})
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusInternalServerError)
		w.Write([]byte(`{"error":"server_error"}` + "\n"))
	}
}

func loggedPath(path string) string {
	if rest, ok := strings.CutPrefix(path, endpoint.PathCallback); ok {
		app, _, _ := strings.Cut(rest, "/")
		return endpoint.PathCallback + loggedText(app, 32) + "/..."
	}
	return loggedText(path, 200)
}

// loggedText bounds what strangers can write into the log.
func loggedText(s string, most int) string {
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // 1xx come before the answer
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

// Hijack gives the connection to a handler that answers on it by itself, as live
// events do; they answer with 200.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusOK
	}
	return conn, buffer, err
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
