// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// algorithm is how one algorithm signs (RFC 7518 §3.1, RFC 8037 §3.1). Its name fixes the
// type and size of its key, and no two share one (RFC 8725 §3.1): a verifier takes
// the algorithm from the key.
type algorithm struct {
	name  string
	hash  crypto.Hash    // zero: it hashes itself
	pss   bool           // of an RSA key
	curve elliptic.Curve // nil: not ECDSA
}

// algorithms are those that this package knows, the default first.
var algorithms = []algorithm{
	{name: "RS256", hash: crypto.SHA256},
	{name: "RS384", hash: crypto.SHA384},
	{name: "RS512", hash: crypto.SHA512},
	{name: "PS256", hash: crypto.SHA256, pss: true},
	{name: "PS384", hash: crypto.SHA384, pss: true},
	{name: "PS512", hash: crypto.SHA512, pss: true},
	{name: "ES256", hash: crypto.SHA256, curve: elliptic.P256()},
	{name: "ES384", hash: crypto.SHA384, curve: elliptic.P384()},
	{name: "ES512", hash: crypto.SHA512, curve: elliptic.P521()},
	{name: "EdDSA"},
}

// usual are the algorithms of a deployment that names none: one for each type of key. Each
// costs its keys, their rotation, and a place in the JWKS.
var usual = []string{"RS256", "ES256", "EdDSA"}

// UsualAlgorithms returns the algorithms of a Config that names none, the default first.
func UsualAlgorithms() []string { return slices.Clone(usual) }

// AllAlgorithms returns the algorithms that this package knows, the default first.
func AllAlgorithms() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = a.name
	}
	return names
}

// verifiable are the algorithms of AllAlgorithms, for the parser.
var verifiable = func() []jose.SignatureAlgorithm {
	var all []jose.SignatureAlgorithm
	for _, a := range algorithms {
		all = append(all, jose.SignatureAlgorithm(a.name))
	}
	return all
}()

func algorithmOf(name string) (algorithm, bool) {
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.name == name })
	if i < 0 {
		return algorithm{}, false
	}
	return algorithms[i], true
}

// Algorithms returns the algorithms that Sign accepts, the default first.
func (r *Ring) Algorithms() []string { return slices.Clone(r.cfg.Algorithms) }

// CheckAlgorithms returns what is wrong with a list of algorithms for a ring.
func CheckAlgorithms(algs []string) error {
	for i, alg := range algs {
		_, known := algorithmOf(alg)
		switch {
		case !known:
			return fmt.Errorf("%q is unknown; use %s", alg, strings.Join(AllAlgorithms(), ", "))
		case slices.Contains(algs[:i], alg):
			return fmt.Errorf("%q is listed twice", alg)
		}
	}
	if !slices.Contains(algs, usual[0]) {
		return fmt.Errorf("must include %s, which every client expects (OpenID Connect Discovery section 3)", usual[0])
	}
	return nil
}

// sign returns the signature of input.
func (a algorithm) sign(key crypto.Signer, input []byte) ([]byte, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if a.pss { // RFC 7518 §3.5: the salt is as long as the hash
			return rsa.SignPSS(rand.Reader, key, a.hash, a.digest(input), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, key, a.hash, a.digest(input)) // RFC 7518 §3.3
	case *ecdsa.PrivateKey: // RFC 7518 §3.4: both numbers at full length
		r, t, err := ecdsa.Sign(rand.Reader, key, a.digest(input))
		if err != nil {
			return nil, err
		}
		size := (a.curve.Params().BitSize + 7) / 8
		both := make([]byte, 2*size)
		r.FillBytes(both[:size])
		t.FillBytes(both[size:])
		return both, nil
	case ed25519.PrivateKey: // RFC 8037 §3.1
		return ed25519.Sign(key, input), nil
	}
	return nil, errors.New("unknown kind of key")
}

func (a algorithm) digest(input []byte) []byte {
	switch a.hash {
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return sum[:]
	case crypto.SHA512:
		sum := sha512.Sum512(input)
		return sum[:]
	}
	sum := sha256.Sum256(input)
	return sum[:]
}

// generate generates a private key.
func (a algorithm) generate() (crypto.Signer, error) {
	switch {
	case a.curve != nil:
		return ecdsa.GenerateKey(a.curve, rand.Reader)
	case a.hash != 0:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}

// check returns why a private key is not one of the algorithm.
func (a algorithm) check(private any) error {
	switch key := private.(type) {
	case *rsa.PrivateKey:
		if a.hash == 0 || a.curve != nil {
			break
		}
		if bits := key.N.BitLen(); bits != rsaBits {
			return fmt.Errorf("it has %d bits, not %d", bits, rsaBits)
		}
		return nil
	case *ecdsa.PrivateKey:
		if key.Curve == a.curve {
			return nil
		}
	case ed25519.PrivateKey:
		if a.hash == 0 {
			return nil
		}
	}
	return fmt.Errorf("it is a %T, which does not sign %s", private, a.name)
}
