// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// rsaBits is the size of RSA keys, the minimum of RFC 7518 §3.3.
const rsaBits = 2048

// Sign returns a JWS of payload in compact form (RFC 7515 §7.1), signed by the
// active key of alg. typ is the typ of the header: JWT, or a more explicit type
// (RFC 8725 §3.11).
func (r *Ring) Sign(alg, typ string, payload []byte) (string, error) {
	if err := r.freshen(); err != nil { // another process may have retired the key
		return "", fmt.Errorf("keys: nothing is signed, because the key may have been retired: %w", err)
	}
	s, ok := r.current.Load().signers[alg]
	if !ok {
		return "", fmt.Errorf("keys: no key for algorithm %q", alg)
	}
	if strings.ContainsFunc(typ, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return "", fmt.Errorf("keys: typ %q is not a media type", typ)
	}
	return s.sign(typ, payload)
}

// signer is the active key of one algorithm.
type signer struct {
	key crypto.Signer
	alg algorithm
	kid string // written by us, as the algorithm's name: they need no escape in JSON
}

func (s signer) sign(typ string, payload []byte) (string, error) {
	header := `{"alg":"` + s.alg.name + `","kid":"` + s.kid + `","typ":"` + typ + `"}`
	enc := base64.RawURLEncoding
	jws := make([]byte, 0, enc.EncodedLen(len(header))+enc.EncodedLen(len(payload))+2+enc.EncodedLen(rsaBits/8))
	jws = enc.AppendEncode(jws, []byte(header))
	jws = append(jws, '.')
	jws = enc.AppendEncode(jws, payload)
	signature, err := s.alg.sign(s.key, jws)
	if err != nil {
		return "", fmt.Errorf("keys: signing with %s: %w", s.alg.name, err)
	}
	jws = append(jws, '.')
	return string(enc.AppendEncode(jws, signature)), nil
}

// Verify returns the payload of a compact JWS that one of the published keys has
// signed. The algorithm is the key's, whatever the header says (RFC 8725 §3.1).
func (r *Ring) Verify(compact string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(compact, verifiable)
	if err != nil {
		return nil, fmt.Errorf("keys: not a token of this server: %w", err)
	}
	header := jws.Signatures[0].Header
	key, ok := r.current.Load().public[header.KeyID]
	if !ok { // another process may sign with a new one
		if err := r.freshen(); err != nil {
			return nil, err
		}
		key, ok = r.current.Load().public[header.KeyID]
	}
	if !ok || key.Algorithm != header.Algorithm {
		return nil, errors.New("keys: the token names an unknown key")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("keys: not a token of this server: %w", err)
	}
	return payload, nil
}

// make generates a key in this state.
func (r *Ring) make(alg string, state State, now time.Time) (Record, error) {
	how, ok := algorithmOf(alg)
	if !ok {
		return Record{}, fmt.Errorf("keys: %w: %q", ErrNoAlgorithm, alg)
	}
	private, err := how.generate()
	if err != nil {
		return Record{}, fmt.Errorf("keys: generating %s: %w", alg, err)
	}
	k := Record{ID: RandomText(12), Algorithm: alg, State: state, Created: now}
	if state == Active {
		k.Activated = now
	}
	k.Public, err = json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: k.ID, Algorithm: alg, Use: "sig"})
	if err != nil {
		return Record{}, fmt.Errorf("keys: %w", err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Record{}, fmt.Errorf("keys: %w", err)
	}
	k.Sealed = r.cfg.Master.Seal(PurposePrivateKey, plain, []byte(k.ID))
	return k, nil
}

// parsePrivate parses a private key that make has sealed, and checks that its type
// and size are those of the algorithm.
func parsePrivate(alg string, plain []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, errors.New("its private half does not parse")
	}
	signer, ok := parsed.(crypto.Signer)
	how, known := algorithmOf(alg)
	if !ok || !known {
		return nil, fmt.Errorf("it is a %T, which does not sign %s", parsed, alg)
	}
	if err := how.check(parsed); err != nil {
		return nil, err
	}
	return signer, nil
}
