// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Responses are how a client gets what is said of users, beside the signature of its ID
// tokens (OpenID Connect Dynamic Client Registration §2). The zero value: ID tokens are
// signed, and userinfo is JSON.
type Responses struct {
	IDToken     Encryption // id_token_encrypted_response_alg and _enc
	UserinfoAlg string     // userinfo_signed_response_alg; "": not signed
	Userinfo    Encryption // userinfo_encrypted_response_alg and _enc
}

// Encryption is how a response is encrypted to a key that the client has published.
type Encryption struct {
	Alg string // how the key is agreed or wrapped, one of EncryptionAlgorithms; "": not encrypted
	Enc string // how the content is encrypted, one of ContentEncryptions; "": the first
}

// ResponseMetadata is Responses as the metadata of a client has it.
type ResponseMetadata struct {
	IDTokenEncryptionAlg  string `json:"id_token_encrypted_response_alg,omitempty"`
	IDTokenEncryptionEnc  string `json:"id_token_encrypted_response_enc,omitempty"`
	UserinfoAlg           string `json:"userinfo_signed_response_alg,omitempty"`
	UserinfoEncryptionAlg string `json:"userinfo_encrypted_response_alg,omitempty"`
	UserinfoEncryptionEnc string `json:"userinfo_encrypted_response_enc,omitempty"`
}

// Responses returns what the metadata says.
func (m ResponseMetadata) Responses() Responses {
	return Responses{
		IDToken:     Encryption{Alg: m.IDTokenEncryptionAlg, Enc: m.IDTokenEncryptionEnc},
		UserinfoAlg: m.UserinfoAlg,
		Userinfo:    Encryption{Alg: m.UserinfoEncryptionAlg, Enc: m.UserinfoEncryptionEnc},
	}
}

// Metadata returns what the client reads again, with the defaults that it has left to us.
func (r Responses) Metadata() ResponseMetadata {
	m := ResponseMetadata{UserinfoAlg: r.UserinfoAlg}
	if r.IDToken.On() {
		m.IDTokenEncryptionAlg, m.IDTokenEncryptionEnc = r.IDToken.Alg, r.IDToken.Content()
	}
	if r.Userinfo.On() {
		m.UserinfoEncryptionAlg, m.UserinfoEncryptionEnc = r.Userinfo.Alg, r.Userinfo.Content()
	}
	return m
}

// What a response may be encrypted with (RFC 7518 §4.1, §5.1). RSA1_5 is not among them:
// an attacker who can make the client decrypt can use it as an oracle (RFC 8725 §3.2). The first
// content encryption is the default (Dynamic Client Registration §2).
var (
	EncryptionAlgorithms = []string{"RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"}
	ContentEncryptions   = []string{"A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"}
)

// On reports whether the response is encrypted.
func (e Encryption) On() bool { return e.Alg != "" }

// Content returns the content encryption.
func (e Encryption) Content() string {
	if e.Enc == "" {
		return ContentEncryptions[0]
	}
	return e.Enc
}

// UserinfoJWT reports whether userinfo is a JWT: signed, encrypted, or both (OpenID
// Connect Core §5.3.2).
func (r Responses) UserinfoJWT() bool { return r.UserinfoAlg != "" || r.Userinfo.On() }

// Key returns the key of a client's JWK set that the response is encrypted to: one of the
// algorithm's type that is not for signatures or for another algorithm (RFC 7517 §4.2,
// §4.4). Of several, the first that says what it is for.
func (e Encryption) Key(set []jose.JSONWebKey) (key jose.JSONWebKey, ok bool) {
	best := 0
	for _, k := range set {
		if !e.fits(k) {
			continue
		}
		said := 1
		if k.Use != "" {
			said++
		}
		if k.Algorithm != "" {
			said++
		}
		if said > best {
			key, best = k, said
		}
	}
	return key, best > 0
}

func (e Encryption) fits(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "enc" || k.Algorithm != "" && k.Algorithm != e.Alg {
		return false
	}
	switch k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(e.Alg, "RSA-")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(e.Alg, "ECDH-")
	}
	return false
}

