// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"net/http"
	"strings"

	"calleridp/provider/client"
)

// Cross-origin requests are allowed where browser applications need them, and
// never with credentials: the documents to any origin; the token, userinfo and
// revocation endpoints to the origins that clients have registered, or that follow from
// the redirect URIs of public ones.

// Origins knows which origins clients have registered. *client.Registry is one.
type Origins interface {
	// OriginAllowed reports whether any client has registered the origin.
	OriginAllowed(ctx context.Context, origin string) bool
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// allowOrigin lets pages of the origin read the response.
func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
}

// preflight responds to a CORS preflight (Fetch §3.2). A preflight does not name
// a client, so the origins of all clients count.
func (d *Direct) preflight(w http.ResponseWriter, r *http.Request, methods []string) {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Allow", strings.Join(append(methods[:len(methods):len(methods)], http.MethodOptions), ", "))
	if origin := r.Header.Get("Origin"); origin != "" && d.origins.OriginAllowed(r.Context(), origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// AllowClientID lets the page that sent the request read the response, if the
// client that the request names has registered the page's origin.
func (d *Direct) AllowClientID(w http.ResponseWriter, r *http.Request, clientID string) {
	w.Header().Add("Vary", "Origin")
	if r.Header.Get("Origin") == "" || clientID == "" {
		return
	}
	if c, err := d.origins.Client(r.Context(), clientID); err == nil {
		AllowClient(w, r, c)
	}
}

// AllowClient does the same for a client that is known.
func AllowClient(w http.ResponseWriter, r *http.Request, c client.Client) {
	if origin := r.Header.Get("Origin"); origin != "" && c.OriginAllowed(origin) {
		allowOrigin(w.Header(), origin)
	}
}

// AllowAnyClient lets the page read the response if any client has registered
// its origin: for error responses that cannot name a client.
func (d *Direct) AllowAnyClient(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && d.origins.OriginAllowed(r.Context(), origin) {
		allowOrigin(w.Header(), origin)
	}
}
