// SPDX-License-Identifier: Apache-2.0

// Package admin is the operators' API: what they may look at and change while the server
// runs. Its operations are methods of API; Handler serves them over HTTP (huma on chi), with
// the OpenAPI document that is generated from them at /openapi.json and a page of it at /docs.
//
//	admin.go         API, its configuration, and the handler
//	operation.go     how an operation is added: its scope, its errors, its size
//	access.go        who calls, and what they may do; authenticate.go knows them by an API key
//	change.go        the one way to a change, behind its line in the audit
//	problem.go       what is refused and what fails (RFC 9457)
//	etag.go page.go once.go   entity tags, parts of lists, requests that are sent again
//	the rest         one file a noun
//
// Every operation begins with allowed: a context without access is refused. A phone number
// and a secret never travel in an address (invariant 10).
package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"calleridp/keys"
	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/idempotency"
	"calleridp/provider/limit"
	"calleridp/provider/login"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

// Clients is the registry. *client.Registry is one.
type Clients interface {
	Client(ctx context.Context, id string) (client.Client, error)
	List(ctx context.Context) ([]client.Client, error)
	CheckNew(ctx context.Context, c client.Client) error
	CheckChange(id string) error
	Add(ctx context.Context, c client.Client) (added client.Client, secret string, err error)
	CheckEdit(known, next client.Client) error
	Edit(ctx context.Context, id string, edit func(known client.Client) (client.Client, error)) (edited client.Client, secret string, err error)
	Import(ctx context.Context, c client.Client, dryRun bool) error
	RotateSecret(ctx context.Context, id string) (secret string, err error)
	Remove(ctx context.Context, id string) error

	AddInitialToken(ctx context.Context, t client.InitialToken) error
	InitialTokens(ctx context.Context) ([]client.InitialToken, error)
	RemoveInitialToken(ctx context.Context, id string) error
}

// Keys is the set of signing keys. *keys.Ring is one.
type Keys interface {
	Keys() []keys.Info
	Refresh(ctx context.Context) error // makes Keys return what another process has stored
	Rotate(ctx context.Context, alg string, force bool) error
	Remove(ctx context.Context, kid string) error
}

// Config is what the API needs. Everything is required, unless it says otherwise.
type Config struct {
	Issuer   string
	Clients  Clients
	Keys     Keys
	Budgets  Budgets
	People   People
	Sessions Sessions
	Grants   Grants
	Notices  Notices
	Streams  Streams
	APIKeys  apikey.Store
	Requests idempotency.Store // those with an Idempotency-Key
	Backups  Backups           // nil: the engine has tools of its own
	Limits   login.Limits      // the rates of the budgets
	Region   string            // in which national numbers are read; may be ""

	LongestLock time.Duration // how long a number may be locked at most
	CoolDown    limit.CoolDown

	Effective func() any                            // the configuration in use, without its secrets
	Now       func(context.Context) (Status, error) // how the server is, without its keys
	// AuditHeads are what the store knows of the chains of the audit.
	AuditHeads func(context.Context) ([]trail.Head, error)
	Lines      audit.Reader // of the audit; its ErrNoReader is one that is in no file

	Stats func() any            // counters, as they are written in JSON
	Log   *slog.Logger          // failures of our own
	Audit audit.DurableRecorder // what operators looked at and changed
	// Docs returns the handler of /docs and what is below it, for the OpenAPI document of the
	// API. nil: there is no such page.
	Docs func(document []byte) http.Handler
}

// API is the operators' API.
type API struct {
	Config
	router *chi.Mux
	docs   huma.API

	failures failures
}

// New builds the API.
func New(c Config) *API {
	a := &API{Config: c, router: chi.NewRouter()}
	a.router.Use(headers, a.authenticate, conditional)
	a.router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, refused(http.StatusNotFound, "there is no such path; another version of calleridp may have it"))
	})
	a.router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, refused(http.StatusMethodNotAllowed, "this path has no such method"))
	})
	a.docs = document(a.router)
	a.clients()
	a.keys()
	a.users()
	a.numbers()
	a.sessions()
	a.grants()
	a.limits()
	a.registrationTokens()
	a.notices()
	a.streams()
	a.apiKeys()
	a.backups()
	a.imports()
	a.status()
	a.auditHeads()
	a.auditLines()
	if c.Docs != nil {
		text, err := json.Marshal(a.docs.OpenAPI())
		if err != nil {
			panic("admin: the document of the API cannot be written: " + err.Error())
		}
		docs := c.Docs(text)
		a.router.Handle("/docs", docs)
		a.router.Handle("/docs/*", docs)
	}
	return a
}

// Handler serves the API to requests whose context has an access (OnSocket, WithAccess), or
// that have an API key.
func (a *API) Handler() http.Handler { return a.router }

// headers sets what every response has.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// writeProblem writes a problem where huma does not.
func writeProblem(w http.ResponseWriter, _ *http.Request, p *Problem) {
	maps.Copy(w.Header(), p.GetHeaders())
	body, err := json.Marshal(p)
	if err != nil {
		panic("admin: a problem cannot be written: " + err.Error())
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n')) // an error means that the operator disconnected
}
