// SPDX-License-Identifier: Apache-2.0

// Package registration lets clients register themselves (OpenID Connect Dynamic Client
// Registration 1.0, RFC 7591) and manage what they have registered (RFC 7592). They are
// strangers: each of them needs PKCE, asks for consent, and shows no logo on a page, unless the
// operator wants it.
//
//	registration.go  the registration endpoint
//	manage.go        the configuration endpoint of each client
//	metadata.go      what a client may say of itself, read and written
//	requestobjects.go  what it says of its request objects
//	responses.go     how its responses are signed and encrypted
//	redirect.go      where a stranger's redirects may lead
//	sector.go        sector_identifier_uri
//	refuse.go        error responses
//	unused.go        removes clients that are not used
package registration

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"

	"github.com/go-chi/chi/v5"
)

// Mode says who may register clients.
type Mode string

// The modes.
const (
	Closed Mode = ""      // there is no endpoint
	Token  Mode = "token" // clients with an initial access token (RFC 7591 §3)
	Open   Mode = "open"  // every client
)

// Policy is what an operator decides. The zero value is closed.
type Policy struct {
	Mode        Mode
	Origins     []string      // whose pages may call (CORS)
	Network     limit.Rate    // tries to register or to change a client from one IPv4 address or IPv6 /64; from a /56 four times, from a /48 sixteen times as many
	Deployment  limit.Rate    // registrations of all
	Most        int           // clients that are registered at once
	UnusedFor   time.Duration // after which a client is removed that was never used
	ShowLogos   bool          // their logos are on pages; nothing proves that a logo is theirs
	WithoutPKCE bool          // excuses confidential clients as long as it is set, for test suites that know no PKCE
}

// Clients is the registry. *client.Registry is one.
type Clients interface {
	Register(ctx context.Context, c client.Client, terms client.Terms) (client.Registered, error)
	Registered(ctx context.Context, id, token string) (client.Client, error)
	ChangeRegistered(ctx context.Context, id, token string, c client.Client) (changed client.Client, secret string, err error)
	RemoveRegistered(ctx context.Context, id, token string) error
	RemoveUnused(ctx context.Context, before time.Time) ([]string, error)
	InitialTokenOf(ctx context.Context, text string) (client.InitialToken, error)
	SpendOnRegistration(ctx context.Context, spend limit.Spend) error
}

// Fetcher reads what clients have published. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, address, accept string) ([]byte, error)
}

// Config is what the room needs. Everything is required.
type Config struct {
	Issuer   string
	Policy   Policy
	Direct   *endpoint.Direct
	Clients  Clients
	Fetch    Fetcher
	Logos    endpoint.Logos
	Addr     endpoint.ClientAddr
	Failures endpoint.Failures
	Audit    audit.Recorder
}

// Endpoint is the registration endpoint with the configuration endpoints.
type Endpoint struct{ cfg Config }

// New returns an Endpoint.
func New(cfg Config) *Endpoint { return &Endpoint{cfg} }

// Mount registers the room's paths: none, if registration is closed.
func (e *Endpoint) Mount(r chi.Router) {
	if e.cfg.Policy.Mode == Closed {
		return
	}
	r.Handle(endpoint.PathRegister, e.serve("registration", e.register, http.MethodPost))
	r.Handle(endpoint.PathRegister+"/{client_id}", e.serve("client configuration", e.manage,
		http.MethodGet, http.MethodPut, http.MethodDelete))
}

// Metadata implements endpoint.Describer.
func (e *Endpoint) Metadata() endpoint.Metadata {
	if e.cfg.Policy.Mode == Closed {
		return nil
	}
	return endpoint.Metadata{{Name: "registration_endpoint", Value: e.cfg.Issuer + endpoint.PathRegister}}
}

