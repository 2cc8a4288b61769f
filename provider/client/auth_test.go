// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// someKeys is a JWK set (RFC 7517 appendix A.1) with a key of a type that nobody knows.
const someKeys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},{"kty":"new"}]}`

func TestParseKeys(t *testing.T) {
	modulus := make([]byte, 128) // a key of 1024 bits, which the library makes no more
	modulus[0], modulus[127] = 0xff, 1
	short := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	one := big.NewInt(1)
	odd := new(big.Int).Add(new(big.Int).Lsh(one, 2047), one)
	long := &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(one, 8192), one), E: 65537}
	set := func(all ...any) string {
		var list []string
		for _, key := range all {
			text, err := json.Marshal(jose.JSONWebKey{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(text))
		}
		return `{"keys":[` + strings.Join(list, ",") + `]}`
	}
	if keys, err := ParseKeys([]byte(someKeys)); err != nil || len(keys) != 1 || keys[0].KeyID != "1" {
		t.Errorf("one known key: got %+v, %v", keys, err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, row := range map[string]struct{ text, reason string }{
		"not JSON":         {"x", "not a JWK set"},
		"a list":           {"[]", "not a JWK set"},
		"no keys":          {`{"keys":[]}`, "no usable key"},
		"unknown keys":     {`{"keys":[{"kty":"new"}]}`, "no usable key"},
		"a broken key":     {`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, "key 1"},
		"a private key":    {set(&ec.PublicKey, ec), "key 2 of the JWK set (kid \"\") is private"},
		"a symmetric key":  {set([]byte("secret")), "private or symmetric"},
		"a short key":      {set(short), "fewer than 2048 bits"},
		"a long key":       {set(long), "no usable key"}, // go-jose reads none beyond 4096 bits, of which one use would take long
		"an even modulus":  {set(&rsa.PublicKey{N: new(big.Int).Add(odd, one), E: 65537}), "is not valid"},
		"an even exponent": {set(&rsa.PublicKey{N: odd, E: 65536}), "is not valid"},
		"21 keys":          {`{"keys":[` + strings.Repeat(`{"kty":"new"},`, 20) + `{"kty":"new"}]}`, "more than 20"},
	} {
		if keys, err := ParseKeys([]byte(row.text)); err == nil || !strings.Contains(err.Error(), row.reason) {
			t.Errorf("%s: got %d keys and %v, want %q", what, len(keys), err, row.reason)
		}
	}
}

// Only keys that can have made a signature are tried, and few of them: anybody can send a
// signature that none has made.
func TestThreat_FewKeysAreTriedForOneSignature(t *testing.T) {
	public := map[string]any{"RSA": &rsa.PublicKey{N: big.NewInt(1), E: 65537}, "Ed25519": make(ed25519.PublicKey, ed25519.PublicKeySize)}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public[name] = &private.PublicKey
	}
	key := func(kind, kid, use, alg string) jose.JSONWebKey {
		return jose.JSONWebKey{Key: public[kind], KeyID: kid, Use: use, Algorithm: alg}
	}
	var each []jose.JSONWebKey
	for kind := range public {
		each = append(each, key(kind, kind, "", ""))
	}
	for alg, kind := range map[jose.SignatureAlgorithm]string{
		jose.RS256: "RSA", jose.RS384: "RSA", jose.RS512: "RSA", jose.PS256: "RSA", jose.PS384: "RSA", jose.PS512: "RSA",
		jose.ES256: "P-256", jose.ES384: "P-384", jose.ES512: "P-521", jose.EdDSA: "Ed25519", jose.HS256: "", "none": "", "": "",
	} {
		got := SignersOf(each, jose.Header{Algorithm: string(alg)})
		if kind == "" && len(got) != 0 || kind != "" && (len(got) != 1 || got[0].KeyID != kind) {
			t.Errorf("%s: got %v, want %q", alg, got, kind)
		}
	}
	crowd := slices.Repeat([]jose.JSONWebKey{key("P-521", "", "", "")}, maxKeys-1)
	for what, row := range map[string]struct {
		keys []jose.JSONWebKey
		kid  string
		want []string // their kids
	}{
		"for signatures":          {[]jose.JSONWebKey{key("P-521", "enc", "enc", ""), key("P-521", "sig", "sig", "ES512"), key("P-521", "other", "", "ES256")}, "", []string{"sig"}},
		"another kid":             {[]jose.JSONWebKey{key("P-521", "1", "", ""), key("P-521", "2", "", "")}, "3", nil},
		"the kid, then none":      {[]jose.JSONWebKey{key("P-521", "", "", ""), key("P-521", "2", "", ""), key("P-521", "1", "", "")}, "1", []string{"1", ""}},
		"the kid, behind a crowd": {append(slices.Clone(crowd), key("P-521", "1", "", "")), "1", []string{"1", "", "", ""}},
		"a crowd":                 {append(slices.Clone(crowd), key("P-521", "1", "", "")), "", []string{"", "", "", ""}},
		"one kid for all":         {slices.Repeat([]jose.JSONWebKey{key("P-521", "1", "", "")}, maxKeys), "1", []string{"1", "1", "1", "1"}},
	} {
		var got []string
		for _, key := range SignersOf(row.keys, jose.Header{Algorithm: "ES512", KeyID: row.kid}) {
			got = append(got, key.KeyID)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", what, got, row.want)
		}
	}
}

// Whatever is read as a set of keys is public, and reads the same again.
func FuzzParseKeys(f *testing.F) {
	f.Add(someKeys)
	f.Add(`{"keys":[{"kty":"oct","k":"AA"}]}`)
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys([]byte(text))
		if err != nil {
			return
		}
		if len(keys) == 0 || len(keys) > maxKeys {
			t.Fatalf("%d keys", len(keys))
		}
		for _, key := range keys {
			if !key.IsPublic() || !key.Valid() {
				t.Fatalf("%q is read as %v", text, key)
			}
		}
		again, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseKeys(again); err != nil {
			t.Fatalf("%s does not read again: %v", again, err)
		}
	})
}
