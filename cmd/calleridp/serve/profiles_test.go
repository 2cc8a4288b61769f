// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// The profiles are there, those that cost something all the time are off, and the command
// line is not shown.
func TestProfiles(t *testing.T) {
	h := profiles()
	for path, want := range map[string]int{
		"/debug/pprof/":                  http.StatusOK,
		"/debug/pprof/heap":              http.StatusOK,
		"/debug/pprof/goroutine?debug=2": http.StatusOK,
		"/debug/pprof/cmdline":           http.StatusNotFound,
		"/metrics":                       http.StatusNotFound,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s got %d, want %d", path, w.Code, want)
		}
	}
	if got := runtime.SetMutexProfileFraction(-1); got != 0 {
		t.Errorf("one in %d waits for locks is profiled, want none", got)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/block?debug=1", nil))
	if lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n"); len(lines) > 2 { // the head alone
		t.Errorf("blocking is profiled: %v", lines)
	}
}
