// Package admin is the operators' HTTP API. It is served on a Unix socket, whose file
// permissions decide who may use it. It has no other authentication and must not be
// served anywhere else.
//
//	GET    /v1/clients               all clients
//	POST   /v1/clients               a new one; the response has its secret, once
//	GET    /v1/clients/{id}
//	DELETE /v1/clients/{id}
//	POST   /v1/clients/{id}/secret   a new secret, in the response, once
//	GET    /v1/registration-tokens   the initial access tokens of client registration
//	POST   /v1/registration-tokens   a new one, in the response, once
//	DELETE /v1/registration-tokens/{id}
//	GET    /v1/keys                  the signing keys, without their private parts
//	POST   /v1/keys/rotate?force=    activate the next keys
//	DELETE /v1/keys/{kid}            remove a retired key from the JWKS at once
//	POST   /v1/limits/show           the state of a lock and a budget
//	POST   /v1/limits/clear          release the lock and refill the budget
//	POST   /v1/users/find            the user who has a number
//	GET    /v1/users/{sub}
//	POST   /v1/users/{sub}/signout   end all their sessions
//	DELETE /v1/users/{sub}           delete everything about them
//	GET    /v1/notices               what waits for which client, and how deliveries went
//	POST   /v1/notices/{id}/retry    try at once what waits for a client
//	DELETE /v1/notices/{id}          delete it
//	GET    /v1/audit/heads           how far the chains of the audit are, for audit verify
//	GET    /v1/stats                 counters of the store
//
// Responses are JSON. A failed request gets a status of 400 or more and a Problem.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"

	"github.com/go-chi/chi/v5"
)

