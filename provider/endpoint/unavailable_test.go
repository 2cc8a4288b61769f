// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// away is the error of a store that comes back.
type away struct{}

func (away) Error() string              { return "the database cannot be reached" }
func (away) Unavailable() time.Duration { return 1500 * time.Millisecond }

// status writes error pages without a text.
type status struct{}

func (status) Error(w http.ResponseWriter, _ *http.Request, v ErrorView) { w.WriteHeader(v.Status) }

// While the store is away, browsers and clients read when to try again. Any other
// failure is 500.
func TestUnavailable(t *testing.T) {
	failures := Failures{Log: slog.New(slog.DiscardHandler)}
	browser, err := NewBrowser("https://id.example", status{}, failures, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		err   error
		code  int
		after string
	}{
		{fmt.Errorf("session: %w", away{}), 503, "2"},
		{errors.New("broken"), 500, ""},
	} {
		page := browser.Page(func(http.ResponseWriter, *http.Request) error { return row.err }, "GET")
		direct := NewDirect(nil, failures).Serve(DirectEndpoint{
			Name:    "test",
			Methods: []string{"GET"},
			Handle:  func(http.ResponseWriter, *http.Request) (any, error) { return nil, row.err },
		})
		for what, handler := range map[string]http.Handler{"a page": page, "an endpoint": direct} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != row.code || w.Header().Get("Retry-After") != row.after {
				t.Errorf("%s after %v: %d, Retry-After %q, want %d and %q", what, row.err, w.Code, w.Header().Get("Retry-After"), row.code, row.after)
			}
		}
	}
}
