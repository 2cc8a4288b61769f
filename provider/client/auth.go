// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"calleridp/provider/fetch"
	"calleridp/provider/redact"

	"github.com/go-jose/go-jose/v4"
)

// AuthMethod is how a client authenticates (token_endpoint_auth_method, RFC 7591 §2,
// OpenID Connect Core §9).
type AuthMethod string

// The methods.
const (
	AuthBasic         AuthMethod = "client_secret_basic"
	AuthPost          AuthMethod = "client_secret_post"
	AuthSecretJWT     AuthMethod = "client_secret_jwt"
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt"
	AuthNone          AuthMethod = "none"
)

// authMethods are those that a confidential client may register.
var authMethods = []AuthMethod{AuthBasic, AuthPost, AuthSecretJWT, AuthPrivateKeyJWT}

// Accepts reports whether the client may authenticate by a method. A client that has not
// registered one presents its secret in either place (RFC 6749 §2.3.1).
func (c Client) Accepts(m AuthMethod) bool {
	switch {
	case c.Public:
		return m == AuthNone
	case c.AuthMethod == "":
		return m == AuthBasic || m == AuthPost
	}
	return m == c.AuthMethod
}

// Assertion algorithms (RFC 7518 §3.1, RFC 8037): those of client_secret_jwt, then those
// of private_key_jwt.
var (
	SecretAlgorithms = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	KeyAlgorithms    = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
)

// AssertionAlgorithms returns the algorithms that the client may sign its assertions
// with, nil if it has none to sign.
func (c Client) AssertionAlgorithms() []jose.SignatureAlgorithm {
	var all []jose.SignatureAlgorithm
	switch c.AuthMethod {
	case AuthSecretJWT:
		all = SecretAlgorithms
	case AuthPrivateKeyJWT:
		all = KeyAlgorithms
	}
	if c.AuthAlg == "" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(a jose.SignatureAlgorithm) bool { return string(a) != c.AuthAlg })
}

// shortSecret returns how many bytes a secret must have to sign assertions, 0 if all have
// them: as many as the hash of the weakest algorithm that it may be used with.
func (c Client) shortSecret() int {
	return shorterThan(c.Secrets, jose.SignatureAlgorithm(c.AuthAlg))
}

// shorterThan returns how many bytes a secret must have for an algorithm, 0 if all have
// them.
func shorterThan(secrets []redact.Text, alg jose.SignatureAlgorithm) int {
	bytes := 32
	switch alg {
	case jose.HS384:
		bytes = 48
	case jose.HS512:
		bytes = 64
	}
	if slices.ContainsFunc(secrets, func(s redact.Text) bool { return len(s) < bytes }) {
		return bytes
	}
	return 0
}

// Bounds of a client's key set.
const (
	maxKeys    = 20
	minRSABits = 2048 // RFC 7518 §3.3
)

// ErrNoKeys means that a JWK set has no key that could be used.
var ErrNoKeys = errors.New("client: the JWK set has no usable key")

// ParseKeys reads the JWK set of a client (RFC 7517 §5). Keys of unknown types are left
// out, as that section says. It refuses private and symmetric keys: a client that publishes one
// has disclosed it. The error wraps ErrNoKeys if no key is left.
func ParseKeys(text []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("client: this is not a JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("client: the JWK set has more than %d keys", maxKeys)
	}
	var all []jose.JSONWebKey
	for i, raw := range set.Keys {
		var key jose.JSONWebKey
		switch err := json.Unmarshal(raw, &key); {
		case errors.Is(err, jose.ErrUnsupportedKeyType):
			continue
		case err != nil:
			return nil, fmt.Errorf("client: key %d of the JWK set is not readable: %w", i+1, err)
		}
		if reason := checkKey(key); reason != "" {
			return nil, fmt.Errorf("client: key %d of the JWK set (kid %q) %s", i+1, key.KeyID, reason)
		}
		all = append(all, key)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf(`%w; it is an object with a list "keys" of RSA, EC or Ed25519 keys (RFC 7517 section 5)`, ErrNoKeys)
	}
	return all, nil
}

// checkKey returns why a key is refused, "" if it is not.
func checkKey(key jose.JSONWebKey) (reason string) {
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSABits {
			return fmt.Sprintf("has fewer than %d bits", minRSABits)
		}
		if public.N.Bit(0) == 0 || public.E&1 == 0 || public.E > 1<<31-1 { // crypto/rsa uses none
			return "is not valid"
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return "is private or symmetric; publish public keys only, and make new ones, because this one is known now"
	}
	if !key.Valid() {
		return "is not valid"
	}
	return ""
}

