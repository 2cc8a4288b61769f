package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// algorithms are the algorithms that this package knows, the default first (RFC
// 7518 §3.1, RFC 8037 §3.1). Each name fixes the type and size of its key.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

// rsaBits is the size of RSA keys, the minimum of RFC 7518 §3.3.
const rsaBits = 2048

// Algorithms returns the algorithms that Sign accepts, the default first.
func (r *Ring) Algorithms() []string { return slices.Clone(r.cfg.Algorithms) }

// CheckAlgorithms returns what is wrong with a list of algorithms for a ring.
func CheckAlgorithms(algs []string) error {
	for i, alg := range algs {
		switch {
		case !slices.Contains(algorithms, alg):
			return fmt.Errorf("%q is unknown; use %s", alg, strings.Join(algorithms, ", "))
		case slices.Contains(algs[:i], alg):
			return fmt.Errorf("%q is listed twice", alg)
		}
	}
	if !slices.Contains(algs, algorithms[0]) {
		return fmt.Errorf("must include %s, which every client expects (OpenID Connect Discovery section 3)", algorithms[0])
	}
	return nil
}

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
	key      crypto.Signer
	alg, kid string // written by us: they need no escape in JSON
}

func (s signer) sign(typ string, payload []byte) (string, error) {
	header := `{"alg":"` + s.alg + `","kid":"` + s.kid + `","typ":"` + typ + `"}`
	enc := base64.RawURLEncoding
	jws := make([]byte, 0, enc.EncodedLen(len(header))+enc.EncodedLen(len(payload))+2+enc.EncodedLen(rsaBits/8))
	jws = enc.AppendEncode(jws, []byte(header))
	jws = append(jws, '.')
	jws = enc.AppendEncode(jws, payload)
	signature, err := s.signature(jws)
	if err != nil {
		return "", fmt.Errorf("keys: signing with %s: %w", s.alg, err)
	}
	jws = append(jws, '.')
	return string(enc.AppendEncode(jws, signature)), nil
}

func (s signer) signature(input []byte) ([]byte, error) {
	switch key := s.key.(type) {
	case *rsa.PrivateKey: // RFC 7518 §3.3
		digest := sha256.Sum256(input)
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey: // RFC 7518 §3.4: both numbers at full length
		digest := sha256.Sum256(input)
		r, t, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		var both [64]byte
		r.FillBytes(both[:32])
		t.FillBytes(both[32:])
		return both[:], nil
	case ed25519.PrivateKey: // RFC 8037 §3.1
		return ed25519.Sign(key, input), nil
	}
	return nil, errors.New("unknown kind of key")
}

// Verify returns the payload of a compact JWS that one of the published keys has
// signed. The algorithm is the key's, whatever the header says (RFC 8725 §3.1).
func (r *Ring) Verify(compact string) ([]byte, error) {
	allowed := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, alg := range algorithms {
		allowed[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(compact, allowed)
	if err != nil {
		return nil, fmt.Errorf("keys: not a token of ours: %w", err)
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
		return nil, errors.New("keys: the token names no key of ours")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("keys: not a token of ours: %w", err)
	}
	return payload, nil
}

// make generates a key in this state.
func (r *Ring) make(alg string, state State, now time.Time) (Record, error) {
	private, err := generate(alg)
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

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, errors.New("unknown algorithm")
}

// parsePrivate parses a private key that make has sealed, and checks that its type
// and size are those of the algorithm.
func parsePrivate(alg string, plain []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, errors.New("its private half does not parse")
	}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); alg == "RS256" && bits != rsaBits {
			return nil, fmt.Errorf("it has %d bits, not %d", bits, rsaBits)
		}
		if alg == "RS256" {
			return key, nil
		}
	case *ecdsa.PrivateKey:
		if alg == "ES256" && key.Curve == elliptic.P256() {
			return key, nil
		}
	case ed25519.PrivateKey:
		if alg == "EdDSA" {
			return key, nil
		}
	}
	return nil, fmt.Errorf("it is a %T, which does not sign %s", parsed, alg)
}
