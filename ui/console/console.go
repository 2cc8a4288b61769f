// SPDX-License-Identifier: Apache-2.0

// Package console draws the operators' web interface. It has no rule of its own: who may use
// it is decided by provider/console, and whatever it shows or changes goes through the
// operations of provider/admin, as a request of the API does.
//
//	console.go   the handler and its routes
//	chrome.go    what all pages have in common: headers, layout, forms, refusals
//	door.go      signing in and out
//	docs.go      the page of the admin API, without a sign-in
//	overview.go  the funnel, durations and health; charts.go draws
//	the rest     one file a noun of provider/admin
//
// Pages work without a script and have none. Everything that changes something is a POST
// with a token of the session; a phone number and a secret are in no address (invariant 10).
package console

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/apikey"
	"calleridp/provider/console"
	"calleridp/provider/funnel"

	"github.com/go-chi/chi/v5"
)

//go:embed templates static docs
var files embed.FS

// Door lets operators in. *console.Console is one.
type Door interface {
	Begin(w http.ResponseWriter, r *http.Request) error
	Callback(w http.ResponseWriter, r *http.Request) error
	Session(w http.ResponseWriter, r *http.Request) (console.Session, error)
	UseKey(w http.ResponseWriter, r *http.Request, k apikey.Key) error
	SignOut(w http.ResponseWriter, r *http.Request, s console.Session) error
	Issuer() string
}

// Fact is a line about the server's health.
type Fact struct {
	Name, Value, Note string
	Good, Bad         bool
}

// Funnel is what was counted of sign-ins. *funnel.Counter is one.
type Funnel interface {
	Funnel(ctx context.Context, unit funnel.Unit, from, to time.Time) ([]funnel.Period, error)
}

// Config is what the pages need. All is required.
type Config struct {
	Door     Door
	API      *admin.API
	Defaults any // the configuration that API shows, if nothing were set
	Funnel   Funnel
	Health   func(ctx context.Context) []Fact // of this server, apart from what API tells
	Tokens   string                           // CSS: the custom properties of the design
	Log      *slog.Logger
}

// Handler serves everything below /console.
func Handler(c Config) http.Handler {
	icon, err := fs.ReadFile(files, "static/icon.svg")
	if err != nil {
		panic("console: the icon is not built in: " + err.Error())
	}
	h := &handler{cfg: c, pages: parsePages(), style: newStyle(c.Tokens)}
	// A page of another origin cannot make an operator's browser do anything, also not one
	// on another port of the same host, which SameSite lets through.
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.message(w, r, http.StatusForbidden, "Not from here", "The request came from a page of another address, so it was not carried out.", "/console/", "To the console")
	}))
	r := chi.NewRouter()
	r.Use(headers, crossOrigin.Handler)
	r.Get("/console", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, console.PathHome, http.StatusSeeOther)
	})
	r.Get(h.style.path, h.style.serve)
	r.Get("/console/static/icon.svg", serveFile("image/svg+xml", icon))
	r.Get(console.PathSignIn, h.signIn)
	r.Get(pathBegin, h.begin)
	r.Get(console.PathCallback, h.callback)
	r.Post(pathKey, h.signInByKey)
	r.Post("/console/signout", h.signedIn(h.signOut))

	r.Get(console.PathHome, h.signedIn(h.overview))
	r.Get("/console/clients", h.signedIn(h.clients))
	r.Get("/console/clients/new", h.signedIn(h.newClient))
	r.Post("/console/clients/new", h.signedIn(h.addClient))
	r.Get("/console/clients/{id}", h.signedIn(h.client))
	r.Get("/console/clients/{id}/edit", h.signedIn(h.editClient))
	r.Post("/console/clients/{id}/edit", h.signedIn(h.saveClient))
	r.Post("/console/clients/{id}/secret", h.signedIn(h.rotateSecret))
	r.Post("/console/clients/{id}/remove", h.signedIn(h.removeClient))
	r.Get("/console/users", h.signedIn(h.users))
	r.Post("/console/users/find", h.signedIn(h.findUser))
	r.Post("/console/users/sub", h.signedIn(h.goToUser))
	r.Get("/console/users/{sub}", h.signedIn(h.user))
	r.Post("/console/users/{sub}/signout", h.signedIn(h.signOutUser))
	r.Post("/console/users/{sub}/erase", h.signedIn(h.eraseUser))
	r.Post("/console/users/{sub}/revoke", h.signedIn(h.revokeApplication))
	r.Post("/console/users/{sub}/sessions/end", h.signedIn(h.endSession))
	r.Get("/console/grants", h.signedIn(h.grants))
	r.Post("/console/grants/revoke", h.signedIn(h.revokeGrant))
	r.Get("/console/limits", h.signedIn(h.limits))
	r.Post("/console/limits", h.signedIn(h.limits))
	r.Get("/console/notices", h.signedIn(h.notices))
	r.Post("/console/notices/retry", h.signedIn(h.retryNotices))
	r.Post("/console/notices/drop", h.signedIn(h.dropNotices))
	r.Get("/console/keys", h.signedIn(h.keys))
	r.Post("/console/keys/rotate", h.signedIn(h.rotateKeys))
	r.Post("/console/keys/remove", h.signedIn(h.removeKey))
	r.Get("/console/api-keys", h.signedIn(h.apiKeys))
	r.Post("/console/api-keys", h.signedIn(h.addAPIKey))
	r.Post("/console/api-keys/remove", h.signedIn(h.removeAPIKey))
	r.Get("/console/audit", h.signedIn(h.audit))
	r.Get("/console/settings", h.signedIn(h.settings))
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		h.message(w, r, http.StatusNotFound, "No such page", "The console has no page at this address.", "/console/", "To the console")
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		h.message(w, r, http.StatusMethodNotAllowed, "Not like this", "The console does not take this kind of request at this address.", "/console/", "To the console")
	})
	return r
}

type handler struct {
	cfg   Config
	pages pages
	style style
}

// navigation are the pages in the header, with the scope without which they are left out.
var navigation = []struct {
	name, path string
	scope      apikey.Scope
}{
	{"Overview", console.PathHome, apikey.StatusRead},
	{"Clients", "/console/clients", apikey.ClientsRead},
	{"Users", "/console/users", apikey.UsersRead},
	{"Grants", "/console/grants", apikey.GrantsRead},
	{"Limits", "/console/limits", apikey.LimitsRead},
	{"Logout notices", "/console/notices", apikey.NoticesRead},
	{"Signing keys", "/console/keys", apikey.KeysRead},
	{"API keys", "/console/api-keys", apikey.APIKeysRead},
	{"Audit", "/console/audit", apikey.AuditRead},
	{"Configuration", "/console/settings", apikey.ConfigRead},
}
