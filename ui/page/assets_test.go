// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http/httptest"
	"testing"

	"calleridp/ui/pagetest"

	"github.com/go-chi/chi/v5"
)

// getStatic requests a static file.
func getStatic(p *Pages, name, encoding string) *httptest.ResponseRecorder {
	router := chi.NewRouter()
	router.Get(PathStatic+"{name}", p.Static)
	r, w := httptest.NewRequest("GET", PathStatic+name, nil), httptest.NewRecorder()
	r.Header.Set("Accept-Encoding", encoding)
	router.ServeHTTP(w, r)
	return w
}

func TestStaticFilesAreKeptForEver(t *testing.T) {
	p := newPages(t)
	for _, name := range []string{p.assets.style, p.assets.script, p.assets.icon} {
		plain := getStatic(p, name, "")
		pagetest.Want(t, plain, 200)
		if plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || plain.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %v, want it cached for good, and nosniff", name, plain.Header())
		}
		if zipped := getStatic(p, name, "br, gzip"); zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() >= plain.Body.Len() {
			t.Errorf("%s: got %d bytes in %q, want fewer than %d in gzip", name, zipped.Body.Len(), zipped.Header().Get("Content-Encoding"), plain.Body.Len())
		}
	}
	pagetest.Want(t, getStatic(p, "app.css", ""), 404, `id="error"`)
}
