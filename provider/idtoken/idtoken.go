// SPDX-License-Identifier: Apache-2.0

// Package idtoken makes ID tokens (OpenID Connect Core §2) and userinfo that is a JWT
// (§5.3.2), reads ID tokens when a client sends one back as a hint, and knows each user's
// sub and each session's sid as each client knows them (Core §8).
package idtoken

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/audit"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/subject"

	"github.com/go-jose/go-jose/v4"
)

// Keys signs, and checks what was signed here. *keys.Ring is one.
type Keys interface {
	// Sign returns a JWS in compact form, signed with the active key of alg.
	Sign(alg, typ string, payload []byte) (string, error)
	// Verify returns the payload of a JWS that one of the published keys signed.
	Verify(compact string) (payload []byte, err error)
	// Algorithms returns those that Sign accepts, the default first.
	Algorithms() []string
}

// ClientKeys knows the public keys of clients. *clientkeys.Keys is one.
type ClientKeys interface {
	// ForEncryption returns the key that something is encrypted to. The error wraps
	// clientkeys.ErrNoKey or ErrUnread if the client has published none.
	ForEncryption(ctx context.Context, c client.Client, e client.Encryption) (jose.JSONWebKey, error)
}

// Config is what an Issuer needs. Everything but Unsigned is required.
type Config struct {
	Issuer   string // iss
	Keys     Keys
	Clients  ClientKeys
	Master   *keys.Master
	Lifetime time.Duration
	Audit    audit.Recorder
	Unsigned bool // ID tokens without a signature exist, for clients that have registered for them
}

// Issuer makes and reads ID tokens.
type Issuer struct{ cfg Config }

// New returns an Issuer.
func New(cfg Config) *Issuer { return &Issuer{cfg: cfg} }

// ClaimNames are the claims of the sign-in itself, for the discovery document.
var ClaimNames = []string{"iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}

// SignIn is what one ID token says.
type SignIn struct {
	Client      client.Client
	Person      subject.Person
	Grant       grant.Grant
	Scopes      []string
	Claims      []string    // that were requested by name
	AccessToken redact.Text // for at_hash; "": none
	Code        redact.Text // for c_hash; "": none
	State       string      // for s_hash; "": none
	Nonce       string      // "": none
	Now         time.Time
}

// FrontClaimNames are those that only ID tokens of the authorization endpoint have.
// s_hash is that of FAPI 1.0 Advanced §5.1.1.
var FrontClaimNames = []string{"c_hash", "s_hash"}

// Token makes and signs an ID token: one signature, the only one of a sign-in, except in
// the hybrid flow, where the authorization and the token endpoint each give one, and with
// signed userinfo. It is encrypted if the client has registered for that; the error wraps
// ErrNoEncryptionKey if it has no key.
func (i *Issuer) Token(ctx context.Context, s SignIn) (string, error) {
	sub := i.Subject(s.Client, s.Grant.Sub)
	alg := s.Client.SigningAlg()
	var o claims.Object
	o.String("iss", i.cfg.Issuer)
	o.String("sub", sub)
	// A single audience is a string, and azp equals it: some brokers insist.
	o.String("aud", s.Client.ID)
	o.String("azp", s.Client.ID)
	o.Time("exp", s.Now.Add(i.cfg.Lifetime))
	o.Time("iat", s.Now)
	o.Time("auth_time", s.Grant.AuthTime)
	o.Text("nonce", s.Nonce)
	o.Text("acr", s.Grant.ACR)
	o.Strings("amr", s.Grant.AMR)
	for _, hash := range []struct {
		claim string
		of    redact.Text
	}{
		{"at_hash", s.AccessToken}, // OpenID Connect Core §3.1.3.6, §3.2.2.10
		{"c_hash", s.Code},         // §3.3.2.11
		{"s_hash", redact.Text(s.State)},
	} {
		if hash.of != "" {
			o.Text(hash.claim, halfHash(alg, hash.of))
		}
	}
	o.Text("sid", i.SID(s.Client, s.Grant.SID))
	claims.Add(&o, s.Person, sub, s.Scopes, s.Claims)
	return i.seal(ctx, s.Client, alg, s.Client.Responses.IDToken, o.JSON())
}

// halfHash returns the left half of a value's hash (at_hash and its like, OpenID Connect
// Core §3.1.3.6), by the hash function of the signature's algorithm: "" without a
// signature, which has none.
func halfHash(alg string, value redact.Text) string {
	switch {
	case alg == client.AlgNone:
		return ""
	case strings.HasSuffix(alg, "384"):
		sum := sha512.Sum384([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	case strings.HasSuffix(alg, "512"), alg == "EdDSA": // Ed25519 hashes with SHA-512
		sum := sha512.Sum512([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// Hint is what an ID token of ours says about its user and its client.
type Hint struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	SID      string `json:"sid"` // as the audience knows it, see Issuer.SessionID
	AuthTime int64  `json:"auth_time"`
}

// Errors of ReadHint.
var (
	// ErrHint means that a hint is not an ID token that was issued here. An unsigned token
	// cannot be recognised.
	ErrHint = errors.New("idtoken: not an ID token of ours")
	// ErrEncryptedHint means that a hint is encrypted. Only the client can decrypt it, and
	// sends what is inside (OpenID Connect Core §3.1.2.1).
	ErrEncryptedHint = fmt.Errorf("%w: it is encrypted", ErrHint)
)

// ReadHint reads an ID token that a client sends back. An expired one is accepted
// (OpenID Connect RP-Initiated Logout §2): it only says whom the client means.
func (i *Issuer) ReadHint(compact string) (Hint, error) {
	if strings.Count(compact, ".") == 4 { // RFC 7516 §7.1
		return Hint{}, ErrEncryptedHint
	}
	payload, err := i.cfg.Keys.Verify(compact)
	if err != nil {
		return Hint{}, ErrHint
	}
	var hint Hint
	if err := json.Unmarshal(payload, &hint); err != nil || hint.Issuer != i.cfg.Issuer ||
		hint.Subject == "" || hint.Audience == "" || hint.AuthTime == 0 {
		return Hint{}, ErrHint
	}
	return hint, nil
}

// SubjectTypes returns the subject identifier types, for the discovery document.
func (i *Issuer) SubjectTypes() []string { return []string{"public", "pairwise"} }
