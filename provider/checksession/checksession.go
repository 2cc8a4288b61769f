// SPDX-License-Identifier: Apache-2.0

// Package checksession is the check_session_iframe: a page of ours within a page of a
// client's, which tells that page when the browser's state has changed (OpenID Connect
// Session Management 1.0 §3.2). The page compares values in the browser, and asks the
// server nothing.
package checksession

import (
	"context"
	"net/http"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/go-chi/chi/v5"
)

// Pages draws the page. Package ui implements it.
type Pages interface {
	// CheckSession writes the whole response, status included.
	CheckSession(w http.ResponseWriter, r *http.Request, v View)
}

// View is what the page's script needs.
type View struct {
	Origin string // of the only pages that may have the page in them, and get answers
	Cookie string // the name of the state's cookie
}

// Clients knows the relying parties. *client.Registry is one.
type Clients interface {
	// PageAllowed reports whether the origin is that of any client's pages.
	PageAllowed(ctx context.Context, origin string) bool
}

// Config is what the endpoint needs. Everything is required.
type Config struct {
	Issuer  string
	Browser *endpoint.Browser
	Pages   Pages
	Cookies endpoint.Cookies
	Clients Clients
}

// Endpoint is the check_session_iframe.
type Endpoint struct{ cfg Config }

// New returns an Endpoint.
func New(cfg Config) *Endpoint { return &Endpoint{cfg: cfg} }

// Mount registers the endpoint's path.
func (e *Endpoint) Mount(r chi.Router) {
	r.HandleFunc(endpoint.PathCheckSession, e.cfg.Browser.Page(e.page, http.MethodGet, http.MethodHead))
}

// Metadata implements endpoint.Describer (§3.3).
func (e *Endpoint) Metadata() endpoint.Metadata {
	return endpoint.Metadata{{Name: "check_session_iframe", Value: e.cfg.Issuer + endpoint.PathCheckSession}}
}

// page shows the page to the pages of clients, of which the Referer has at least the
// origin unless they withhold it. A page of any other site gets none: it would learn from
// the responses whether a user is signed in (§6).
func (e *Endpoint) page(w http.ResponseWriter, r *http.Request) error {
	origin := client.OriginOf(r.Header.Get("Referer"))
	if origin == "" || !e.cfg.Clients.PageAllowed(r.Context(), origin) {
		return endpoint.NewPageError(endpoint.ErrorCrossOrigin, http.StatusForbidden,
			"%q is not the origin of a registered redirect URI: the page that has this one in a frame must be a client's, and send its origin as the Referer",
			endpoint.Clip(origin))
	}
	e.cfg.Pages.CheckSession(w, r, View{Origin: origin, Cookie: e.cfg.Cookies.StateName()})
	return nil
}
