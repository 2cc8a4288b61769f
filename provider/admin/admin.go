// Package admin is the operators' HTTP API. It is served on a Unix socket, whose
// file permissions say who may use it; it has no other authentication.
//
//	GET    /v1/clients               all clients
//	POST   /v1/clients               a new one; the answer has its secret, once
//	GET    /v1/clients/{id}
//	DELETE /v1/clients/{id}
//	POST   /v1/clients/{id}/secret   a new secret
//	GET    /v1/keys                  the signing keys, without their private parts
//	POST   /v1/keys/rotate?force=    the next keys sign from now on
//	GET    /v1/stats                 counters of the store
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"calleridp/keys"
	"calleridp/provider/client"

	"github.com/go-chi/chi/v5"
)

// Clients is the registry. *client.Registry is one.
type Clients interface {
	Client(ctx context.Context, id string) (client.Client, error)
	List(ctx context.Context) ([]client.Client, error)
	Add(ctx context.Context, c client.Client) (added client.Client, secret string, err error)
	RotateSecret(ctx context.Context, id string) (secret string, err error)
	Remove(ctx context.Context, id string) error
}

// Keys is the set of signing keys. *keys.Ring is one.
type Keys interface {
	Keys() []keys.Info
	Rotate(ctx context.Context, force bool) error
}

// Config is what the API needs.
type Config struct {
	Clients Clients
	Keys    Keys
	Stats   func() any // counters, as they are written in JSON
	Audit   *slog.Logger
}

// Client is a client as the API writes it (RFC 7591 §2). Its secret is in the
// answers that make one, and nowhere else.
type Client struct {
	ID                     string   `json:"client_id"`
	Secret                 string   `json:"client_secret,omitempty"`
	Name                   string   `json:"client_name"`
	Public                 bool     `json:"public,omitempty"`
	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	AllowedOrigins         []string `json:"allowed_origins,omitempty"`
	Scopes                 []string `json:"scopes,omitempty"`
	IDTokenAlg             string   `json:"id_token_signed_response_alg,omitempty"`
	Pairwise               bool     `json:"pairwise,omitempty"`
	Region                 string   `json:"region,omitempty"`
	WithoutPKCE            bool     `json:"dangerously_without_pkce,omitempty"`
	FromConfig             bool     `json:"from_config,omitempty"`
}

// Problem is the answer to a request that was not carried out.
type Problem struct {
	Error string `json:"error"` // a sentence for the operator
}

// Handler serves the API.
func Handler(c Config) http.Handler {
	h := &handler{c}
	r := chi.NewRouter()
	r.Get("/v1/clients", h.list)
	r.Post("/v1/clients", h.add)
	r.Get("/v1/clients/{id}", h.show)
	r.Delete("/v1/clients/{id}", h.remove)
	r.Post("/v1/clients/{id}/secret", h.secret)
	r.Get("/v1/keys", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, h.Keys.Keys()) })
	r.Post("/v1/keys/rotate", h.rotate)
	r.Get("/v1/stats", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, h.Stats()) })
	return r
}

type handler struct{ Config }

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	all, err := h.Clients.List(r.Context())
	if err != nil {
		h.refuse(w, err)
		return
	}
	out := []Client{}
	for _, c := range all {
		out = append(out, shown(c))
	}
	reply(w, http.StatusOK, out)
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	c, err := h.Clients.Client(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		h.refuse(w, err)
		return
	}
	reply(w, http.StatusOK, shown(c))
}

func (h *handler) add(w http.ResponseWriter, r *http.Request) {
	var in Client
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, Problem{"the client is not readable: " + err.Error()})
		return
	}
	c, secret, err := h.Clients.Add(r.Context(), client.Client{
		ID: in.ID, Name: in.Name, Public: in.Public, RedirectURIs: in.RedirectURIs, PostLogoutRedirectURIs: in.PostLogoutRedirectURIs,
		AllowedOrigins: in.AllowedOrigins, Scopes: in.Scopes, IDTokenAlg: in.IDTokenAlg, Pairwise: in.Pairwise, Region: in.Region,
		WithoutPKCE: in.WithoutPKCE,
	})
	if err != nil {
		h.refuse(w, err)
		return
	}
	h.Audit.Info("client.added", "client", c.ID)
	out := shown(c)
	out.Secret = secret
	reply(w, http.StatusCreated, out)
}

func (h *handler) secret(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	secret, err := h.Clients.RotateSecret(r.Context(), id)
	if err != nil {
		h.refuse(w, err)
		return
	}
	h.Audit.Info("client.secret_rotated", "client", id)
	reply(w, http.StatusOK, Client{ID: id, Secret: secret})
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	if err := h.Clients.Remove(r.Context(), id); err != nil {
		h.refuse(w, err)
		return
	}
	h.Audit.Info("client.removed", "client", id)
	reply(w, http.StatusOK, Client{ID: id})
}

func (h *handler) rotate(w http.ResponseWriter, r *http.Request) {
	force := r.URL.Query().Get("force") == "true"
	if err := h.Keys.Rotate(r.Context(), force); err != nil {
		h.refuse(w, err)
		return
	}
	h.Audit.Info("keys.rotated", "force", force)
	reply(w, http.StatusOK, h.Keys.Keys())
}

// refuse answers with what operators may know, which is everything.
func (h *handler) refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	invalid := (*client.InvalidError)(nil)
	switch {
	case errors.Is(err, client.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, client.ErrExists), errors.Is(err, client.ErrFromConfig), errors.Is(err, keys.ErrTooYoung):
		status = http.StatusConflict
	case errors.As(err, &invalid):
		status = http.StatusUnprocessableEntity
	}
	reply(w, status, Problem{err.Error()})
}

func shown(c client.Client) Client {
	return Client{
		ID: c.ID, Name: c.Name, Public: c.Public, RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		AllowedOrigins: c.AllowedOrigins, Scopes: c.Scopes, IDTokenAlg: c.IDTokenAlg, Pairwise: c.Pairwise, Region: c.Region,
		WithoutPKCE: c.WithoutPKCE, FromConfig: c.FromConfig,
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
