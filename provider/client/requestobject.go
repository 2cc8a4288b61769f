// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"slices"
	"strings"

	"calleridp/provider/fetch"

	"github.com/go-jose/go-jose/v4"
)

// RequestObjects is how a client makes request objects: JWTs that hold the parameters of
// authorization requests (OpenID Connect Core §6, RFC 9101).
type RequestObjects struct {
	// Alg is the algorithm that all of them have (request_object_signing_alg), or none; "":
	// any that both sides have.
	Alg string
	// Required says that an authorization request without a signed one is refused
	// (require_signed_request_object, RFC 9101 §10.5).
	Required bool
	// URIs are where it publishes them (request_uris).
	URIs []string
}

// AlgNone is the algorithm of an unsigned JWT (RFC 7518 §3.6).
const AlgNone = "none"

// IsRequestObjectType reports whether the typ of a JWT says that it is a request object (RFC
// 9101 §10.8). A media type may have its prefix or not (RFC 7515 §4.1.9).
func IsRequestObjectType(typ string) bool {
	typ = strings.ToLower(typ)
	return strings.TrimPrefix(typ, "application/") == "oauth-authz-req+jwt"
}

// RequestObjectMode says which request objects a deployment accepts.
type RequestObjectMode string

// The modes.
const (
	RequestObjectsSigned RequestObjectMode = ""    // those of clients that sign them
	RequestObjectsAny    RequestObjectMode = "any" // also unsigned ones
	RequestObjectsOff    RequestObjectMode = "off" // none
)

// ParseRequestObjectMode parses a setting: off, signed (or nothing) or any.
func ParseRequestObjectMode(s string) (RequestObjectMode, bool) {
	switch m := RequestObjectMode(s); m {
	case RequestObjectsOff, RequestObjectsSigned, RequestObjectsAny:
		return m, true
	case "signed":
		return RequestObjectsSigned, true
	}
	return RequestObjectsSigned, false
}

// RequestObjectAlgorithms returns the algorithms that a client's request objects may be
// signed with, and whether unsigned ones are accepted (OpenID Connect Dynamic Client
// Registration §2, request_object_signing_alg). Keyed hashes are for clients with
// client_secret_jwt alone: of other secrets we keep a hash, which checks no signature.
func (d Deployment) RequestObjectAlgorithms(c Client) (signed []jose.SignatureAlgorithm, unsigned bool) {
	if d.RequestObjects == RequestObjectsOff {
		return nil, false
	}
	if c.AuthMethod == AuthSecretJWT {
		signed = append(signed, SecretAlgorithms...)
	}
	if c.Keys != "" || c.KeysURI != "" {
		signed = append(signed, KeyAlgorithms...)
	}
	only := c.RequestObjects.Alg
	if only != "" {
		signed = slices.DeleteFunc(signed, func(a jose.SignatureAlgorithm) bool { return string(a) != only })
	}
	return signed, d.RequestObjects == RequestObjectsAny && !c.RequestObjects.Required && (only == "" || only == AlgNone)
}

// SupportedRequestObjectAlgorithms returns what request objects may be signed with here, by
// any client: none among them for unsigned ones, nothing if there are no request objects.
func (d Deployment) SupportedRequestObjectAlgorithms() []string {
	if d.RequestObjects == RequestObjectsOff {
		return nil
	}
	var all []string
	for _, a := range slices.Concat(KeyAlgorithms, SecretAlgorithms) {
		all = append(all, string(a))
	}
	if d.RequestObjects == RequestObjectsAny {
		all = append(all, AlgNone)
	}
	return all
}

// RequestURIAllowed reports whether the client has registered a request_uri, compared byte
// by byte. A fragment says which contents are meant (OpenID Connect Core §6.2), so a URI
// that was registered without one is allowed with any.
func (c Client) RequestURIAllowed(uri string) bool {
	bare, _, _ := strings.Cut(uri, "#")
	return slices.Contains(c.RequestObjects.URIs, uri) || slices.Contains(c.RequestObjects.URIs, bare)
}

// Bounds of request_uris.
const (
	maxRequestURIs = 20
	maxRequestURI  = 512 // bytes, OpenID Connect Core §6.2
)

// validateRequestObjects returns what is wrong with how a client makes request objects.
func validateRequestObjects(c Client) FieldErrors {
	var invalid FieldErrors
	refuse := func(field, format string, args ...any) {
		invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	const algField, requiredField = "request_object_signing_alg", "require_signed_request_object"
	o, keys, secret := c.RequestObjects, c.Keys != "" || c.KeysURI != "", c.AuthMethod == AuthSecretJWT
	alg := jose.SignatureAlgorithm(o.Alg)
	switch {
	case o.Alg == "" || o.Alg == AlgNone:
	case slices.Contains(SecretAlgorithms, alg):
		if !secret {
			refuse(algField, "%q is for clients with client_secret_jwt: of another secret only a hash is kept", o.Alg)
		} else if short := shorterThan(c.Secrets, alg); short > 0 {
			refuse(algField, "%q needs a secret of at least %d bytes (RFC 7518 §3.2)", o.Alg, short)
		}
	case !slices.Contains(KeyAlgorithms, alg):
		refuse(algField, "%q is unknown; use none, or RS, PS or ES with 256, 384 or 512, EdDSA, or with client_secret_jwt HS256, HS384 or HS512", o.Alg)
	case !keys:
		refuse(algField, "%q needs the client's public keys, as jwks or as jwks_uri", o.Alg)
	}
	switch {
	case !o.Required:
	case o.Alg == AlgNone:
		refuse(requiredField, "contradicts request_object_signing_alg none")
	case !keys && !secret:
		refuse(requiredField, "needs the client's public keys, as jwks or as jwks_uri; or client_secret_jwt")
	}
	if len(o.URIs) > maxRequestURIs {
		refuse("request_uris", "must be at most %d (got %d)", maxRequestURIs, len(o.URIs))
	}
	for i, uri := range o.URIs {
		field := fmt.Sprintf("request_uris[%d]", i)
		bare, _, _ := strings.Cut(uri, "#")
		switch err := fetch.Check(bare); {
		case len(uri) > maxRequestURI:
			refuse(field, "is longer than %d bytes (OpenID Connect Core §6.2)", maxRequestURI)
		case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }):
			refuse(field, "%q has a character that no URI has (RFC 3986 §2)", uri)
		case err != nil:
			refuse(field, "%q: %s", uri, strings.TrimPrefix(err.Error(), fetch.ErrAddress.Error()+": "))
		case slices.Contains(o.URIs[:i], uri):
			refuse(field, "%q is listed twice", uri)
		}
	}
	return invalid
}

// validateRequestObjects returns which of a client's settings the deployment has turned off.
func (d Deployment) validateRequestObjects(c Client) FieldErrors {
	var invalid FieldErrors
	refuse := func(field, reason string) { invalid = append(invalid, FieldError{Field: field, Reason: reason}) }
	const off = "request objects are turned off here (request_objects of the deployment)"
	o := c.RequestObjects
	switch d.RequestObjects {
	case RequestObjectsOff:
		if o.Alg != "" {
			refuse("request_object_signing_alg", off)
		}
		if o.Required {
			refuse("require_signed_request_object", off)
		}
		if len(o.URIs) > 0 {
			refuse("request_uris", off)
		}
	case RequestObjectsSigned:
		if o.Alg == AlgNone {
			refuse("request_object_signing_alg", "unsigned request objects are turned off here; request_objects of the deployment must be any")
		}
	}
	return invalid
}