// validateResponses returns what is wrong with how a client gets its responses.
func validateResponses(c Client) FieldErrors {
	var invalid FieldErrors
	refuse := func(field, format string, args ...any) {
		invalid = append(invalid, FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
	}
	switch {
	case c.IDTokenAlg == AlgNone && slices.ContainsFunc(c.ResponseTypes, ResponseType.IDToken):
		// A browser that carries an ID token could write it, too.
		refuse("id_token_signed_response_alg", `"none" is for clients whose response_types have no id_token (OpenID Connect Core §2)`)
	case c.IDTokenAlg == AlgNone && c.Responses.IDToken.On():
		refuse("id_token_signed_response_alg", `"none" cannot be combined with encryption: an attacker can encrypt an unsigned ID token`)
	case c.IDTokenAlg != "" && c.IDTokenAlg != AlgNone && !slices.Contains(Algorithms, c.IDTokenAlg):
		refuse("id_token_signed_response_alg", "%q is unknown; use one of %s", c.IDTokenAlg, strings.Join(Algorithms, ", "))
	}
	if alg := c.Responses.UserinfoAlg; alg != "" && !slices.Contains(Algorithms, alg) {
		refuse("userinfo_signed_response_alg", "%q is unknown; use one of %s, or leave it out for JSON", alg, strings.Join(Algorithms, ", "))
	}
	var set []jose.JSONWebKey // if nil, the set is unknown here
	if c.Keys != "" {
		set, _ = ParseKeys([]byte(c.Keys)) // validateAuth says what is wrong with it
	}
	for _, response := range []struct {
		name string
		Encryption
	}{{"id_token", c.Responses.IDToken}, {"userinfo", c.Responses.Userinfo}} {
		alg, enc := response.name+"_encrypted_response_alg", response.name+"_encrypted_response_enc"
		switch _, found := response.Key(set); {
		case response.Alg == "" && response.Enc != "":
			refuse(enc, "must not be set without %s", alg) // Dynamic Client Registration §2
		case response.Alg == "":
		case !slices.Contains(EncryptionAlgorithms, response.Alg):
			refuse(alg, "%q is not supported; use one of %s", response.Alg, strings.Join(EncryptionAlgorithms, ", "))
		case c.Keys == "" && c.KeysURI == "":
			refuse("jwks", "missing; encryption needs the client's public key, as jwks or jwks_uri")
		case set != nil && !found:
			refuse("jwks", "has no key that %s (%s) could encrypt to", alg, response.Alg)
		}
		if response.Enc != "" && !slices.Contains(ContentEncryptions, response.Enc) {
			refuse(enc, "%q is not supported; use one of %s", response.Enc, strings.Join(ContentEncryptions, ", "))
		}
	}
	return invalid
}

// validateResponses returns which signatures of the client's responses this deployment
// does not make.
func (d Deployment) validateResponses(c Client) FieldErrors {
	var invalid FieldErrors
	for _, signed := range []struct{ field, alg string }{
		{"id_token_signed_response_alg", c.SigningAlg()},
		{"userinfo_signed_response_alg", c.Responses.UserinfoAlg},
	} {
		switch {
		case signed.alg == AlgNone && !d.Unsigned:
			invalid = append(invalid, FieldError{
				Field:  signed.field,
				Reason: `"none" is turned off here (keys.dangerously_unsigned_id_tokens)`,
			})
		case len(d.Algorithms) == 0 || slices.Contains(d.Algorithms, signed.alg) || !slices.Contains(Algorithms, signed.alg):
			// Validate refuses an unknown one
		default:
			invalid = append(invalid, FieldError{
				Field:  signed.field,
				Reason: fmt.Sprintf("%q is turned off here (keys.algorithms); use one of %s", signed.alg, strings.Join(d.Algorithms, ", ")),
			})
		}
	}
	return invalid
}

// adviseResponses returns what is unwise in how a client gets its responses.
func adviseResponses(c Client) FieldErrors {
	if c.IDTokenAlg != AlgNone {
		return nil
	}
	return FieldErrors{{
		Field:  "id_token_signed_response_alg",
		Reason: `"none" leaves ID tokens unsigned: the client must get them directly from the token endpoint (OpenID Connect Core §3.1.3.7)`,
	}}
}

// SigningAlg returns the algorithm of the client's ID tokens: one of Algorithms, or
// AlgNone.
func (c Client) SigningAlg() string {
	if c.IDTokenAlg == "" {
		return Algorithms[0]
	}
	return c.IDTokenAlg
}