// serve serves an endpoint, with CORS for the operator's origins.
func (e *Endpoint) serve(name string, handle endpoint.DirectHandler, methods ...string) http.HandlerFunc {
	direct := e.cfg.Direct.Serve(endpoint.DirectEndpoint{
		Name:    name,
		Methods: methods,
		Scheme:  endpoint.Registration,
		Handle:  func(w http.ResponseWriter, r *http.Request) (any, error) { return e.answer(w, r, handle) },
	})
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if len(e.cfg.Policy.Origins) > 0 {
			h.Add("Vary", "Origin")
		}
		if origin := r.Header.Get("Origin"); slices.Contains(e.cfg.Policy.Origins, origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		direct(w, r)
	}
}

// answer carries a request out, and audits what is refused.
func (e *Endpoint) answer(w http.ResponseWriter, r *http.Request, handle endpoint.DirectHandler) (any, error) {
	out, err := handle(w, r)
	if err = refusalOf(err); err != nil {
		if refusal, ok := errors.AsType[*endpoint.Refusal](err); ok {
			e.cfg.Audit.Record(r.Context(), audit.Event{
				Name:    audit.RegistrationRefused,
				Network: e.cfg.Addr.Network(r),
				Err:     errors.New(string(refusal.OAuth.ErrorType)),
			})
		}
	}
	return out, err
}

// register registers a client (RFC 7591 §3, OpenID Connect Dynamic Client Registration §3).
func (e *Endpoint) register(_ http.ResponseWriter, r *http.Request) (any, error) {
	ctx := r.Context()
	terms := client.Terms{Most: e.cfg.Policy.Most, Spend: e.deploymentSpend()}
	initial := ""
	if given, ok := bearer(r); ok || e.cfg.Policy.Mode == Token {
		token, err := e.cfg.Clients.InitialTokenOf(ctx, given)
		if err != nil {
			return nil, err
		}
		terms.Token, initial = &token.Hash, token.ID
	}
	c, err := e.read(r)
	if err != nil {
		return nil, err
	}
	c.Registration.InitialToken = initial
	out, err := e.cfg.Clients.Register(ctx, c, terms)
	for _, id := range out.Removed {
		e.cfg.Audit.Record(ctx, audit.Event{Name: audit.ClientExpired, Client: id})
	}
	if err != nil {
		return nil, err
	}
	e.record(r, audit.ClientRegistered, out.Client.ID)
	e.cfg.Logos.Of(out.Client) // fetched for the first page
	return endpoint.Answer{Status: http.StatusCreated, Body: e.written(out.Client, out.Secret, out.Token)}, nil
}

// read reads the client that a request describes.
func (e *Endpoint) read(r *http.Request) (client.Client, error) {
	in, err := readMembers(r)
	if err != nil {
		return client.Client{}, err
	}
	return e.clientOf(r, in)
}

// clientOf returns the client that the members describe. It charges the network before
// anything is fetched or stored; also for a change, which may name another jwks_uri each
// time.
func (e *Endpoint) clientOf(r *http.Request, in members) (client.Client, error) {
	c, err := clientOf(in)
	if err != nil {
		return client.Client{}, err
	}
	if err := e.cfg.Clients.SpendOnRegistration(r.Context(), e.networkSpend(r)); err != nil {
		return client.Client{}, err
	}
	return c, e.checkSector(r.Context(), &c)
}

// networkSpend is what a try costs its networks.
func (e *Endpoint) networkSpend(r *http.Request) limit.Spend {
	return limit.Spend{Asker: limit.OnNetworks(limit.RegistrationNetwork, e.cfg.Addr.Network(r), e.cfg.Policy.Network)}
}

func (e *Endpoint) deploymentSpend() limit.Spend {
	return limit.Spend{Asker: []limit.Charge{{
		Key:  limit.Key{Kind: limit.RegistrationDeployment},
		Rate: e.cfg.Policy.Deployment,
	}}}
}

func (e *Endpoint) record(r *http.Request, name audit.Name, clientID string) {
	e.cfg.Audit.Record(r.Context(), audit.Event{Name: name, Client: clientID, Network: e.cfg.Addr.Network(r)})
}

// bearer returns the token that a request presents (RFC 6750 §2.1). ok is false for a
// request without the header.
func bearer(r *http.Request) (token string, ok bool) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if len(header) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}
