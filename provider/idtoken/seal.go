// SPDX-License-Identifier: Apache-2.0

package idtoken

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/clientkeys"

	"github.com/go-jose/go-jose/v4"
)

// typeJWT is the typ of what is made here, and the cty of a JWT around it (RFC 7519 §5).
const typeJWT = "JWT"

// ErrNoEncryptionKey means that a response must be encrypted to the client, and the client
// has no key for it that can be read and used. Nothing is sent then.
var ErrNoEncryptionKey = errors.New("idtoken: the client has registered encryption and has no key for it")

// SigningAlgorithms returns the algorithms of ID tokens, for the discovery document.
func (i *Issuer) SigningAlgorithms() []string {
	if algs := i.cfg.Keys.Algorithms(); i.cfg.Unsigned {
		return append(algs, client.AlgNone)
	}
	return i.cfg.Keys.Algorithms()
}

// UserinfoAlgorithms returns the algorithms of signed userinfo, for the discovery document.
func (i *Issuer) UserinfoAlgorithms() []string { return i.cfg.Keys.Algorithms() }

// Userinfo makes the userinfo of a client that gets a JWT (OpenID Connect Core §5.3.2):
// claims, which have iss and aud, signed, encrypted, or both. The error wraps
// ErrNoEncryptionKey if it cannot be encrypted.
func (i *Issuer) Userinfo(ctx context.Context, c client.Client, claims []byte) (string, error) {
	return i.seal(ctx, c, c.Responses.UserinfoAlg, c.Responses.Userinfo, claims)
}

// seal signs the claims of a response with alg, "" for no signature, and then encrypts
// them, as the client has registered (OpenID Connect Core §10.2: a Nested JWT).
func (i *Issuer) seal(ctx context.Context, c client.Client, alg string, e client.Encryption, payload []byte) (string, error) {
	var key jose.JSONWebKey
	if e.On() { // before it costs a signature
		var err error
		if key, err = i.encryptionKey(ctx, c, e); err != nil {
			return "", err
		}
	}
	signed := string(payload)
	switch alg {
	case "":
		if !e.On() {
			return "", errors.New("idtoken: a JWT is neither signed nor encrypted")
		}
	case client.AlgNone:
		if !i.cfg.Unsigned { // the registry has refused the client
			return "", errors.New("idtoken: ID tokens without a signature are turned off")
		}
		return unsigned(payload), nil
	default:
		var err error
		if signed, err = i.cfg.Keys.Sign(alg, typeJWT, payload); err != nil || !e.On() {
			return signed, err
		}
	}
	jwe, err := encrypt(key, e, signed, alg != "")
	if err != nil { // there are keys that only their use shows to be none
		return "", i.withheld(ctx, c, err)
	}
	return jwe, nil
}

// unsigned returns an unsecured JWS (RFC 7515 appendix A.5).
func unsigned(payload []byte) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + enc.EncodeToString(payload) + "."
}

// encryptionKey returns the client's key.
func (i *Issuer) encryptionKey(ctx context.Context, c client.Client, e client.Encryption) (jose.JSONWebKey, error) {
	key, err := i.cfg.Clients.ForEncryption(ctx, c, e)
	if errors.Is(err, clientkeys.ErrNoKey) || errors.Is(err, clientkeys.ErrUnread) {
		return key, i.withheld(ctx, c, err)
	}
	return key, err
}

// withheld audits that a response is not sent, and returns the error that says so.
func (i *Issuer) withheld(ctx context.Context, c client.Client, why error) error {
	i.cfg.Audit.Record(ctx, audit.Event{Name: audit.ResponseWithheld, Client: c.ID, Err: why})
	return fmt.Errorf("%w: %w", ErrNoEncryptionKey, why)
}

// encrypt returns a JWE in compact form (RFC 7516 §7.1). nested says that text is a JWT
// (RFC 7519 §5.2).
func encrypt(key jose.JSONWebKey, e client.Encryption, text string, nested bool) (string, error) {
	if !slices.Contains(client.EncryptionAlgorithms, e.Alg) || !slices.Contains(client.ContentEncryptions, e.Content()) {
		return "", fmt.Errorf("idtoken: %s with %s is not supported", e.Alg, e.Content())
	}
	options := new(jose.EncrypterOptions).WithType(typeJWT)
	if nested {
		options = options.WithContentType(typeJWT)
	}
	to := jose.Recipient{Algorithm: jose.KeyAlgorithm(e.Alg), Key: key.Key, KeyID: key.KeyID}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(e.Content()), to, options)
	if err != nil {
		return "", fmt.Errorf("idtoken: encrypting: %w", err)
	}
	jwe, err := encrypter.Encrypt([]byte(text))
	if err != nil {
		return "", fmt.Errorf("idtoken: encrypting: %w", err)
	}
	return jwe.CompactSerialize()
}
