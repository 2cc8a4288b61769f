// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// presented is an authorization request as its query and its request object say it.
type presented struct {
	in      endpoint.Parameters // what counts
	signed  bool                // the client has signed what counts
	refusal *oidc.Error         // why its object is refused; then in says how to answer
}

// Keys knows the public keys of clients. *clientkeys.Keys is one.
type Keys interface {
	// Of returns the keys of a client, read again where it publishes them if none has the
	// kid. A refusal of the client is an *endpoint.Refusal.
	Of(ctx context.Context, c client.Client, kid string) ([]jose.JSONWebKey, error)
}

// objects reads request objects.
type objects struct {
	issuer     string
	here       client.Deployment // only what it says of request objects
	keys       Keys
	references *references
	audit      audit.Recorder
}

func newObjects(cfg Config) objects {
	return objects{
		issuer:     cfg.Issuer,
		here:       client.Deployment{RequestObjects: cfg.RequestObjects},
		keys:       cfg.Keys,
		references: newReferences(cfg.Fetch, cfg.Log),
		audit:      cfg.Audit,
	}
}

// invalidObject and invalidURI are the errors of request objects (OpenID Connect Core
// §3.1.2.6, RFC 9101 §7).
func invalidObject(format string, args ...any) *oidc.Error {
	e := oidc.Error{ErrorType: "invalid_request_object"}
	return e.WithDescription(format, args...)
}

func invalidURI(description string) *oidc.Error {
	e := oidc.Error{ErrorType: "invalid_request_uri"}
	return e.WithDescription("%s", description)
}

// present reads the request object of a client's request, if it has one. The error is an
// *endpoint.PageError or an internal one.
func (o objects) present(ctx context.Context, in endpoint.Parameters, c client.Client, network string) (presented, error) {
	value, reference := in.Has("request"), in.Has("request_uri")
	signed, unsigned := o.here.RequestObjectAlgorithms(c)
	supported := len(signed) > 0 || unsigned
	text := in.Get("request")
	refused := func(e *oidc.Error) (presented, error) {
		if e.ErrorType == "invalid_request_object" || e.ErrorType == "invalid_request_uri" {
			o.audit.Record(ctx, audit.Event{Name: audit.RequestObjectRefused, Client: c.ID, Network: network, Err: errors.New(e.Description)})
		}
		answered, err := toAnswer(in, text)
		return presented{in: answered, refusal: e}, err
	}
	switch {
	case in.Repeated("request") || in.Repeated("request_uri"):
		return presented{in: in}, nil // for validate, as any parameter
	case !value && !reference && c.RequestObjects.Required:
		return refused(oidc.ErrInvalidRequest().WithDescription("request is missing: all requests of the client must be signed request objects (RFC 9101 section 10.5)"))
	case !value && !reference:
		return presented{in: in}, nil
	case value && reference:
		return refused(oidc.ErrInvalidRequest().WithDescription("request and request_uri are both given (OpenID Connect Core section 6.1)"))
	case value && !supported:
		return refused((&oidc.Error{ErrorType: oidc.RequestNotSupported}).WithDescription("request is not supported for this client"))
	case reference && (!supported || len(c.RequestObjects.URIs) == 0):
		return refused((&oidc.Error{ErrorType: "request_uri_not_supported"}).WithDescription("request_uri is not supported for this client"))
	case reference && !c.RequestURIAllowed(in.Get("request_uri")):
		return refused(invalidURI("request_uri is not one that the client has registered"))
	}
	if reference {
		var err error
		text, err = o.references.get(ctx, c, in.Get("request_uri"), network)
		if e, ok := errors.AsType[*oidc.Error](err); ok {
			return refused(e)
		}
		if err != nil {
			return presented{}, err
		}
	}
	p, err := o.read(ctx, in, c, text)
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		return refused(e)
	}
	return p, err
}

// read verifies a request object and returns what the request says with it. An *oidc.Error
// is why it is refused.
func (o objects) read(ctx context.Context, in endpoint.Parameters, c client.Client, text string) (presented, error) {
	invalid := func(err error) error {
		return invalidObject("the request object is refused: %v", err)
	}
	object, err := parseObject(text)
	if err != nil {
		return presented{}, invalid(err)
	}
	signed, err := o.verify(ctx, c, &object)
	if err != nil {
		return presented{}, err
	}
	all, err := parseMembers(object.payload)
	if err != nil {
		return presented{}, invalid(fmt.Errorf("its payload %w", err))
	}
	if err := all.check(c.ID, o.issuer, signed, time.Now()); err != nil {
		return presented{}, invalid(err)
	}
	values, err := all.parameters()
	if err != nil {
		return presented{}, invalid(err)
	}
	// OpenID Connect Core §6.1.
	if inside, outside := values["response_type"], in.Get("response_type"); inside != "" && outside != "" && !sameType(inside, outside) {
		return presented{}, oidc.ErrInvalidRequest().WithDescription("response_type differs from the request object's (OpenID Connect Core section 6.1)")
	}
	if signed {
		// An attacker can have added what is outside (RFC 9101 §6.3). client_id is the same.
		values["client_id"] = c.ID
		return presented{in: in.Only(values), signed: true}, nil
	}
	return presented{in: in.With(values)}, nil
}

// sameType reports whether two response_types have the same words.
func sameType(a, b string) bool {
	x, _ := client.ParseResponseType(a)
	y, _ := client.ParseResponseType(b)
	return x == y
}

// verify reports whether the client has signed the object, and sets its payload to what was
// signed. An object that is neither signed by the client nor one that it may leave unsigned
// is an *oidc.Error.
func (o objects) verify(ctx context.Context, c client.Client, object *requestObject) (signed bool, err error) {
	algorithms, unsigned := o.here.RequestObjectAlgorithms(c)
	alg := jose.SignatureAlgorithm(object.alg)
	switch {
	case object.alg == client.AlgNone && !unsigned:
		return false, invalidObject("the request object is not signed, and must be")
	case object.alg == client.AlgNone && object.signature != "": // RFC 7518 §3.6
		return false, invalidObject("the request object has a signature and the alg none")
	case object.alg == client.AlgNone:
		return false, nil
	case !slices.Contains(algorithms, alg):
		return false, invalidObject("the request object is signed with another algorithm than the client has registered")
	}
	jws, err := jose.ParseSignedCompact(object.text, []jose.SignatureAlgorithm{alg})
	if err != nil || len(jws.Signatures) != 1 {
		return false, invalidObject("the request object is not a signed JWT")
	}
	if slices.Contains(client.SecretAlgorithms, alg) {
		for _, secret := range c.Secrets {
			if payload, err := jws.Verify([]byte(secret)); err == nil {
				object.payload = payload
				return true, nil
			}
		}
		return false, wrongSignature()
	}
	keys, err := o.keys.Of(ctx, c, jws.Signatures[0].Protected.KeyID)
	if _, ok := errors.AsType[*endpoint.Refusal](err); ok {
		return false, invalidObject("the client's jwks_uri could not be read, so that the request object cannot be verified")
	}
	if err != nil {
		return false, err
	}
	payload, ok := object.verifyWith(jws, keys)
	if !ok {
		return false, wrongSignature()
	}
	object.payload = payload
	return true, nil
}

func wrongSignature() error {
	return invalidObject("the request object's signature is not by a key of the client")
}
