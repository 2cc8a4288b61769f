// SPDX-License-Identifier: Apache-2.0

package logo

import (
	"errors"
	"net/http"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

// Mount registers the path of the logos.
func (l *Logos) Mount(r chi.Router) {
	r.Get(endpoint.PathClientLogo+"{client_id}/{name}", l.serve)
}

// serve serves the logo of a client. The page may come from another server than this one,
// which has not fetched the logo yet: it does so then, and the picture waits, not the page.
func (l *Logos) serve(w http.ResponseWriter, r *http.Request) {
	c, err := l.cfg.Clients.Client(r.Context(), chi.URLParam(r, "client_id"))
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	// A browser that opens it as a page gets only pixels.
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	switch {
	case errors.Is(err, client.ErrNotFound):
		w.WriteHeader(http.StatusNotFound)
		return
	case err != nil:
		w.WriteHeader(endpoint.FailureStatus(w, err))
		return
	}
	uri := l.address(c)
	if uri == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	picture, hash, fetching := l.look(c, uri)
	if picture == nil && fetching != nil {
		select {
		case <-fetching:
		case <-r.Context().Done():
			return
		}
		picture, hash, _ = l.look(c, uri)
	}
	if picture == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	h.Set("Content-Type", "image/png")
	if chi.URLParam(r, "name") == hash+".png" { // else it is an older or newer one than the page's
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Write(picture) // an error means that the browser has gone
}
