// Package idtoken makes ID tokens (OpenID Connect Core §2), reads them when a
// client sends one back as a hint, and knows each user's sub and each session's sid
// as each client knows them (Core §8).
package idtoken

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
)

// Keys signs, and checks what was signed here. *keys.Ring is one.
type Keys interface {
	// Sign returns a JWS in compact form, signed with the active key of alg.
	Sign(alg, typ string, payload []byte) (string, error)
	// Verify returns the payload of a JWS that one of the published keys signed.
	Verify(compact string) (payload []byte, err error)
}

// Config is what an Issuer needs. Everything is required.
type Config struct {
	Issuer   string // iss
	Keys     Keys
	Master   *keys.Master
	Lifetime time.Duration
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
// the hybrid flow, where the authorization and the token endpoint each give one.
func (i *Issuer) Token(s SignIn) (string, error) {
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
			o.String(hash.claim, halfHash(alg, hash.of))
		}
	}
	o.Text("sid", i.SID(s.Client, s.Grant.SID))
	claims.Add(&o, s.Person, sub, s.Scopes, s.Claims)
	return i.cfg.Keys.Sign(alg, "JWT", o.JSON())
}

// halfHash returns the left half of a value's hash (at_hash and its like, OpenID Connect
// Core §3.1.3.6), by the hash function of the signature's algorithm.
func halfHash(alg string, value redact.Text) string {
	if alg == "EdDSA" { // Ed25519 hashes with SHA-512
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

// ErrHint means that a hint is not an ID token that was issued here.
var ErrHint = errors.New("idtoken: not an ID token of ours")

// ReadHint reads an ID token that a client sends back. An expired one is accepted
// (OpenID Connect RP-Initiated Logout §2): it only says whom the client means.
func (i *Issuer) ReadHint(compact string) (Hint, error) {
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