// maxTried is how many keys are tried for one signature. An attacker can send one that no key
// has made, and each try costs as much as a good one; a client with several keys of one type
// must name the one that has signed (OpenID Connect Core §10.1).
const maxTried = 4

// SignersOf returns the keys that may have made a signature with this header (RFC 7517
// §4.2, §4.4, §4.5, RFC 7518 §3.1): at most maxTried, those that have its kid first.
func SignersOf(keys []jose.JSONWebKey, header jose.Header) []jose.JSONWebKey {
	var named, unnamed []jose.JSONWebKey
	for _, key := range keys {
		switch {
		case key.Use != "" && key.Use != "sig", key.Algorithm != "" && key.Algorithm != header.Algorithm, !canSign(key, header.Algorithm):
		case header.KeyID != "" && key.KeyID == header.KeyID:
			named = append(named, key)
		case header.KeyID == "" || key.KeyID == "":
			unnamed = append(unnamed, key)
		}
	}
	all := append(named, unnamed...)
	return all[:min(len(all), maxTried)]
}

// canSign reports whether a key is of the type of an algorithm (RFC 7518 §3.3 to §3.5, RFC
// 8037 §3.1).
func canSign(key jose.JSONWebKey, algorithm string) bool {
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		bits := map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}
		return public.Curve.Params().BitSize == bits[algorithm]
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

// validateAuth returns what is wrong with how a client authenticates.
func validateAuth(c Client) FieldErrors {
	var invalid FieldErrors
	refuse := func(field, format string, args ...any) {
		invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	secrets := len(c.SecretHashes) + len(c.Secrets)
	switch {
	case c.Public && c.AuthMethod != "":
		refuse("token_endpoint_auth_method", "must not be set for a public client, which has nothing to authenticate with")
	case c.Public && secrets > 0:
		refuse("secret", "must not be set for a public client")
	case c.Public:
	case c.AuthMethod != "" && !slices.Contains(authMethods, c.AuthMethod):
		refuse("token_endpoint_auth_method", "%q is unknown; use client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt", c.AuthMethod)
	case c.AuthMethod == AuthPrivateKeyJWT && secrets > 0:
		refuse("secret", "must not be set for a client with private_key_jwt, which has a private key")
	case c.AuthMethod != AuthPrivateKeyJWT && secrets == 0:
		refuse("secret", "missing; a client without a secret must be public, or authenticate by private_key_jwt")
	}
	if short := c.shortSecret(); short > 0 {
		refuse("secret", "is too short for client_secret_jwt: it must have at least %d bytes (RFC 7518 §3.2)", short)
	}
	switch {
	case c.AuthAlg == "":
	case c.AuthMethod != AuthSecretJWT && c.AuthMethod != AuthPrivateKeyJWT:
		refuse("token_endpoint_auth_signing_alg", "is for clients with client_secret_jwt or private_key_jwt only")
	case len(c.AssertionAlgorithms()) == 0:
		refuse("token_endpoint_auth_signing_alg", "%q is not one of %s", c.AuthAlg, c.AuthMethod)
	}
	switch {
	case c.Keys != "" && c.KeysURI != "":
		refuse("jwks_uri", "must not be set together with jwks (RFC 7591 §2)")
	case c.Keys != "":
		if _, err := ParseKeys([]byte(c.Keys)); err != nil {
			refuse("jwks", "%s", strings.TrimPrefix(err.Error(), "client: "))
		}
	case c.KeysURI != "":
		if err := fetch.Check(c.KeysURI); err != nil {
			refuse("jwks_uri", "%q: %s", c.KeysURI, strings.TrimPrefix(err.Error(), fetch.ErrAddress.Error()+": "))
		}
	case c.AuthMethod == AuthPrivateKeyJWT:
		refuse("jwks", "missing; a client with private_key_jwt needs its public keys, as jwks or jwks_uri")
	}
	return invalid
}

// ErrReplayed means that an assertion was used before.
var ErrReplayed = errors.New("client: the assertion was used before")

// AssertionID stands for the jti of a client's assertion.
type AssertionID [32]byte

// NewAssertionID returns the ID of an assertion.
func NewAssertionID(clientID, jti string) AssertionID {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(clientID)))
	return sha256.Sum256(append(append(b, clientID...), jti...))
}

// Assertions remembers the assertions that were used (OpenID Connect Core §9: a jti is
// used once).
type Assertions interface {
	// UseAssertion remembers an assertion until then, or returns ErrReplayed. It is durable
	// when it returns.
	UseAssertion(ctx context.Context, id AssertionID, until time.Time) error
}
