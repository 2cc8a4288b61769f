// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// etagOf returns a strong entity tag (RFC 9110 §8.8.3) of what the API shows of something: it
// changes when that does, on every server alike.
func etagOf(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("admin: what the API shows cannot be written: " + err.Error()) // of a type of this package
	}
	sum := sha256.Sum256(raw)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// matches reports whether a list of entity tags, or *, has this one. weak compares those of
// If-None-Match (RFC 9110 §13.1.2), which may be weak; If-Match compares strongly (§13.1.1).
func matches(header, etag string, weak bool) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if weak {
			one = strings.TrimPrefix(one, "W/")
		}
		if one == "*" || one == etag {
			return true
		}
	}
	return false
}

// Reply is the response to a request about one thing.
type Reply[T any] struct {
	ETag     string `header:"ETag" doc:"Changes when the body does: for If-None-Match, and If-Match."`
	Repeated string `header:"Idempotency-Replayed" doc:"true: nothing was done, this is the response to the first request with the Idempotency-Key."`
	Body     T
}

// Added is the response to a request that has made something.
type Added[T any] struct {
	ETag     string `header:"ETag" doc:"The entity tag of what was made, as a GET of it returns it."`
	Location string `header:"Location" doc:"The path of what was made."`
	Repeated string `header:"Idempotency-Replayed" doc:"true: nothing was done, this is the response to the first request with the Idempotency-Key, without its secret."`
	Body     T
}

func reply[T any](v T) *Reply[T] { return &Reply[T]{ETag: etagOf(v), Body: v} }

// conditional responds with 304 to a GET whose If-None-Match has the entity tag of the
// response (RFC 9110 §13.2.2).
func conditional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if has := r.Header.Get("If-None-Match"); has != "" && r.Method == http.MethodGet {
			w = &conditionalWriter{ResponseWriter: w, has: has}
		}
		next.ServeHTTP(w, r)
	})
}

type conditionalWriter struct {
	http.ResponseWriter
	has       string
	unchanged bool
}

func (w *conditionalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *conditionalWriter) WriteHeader(status int) {
	if etag := w.Header().Get("ETag"); status == http.StatusOK && etag != "" && matches(w.has, etag, true) {
		status, w.unchanged = http.StatusNotModified, true
		w.Header().Del("Content-Type")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *conditionalWriter) Write(b []byte) (int, error) {
	if w.unchanged {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
