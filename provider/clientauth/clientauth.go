// SPDX-License-Identifier: Apache-2.0

// Package clientauth authenticates the clients that call direct endpoints (RFC
// 6749 §2.3): the token, revocation and introspection endpoints.
//
// Each method has a file of its own: basic.go (client_secret_basic), post.go
// (client_secret_post), assertion.go (client_secret_jwt and private_key_jwt) and none.go
// (public clients). A method finds its credentials in a request; this file decides which
// method a request uses, so that no request uses two.
package clientauth

import (
	"context"
	"errors"
	"net/http"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/clientkeys"
	"calleridp/provider/endpoint"
	"calleridp/provider/redact"
)

// Credentials are what a request presents to authenticate its client. They have not
// been checked.
type Credentials struct {
	ClientID  string
	Secret    redact.Text       // "" for a public client
	Assertion redact.Text       // a signed JWT, instead of a secret
	Method    client.AuthMethod // by which they came; "" for an assertion, whose algorithm says it
}

// Registry authenticates clients. *client.Registry is one.
type Registry interface {
	// Authenticate returns the client whose credentials these are, or
	// client.ErrUnauthenticated.
	Authenticate(ctx context.Context, id, secret string) (client.Client, error)
	// Client returns the client with this id, or client.ErrNotFound.
	Client(ctx context.Context, id string) (client.Client, error)
}

// Config is what an Authenticator needs. Everything is required.
type Config struct {
	Issuer     string
	Registry   Registry
	Keys       *clientkeys.Keys
	Assertions client.Assertions
	Direct     *endpoint.Direct
	Addr       endpoint.ClientAddr
	Audit      audit.Recorder
}

// Authenticator serves direct endpoints to authenticated clients.
type Authenticator struct{ cfg Config }

// New returns an Authenticator.
func New(cfg Config) *Authenticator { return &Authenticator{cfg} }

// Endpoint describes a direct endpoint whose callers are clients.
type Endpoint struct {
	Name         string // for the log
	Path         string // below the issuer
	CORS         bool   // browser applications may call it
	Confidential bool   // public clients are refused

	// Check looks at the parameters before the client authenticates: what is
	// malformed is refused without a look at the registry. nil for nothing.
	Check func(in endpoint.Parameters) error

	// Serve handles the request of an authenticated client.
	Serve func(r *http.Request, c client.Client, in endpoint.Parameters) (any, error)
}

// Serve serves e by POST.
func (a *Authenticator) Serve(e Endpoint) http.HandlerFunc {
	return a.cfg.Direct.Serve(endpoint.DirectEndpoint{
		Name:    e.Name,
		Methods: []string{http.MethodPost},
		Scheme:  endpoint.Client,
		CORS:    e.CORS,
		Handle: func(w http.ResponseWriter, r *http.Request) (any, error) {
			in, err := readBody(r)
			given := Credentials{ClientID: in.Get("client_id")}
			var unreadable error
			if err == nil {
				given, unreadable = credentials(r, in)
			}
			if e.CORS {
				a.cfg.Direct.AllowClientID(w, r, given.ClientID)
			}
			if err != nil {
				return nil, err
			}
			if unreadable != nil {
				return nil, a.unauthenticated(r, e, given, unreadable)
			}
			if e.Check != nil {
				if err := e.Check(in); err != nil {
					return nil, err
				}
			}
			c, err := a.authenticate(r.Context(), e, given)
			if err != nil {
				return nil, a.unauthenticated(r, e, given, err)
			}
			return e.Serve(r, c, in)
		},
	})
}

// readBody reads the parameters of a request.
func readBody(r *http.Request) (endpoint.Parameters, error) {
	in, err := endpoint.BodyOf(r)
	if err == nil && in.AnyRepeated() != "" {
		err = endpoint.InvalidRequest(endpoint.ErrRepeated.Error() + " (RFC 6749 section 3.2)")
	}
	return in, err
}

// credentials returns what a request presents to authenticate its client, by one
// method only (RFC 6749 §2.3). They name the client as soon as the request does, also
// beside an error.
func credentials(r *http.Request, in endpoint.Parameters) (Credentials, error) {
	switch header := r.Header.Values("Authorization"); {
	case in.Has("client_assertion") || in.Has("client_assertion_type"):
		return assertion(header, in)
	case len(header) > 0:
		return basic(r, header, in)
	case in.Get("client_secret") != "":
		return post(in)
	default:
		return none(in)
	}
}

// authenticate checks the credentials against the registry. An unknown client
// and a wrong secret get the same response.
func (a *Authenticator) authenticate(ctx context.Context, e Endpoint, given Credentials) (client.Client, error) {
	if given.Assertion != "" {
		return a.authenticateByAssertion(ctx, e, given)
	}
	c, err := a.cfg.Registry.Authenticate(ctx, given.ClientID, string(given.Secret))
	switch {
	case errors.Is(err, client.ErrUnauthenticated):
		return client.Client{}, unauthenticated()
	// A client that has registered a method uses no other (RFC 7591 §2).
	case err == nil && !c.Accepts(given.Method):
		return client.Client{}, endpoint.InvalidClient("the client is registered for " + string(c.AuthMethod))
	case err == nil && e.Confidential && c.Public:
		return client.Client{}, endpoint.InvalidClient("client must be authenticated")
	}
	return c, err
}

// unauthenticated returns err, and audits it if it is a refusal. The audit names
// registered clients only: a caller can make up any other client_id.
func (a *Authenticator) unauthenticated(r *http.Request, e Endpoint, given Credentials, err error) error {
	refusal, ok := errors.AsType[*endpoint.Refusal](err)
	if !ok { // a failure of ours
		return err
	}
	event := audit.Event{
		Name:     audit.ClientUnauthenticated,
		Endpoint: e.Name,
		Network:  a.cfg.Addr.Network(r),
		Err:      errors.New(string(refusal.OAuth.ErrorType)),
	}
	if c, notFound := a.cfg.Registry.Client(r.Context(), given.ClientID); notFound == nil {
		event.Client = c.ID
	}
	a.cfg.Audit.Record(r.Context(), event)
	return err
}

var errUnnamed = endpoint.InvalidClient("client_id is missing")
