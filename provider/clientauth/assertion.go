// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/clientkeys"
	"calleridp/provider/endpoint"
	"calleridp/provider/redact"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// assertionType is the only client_assertion_type (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Bounds of client assertions.
const (
	// maxAssertion is its length in bytes.
	maxAssertion = 8 << 10
	// maxJTI is the length of its jti in bytes.
	maxJTI = 256
	// assertionSkew is how far the client's clock may be from ours.
	assertionSkew = time.Minute
	// assertionKept is for how long its jti is remembered beyond that: another server's
	// clock may be slower than ours, which takes it for longer.
	assertionKept = time.Hour
	// maxAssertionLife is how far in the future its exp may be.
	maxAssertionLife = time.Hour
)

// assertion reads client_secret_jwt and private_key_jwt: a JWT that the client has signed
// (RFC 7523 §2.2, OpenID Connect Core §9). Its sub names the client, beside or without
// client_id (RFC 7521 §4.2).
func assertion(header []string, in endpoint.Parameters) (Credentials, error) {
	given := Credentials{ClientID: in.Get("client_id")}
	switch {
	case len(header) > 0 || in.Has("client_secret"):
		return given, endpoint.InvalidRequest("the client authenticates in more than one way (RFC 6749 section 2.3)")
	case in.Get("client_assertion_type") != assertionType:
		return given, endpoint.InvalidClient("client_assertion_type must be " + assertionType)
	}
	text := in.Get("client_assertion")
	if len(text) > maxAssertion {
		return given, endpoint.InvalidClient(fmt.Sprintf("client_assertion is longer than %d KiB", maxAssertion>>10))
	}
	token, err := jwt.ParseSigned(text, slices.Concat(client.SecretAlgorithms, client.KeyAlgorithms))
	if err != nil || len(token.Headers) != 1 {
		return given, endpoint.InvalidClient("client_assertion is not a JWT that is signed with a supported algorithm (token_endpoint_auth_signing_alg_values_supported)")
	}
	// A request object passes through browsers, signed with the same key (RFC 9101 §10.8).
	if typ, _ := token.Headers[0].ExtraHeaders[jose.HeaderType].(string); client.IsRequestObjectType(typ) {
		return given, endpoint.InvalidClient("client_assertion is a request object (RFC 9101 section 10.8)")
	}
	var unverified jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&unverified); err != nil || unverified.Subject == "" {
		return given, endpoint.InvalidClient("client_assertion has no sub (RFC 7523 section 3)")
	}
	if given.ClientID != "" && given.ClientID != unverified.Subject {
		return given, endpoint.InvalidClient("client_id differs from the sub of client_assertion (RFC 7521 section 4.2)")
	}
	given.ClientID = unverified.Subject
	given.Assertion = redact.Text(text)
	return given, nil
}

// authenticateByAssertion returns the client whose assertion this is.
func (a *Authenticator) authenticateByAssertion(ctx context.Context, e Endpoint, given Credentials) (client.Client, error) {
	c, err := a.cfg.Registry.Client(ctx, given.ClientID)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return client.Client{}, err
	}
	algorithms := c.AssertionAlgorithms()
	if err != nil || len(algorithms) == 0 {
		return client.Client{}, unauthenticated()
	}
	token, err := jwt.ParseSigned(string(given.Assertion), algorithms)
	if err != nil {
		return client.Client{}, endpoint.InvalidClient("client_assertion is signed with another algorithm than the client has registered")
	}
	var claims jwt.Claims
	verified, err := a.verify(ctx, c, token, &claims)
	switch {
	case err != nil:
		return client.Client{}, err
	case !verified:
		return client.Client{}, unauthenticated()
	}
	now := time.Now()
	if reason := a.refused(c, e, claims, now); reason != "" {
		return client.Client{}, endpoint.InvalidClient("client_assertion " + reason)
	}
	// Last: what is refused has not used it up.
	err = a.cfg.Assertions.UseAssertion(ctx, client.NewAssertionID(c.ID, claims.ID), claims.Expiry.Time().Add(assertionSkew+assertionKept))
	if errors.Is(err, client.ErrReplayed) {
		return client.Client{}, endpoint.InvalidClient("client_assertion was used before: each request needs one with a new jti")
	}
	return c, err
}

// verify reports whether the client has signed the token, and reads its claims. An error
// is a failure of ours, or of the address where the client publishes its keys.
func (a *Authenticator) verify(ctx context.Context, c client.Client, token *jwt.JSONWebToken, into *jwt.Claims) (bool, error) {
	if c.AuthMethod == client.AuthSecretJWT {
		for _, secret := range c.Secrets {
			if token.Claims([]byte(secret), into) == nil {
				return true, nil
			}
		}
		return false, nil
	}
	kid := token.Headers[0].KeyID
	candidates, err := a.cfg.Keys.Of(ctx, c, kid)
	if errors.Is(err, clientkeys.ErrUnread) {
		return false, endpoint.InvalidClient("the client's jwks_uri could not be read")
	}
	if err != nil {
		return false, err
	}
	for _, key := range client.SignersOf(candidates, token.Headers[0]) {
		if token.Claims(key.Key, into) == nil {
			return true, nil
		}
	}
	return false, nil
}

// refused returns why the claims of a verified assertion are refused, "" if they are not
// (RFC 7523 §3).
func (a *Authenticator) refused(c client.Client, e Endpoint, claims jwt.Claims, now time.Time) (reason string) {
	switch {
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return "must have the client_id as iss and as sub"
	case len(claims.Audience) == 0:
		return "has no aud; use " + a.cfg.Issuer
	// Another recipient could present it here.
	case slices.ContainsFunc(claims.Audience, func(aud string) bool { return !slices.Contains(a.audiences(e), aud) }):
		return "has a wrong aud; use " + a.cfg.Issuer
	case claims.Expiry == nil:
		return "has no exp"
	case !now.Before(claims.Expiry.Time().Add(assertionSkew)):
		return "has expired"
	case claims.Expiry.Time().After(now.Add(maxAssertionLife + assertionSkew)):
		return fmt.Sprintf("is valid for too long: its exp must be within %s", maxAssertionLife)
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(assertionSkew)):
		return "is not valid yet (nbf); is the client's clock right?"
	case claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(assertionSkew)):
		return "has an iat in the future; is the client's clock right?"
	case claims.ID == "" || len(claims.ID) > maxJTI:
		return fmt.Sprintf("must have a jti of at most %d bytes, a new one each time (OpenID Connect Core section 9)", maxJTI)
	}
	return ""
}

// audiences are the values that name us: the issuer, the token endpoint (RFC 7523 §3,
// OpenID Connect Core §9), and the endpoint that was called.
func (a *Authenticator) audiences(e Endpoint) []string {
	return []string{a.cfg.Issuer, a.cfg.Issuer + endpoint.PathToken, a.cfg.Issuer + e.Path}
}

func unauthenticated() error { return endpoint.InvalidClient("client authentication failed") }
