// Package clientauth authenticates the clients that call direct endpoints (RFC
// 6749 §2.3): the token, revocation and introspection endpoints.
//
// Each method has a file of its own: basic.go (client_secret_basic), post.go
// (client_secret_post) and none.go (public clients). A method finds its
// credentials in a request; this file decides which method a request uses, so
// that no request uses two.
package clientauth

import (
	"context"
	"errors"
	"net/http"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/redact"
)

// Credentials are what a request presents to authenticate its client. They are
// checked by nobody yet.
type Credentials struct {
	ClientID string
	Secret   redact.Text // "" for a public client
}

// Registry authenticates clients. *client.Registry is one.
type Registry interface {
	// Authenticate returns the client whose credentials these are, or
	// client.ErrUnauthenticated.
	Authenticate(ctx context.Context, id, secret string) (client.Client, error)
}

// Authenticator serves direct endpoints to authenticated clients.
type Authenticator struct {
	registry Registry
	direct   *endpoint.Direct
}

// New returns an Authenticator.
func New(registry Registry, direct *endpoint.Direct) *Authenticator {
	return &Authenticator{registry: registry, direct: direct}
}

// Endpoint describes a direct endpoint whose callers are clients.
type Endpoint struct {
	Name         string // for the log
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
	return a.direct.Serve(endpoint.DirectEndpoint{
		Name:    e.Name,
		Methods: []string{http.MethodPost},
		Scheme:  endpoint.Client,
		CORS:    e.CORS,
		Handle: func(w http.ResponseWriter, r *http.Request) (any, error) {
			in, given, err := read(r)
			if e.CORS {
				a.direct.AllowClientID(w, r, given.ClientID)
			}
			if err != nil {
				return nil, err
			}
			if e.Check != nil {
				if err := e.Check(in); err != nil {
					return nil, err
				}
			}
			c, err := a.authenticate(r.Context(), given)
			if err != nil {
				return nil, err
			}
			if e.Confidential && c.Public {
				return nil, endpoint.InvalidClient("client must be authenticated")
			}
			return e.Serve(r, c, in)
		},
	})
}

// read reads the body of a request and the credentials that it presents, by one
// method only (RFC 6749 §2.3). The credentials name the client as soon as the
// request does, also beside an error.
func read(r *http.Request) (endpoint.Parameters, Credentials, error) {
	in, err := endpoint.BodyOf(r)
	given := Credentials{ClientID: in.Get("client_id")}
	if err != nil {
		return in, given, err
	}
	if in.AnyRepeated() != "" {
		return in, given, endpoint.InvalidRequest(endpoint.ErrRepeated.Error() + " (RFC 6749 section 3.2)")
	}
	if in.Has("client_assertion") || in.Has("client_assertion_type") {
		return in, given, endpoint.InvalidClient("client assertions are not supported")
	}
	switch header := r.Header.Values("Authorization"); {
	case len(header) > 0:
		given, err = basic(r, header, in)
	case in.Get("client_secret") != "":
		given, err = post(in)
	default:
		given, err = none(in)
	}
	return in, given, err
}

// authenticate checks the credentials against the registry. An unknown client
// and a wrong secret get the same response.
func (a *Authenticator) authenticate(ctx context.Context, given Credentials) (client.Client, error) {
	c, err := a.registry.Authenticate(ctx, given.ClientID, string(given.Secret))
	if errors.Is(err, client.ErrUnauthenticated) {
		return client.Client{}, endpoint.InvalidClient("client authentication failed")
	}
	return c, err
}

var errUnnamed = endpoint.InvalidClient("the client does not say who it is")