// Clients is the registry. *client.Registry is one.
type Clients interface {
	Client(ctx context.Context, id string) (client.Client, error)
	List(ctx context.Context) ([]client.Client, error)
	Add(ctx context.Context, c client.Client) (added client.Client, secret string, err error)
	RotateSecret(ctx context.Context, id string) (secret string, err error)
	Remove(ctx context.Context, id string) error

	AddInitialToken(ctx context.Context, note string, life time.Duration, uses int) (t client.InitialToken, text string, err error)
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

// Config is what the API needs. Everything is required.
type Config struct {
	Clients Clients
	Keys    Keys
	Budgets Budgets
	People  People
	Notices Notices
	Limits  login.Limits // the rates of the budgets
	Region  string       // in which national numbers are read; may be ""

	LongestLock time.Duration // how long a number may be locked at most
	CoolDown    limit.CoolDown

	// AuditHeads are what the store knows of the chains of the audit.
	AuditHeads func(context.Context) ([]trail.Head, error)

	Stats func() any     // counters, as they are written in JSON
	Log   *slog.Logger   // failures of our own
	Audit audit.Recorder // what operators looked at and changed
}

// Problem is the response to a failed request.
type Problem struct {
	Error string `json:"error"` // a sentence for the operator
}

// Handler serves the API.
func Handler(c Config) http.Handler {
	h := &handler{c}
	r := chi.NewRouter()
	r.Get("/v1/clients", h.respond(h.list))
	r.Post("/v1/clients", h.respond(h.add))
	r.Get("/v1/clients/{id}", h.respond(h.show))
	r.Delete("/v1/clients/{id}", h.respond(h.remove))
	r.Post("/v1/clients/{id}/secret", h.respond(h.secret))
	r.Get("/v1/registration-tokens", h.respond(h.listTokens))
	r.Post("/v1/registration-tokens", h.respond(h.addToken))
	r.Delete("/v1/registration-tokens/{id}", h.respond(h.removeToken))
	r.Get("/v1/keys", h.respond(h.keys))
	r.Post("/v1/keys/rotate", h.respond(h.rotate))
	r.Delete("/v1/keys/{kid}", h.respond(h.removeKey))
	r.Post("/v1/limits/show", h.respond(h.showLimits))
	r.Post("/v1/limits/clear", h.respond(h.clearLimits))
	r.Post("/v1/users/find", h.respond(h.findUser))
	r.Get("/v1/users/{sub}", h.respond(h.showUser))
	r.Post("/v1/users/{sub}/signout", h.respond(h.signOutUser))
	r.Delete("/v1/users/{sub}", h.respond(h.deleteUser))
	r.Get("/v1/notices", h.respond(h.listNotices))
	r.Post("/v1/notices/{id}/retry", h.respond(h.retryNotices))
	r.Delete("/v1/notices/{id}", h.respond(h.dropNotices))
	r.Get("/v1/audit/heads", h.respond(func(r *http.Request) (int, any, error) {
		heads, err := h.AuditHeads(r.Context())
		return http.StatusOK, append([]trail.Head{}, heads...), err
	}))
	r.Get("/v1/stats", h.respond(func(*http.Request) (int, any, error) { return http.StatusOK, h.Stats(), nil }))
	r.NotFound(h.respond(func(*http.Request) (int, any, error) {
		return 0, nil, refused{http.StatusNotFound, "there is no such path; another version of calleridp may have it"}
	}))
	r.MethodNotAllowed(h.respond(func(*http.Request) (int, any, error) {
		return 0, nil, refused{http.StatusMethodNotAllowed, "this path has no such method"}
	}))
	return r
}

type handler struct{ Config }

// refused is a request that is refused, with a sentence for the operator.
type refused struct {
	status int
	text   string
}

func (e refused) Error() string { return e.text }

// away begins what an operator is told while the store cannot be asked.
const away = "the server cannot use its store now; run the command again when /readyz responds with 200, and if the outcome is unknown, look first whether it was done: "

// respond writes what a handler returned: a status and a value, or an error.
func (h *handler) respond(do func(r *http.Request) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		status, value, err := do(r)
		if refusal, ok := errors.AsType[refused](err); ok {
			status, value = refusal.status, Problem{refusal.text}
		} else if err != nil {
			h.Log.ErrorContext(r.Context(), "an operator's request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			status, value = http.StatusInternalServerError, Problem{"the server failed: " + err.Error()}
			var passing interface{ Unavailable() time.Duration } // as for requests of users
			if errors.As(err, &passing) {
				status, value = http.StatusServiceUnavailable, Problem{away + err.Error()}
			}
		}
		body, err := json.Marshal(value)
		if err != nil {
			h.Log.ErrorContext(r.Context(), "an answer to an operator could not be written", "error", err)
			status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		w.Write(append(body, '\n')) // an error means that the operator disconnected
	}
}

func (h *handler) keys(r *http.Request) (int, any, error) {
	if err := h.Keys.Refresh(r.Context()); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, h.Keys.Keys(), nil
}

func (h *handler) rotate(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	alg, force := query.Get("alg"), query.Get("force") == "true"
	switch err := h.Keys.Rotate(r.Context(), alg, force); {
	case errors.Is(err, keys.ErrTooYoung):
		return 0, nil, refused{http.StatusConflict, err.Error()}
	case errors.Is(err, keys.ErrNoAlgorithm):
		return 0, nil, refused{http.StatusUnprocessableEntity, "there are no keys for " + strconv.Quote(alg)}
	case err != nil:
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.KeysRotated, Alg: alg, Force: force})
	return http.StatusOK, h.Keys.Keys(), nil
}

func (h *handler) removeKey(r *http.Request) (int, any, error) {
	kid := chi.URLParam(r, "kid")
	switch err := h.Keys.Remove(r.Context(), kid); {
	case errors.Is(err, keys.ErrNoKey):
		return 0, nil, refused{http.StatusNotFound, "there is no key " + kid}
	case errors.Is(err, keys.ErrInUse):
		return 0, nil, refused{http.StatusConflict, "key " + kid + " is not retired; force a rotation first, or two for a next key"}
	case err != nil:
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), audit.Event{Name: audit.KeysRemoved, Key: kid})
	return http.StatusOK, h.Keys.Keys(), nil
}
