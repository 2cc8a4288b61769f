package provider

import (
	"net/http"
	"slices"
	"strings"

	"calleridp/provider/client"
)

// Cross-origin requests are answered where browser applications need them, and
// never with credentials: the documents to anybody, the token, userinfo and
// revocation endpoints to the origins that clients have registered.

// allowOrigin lets pages of the origin read the answer.
func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
}

// preflight answers a CORS preflight (Fetch §3.2). It does not say for which
// client it asks, so the origins of all clients count.
func (p *Provider) preflight(w http.ResponseWriter, r *http.Request, methods []string) {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Allow", strings.Join(append(methods, http.MethodOptions), ", "))
	if origin := r.Header.Get("Origin"); origin != "" && p.Clients.OriginAllowed(r.Context(), origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// corsFor lets the page that sent the request read the answer, if the client
// that it names has registered the page's origin.
func (p *Provider) corsFor(w http.ResponseWriter, r *http.Request, clientID string) {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || clientID == "" {
		return
	}
	var c client.Client
	c, err := p.Clients.Client(r.Context(), clientID)
	if err == nil && slices.Contains(c.AllowedOrigins, origin) {
		allowOrigin(w.Header(), origin)
	}
}
