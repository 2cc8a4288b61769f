// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"calleridp/keys"

	"github.com/go-jose/go-jose/v4"
)

func signed(t testing.TB, r *keys.Ring, alg string) string {
	t.Helper()
	jws, err := r.Sign(alg, "JWT", []byte(`{"sub":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

// weakRSA returns an RSA key of 1024 bits, stored as our keys are.
func weakRSA(t testing.TB, m *keys.Master, kid string) (public, sealed []byte) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, err = json.Marshal(jose.JSONWebKey{Key: k.Public(), KeyID: kid, Algorithm: "RS256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return public, m.Seal(keys.PurposePrivateKey, plain, []byte(kid))
}

// Another implementation verifies our signatures, of every algorithm that there is.
func TestSignatures(t *testing.T) {
	r := open(t, &memory{}, only(keys.AllAlgorithms()...))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"iss":"https://id.example.com","n":"æ"}`)
	for _, alg := range r.Algorithms() {
		for _, typ := range []string{"JWT", "logout+jwt", "~!"} {
			compact, err := r.Sign(alg, typ, payload)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			header := jws.Signatures[0].Header
			if header.KeyID != kid(t, r, alg, keys.Active) || header.ExtraHeaders["typ"] != typ {
				t.Errorf("%s: header %+v", alg, header)
			}
			if public := set.Key(header.KeyID)[0]; public.Algorithm != alg || header.Algorithm != alg {
				t.Errorf("got %s signed by a key for %s, want both %s (RFC 8725 §3.1)", header.Algorithm, public.Algorithm, alg)
			}
			got, err := jws.Verify(set.Key(header.KeyID)[0])
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%s: %q, %v", alg, got, err)
			}
			if ours, err := r.Verify(compact); err != nil || !bytes.Equal(ours, payload) {
				t.Errorf("%s: Verify: %q, %v", alg, ours, err)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	r := open(t, &memory{})
	for _, row := range [][2]string{{"none", "JWT"}, {"HS256", "JWT"}, {"", "JWT"}, {"RS512", "JWT"}, {"RS256", `J","alg":"none`}, {"RS256", "a\\b"}, {"RS256", "a\nb"}, {"RS256", "a b"}, {"RS256", "a\x7f"}} {
		if jws, err := r.Sign(row[0], row[1], []byte("{}")); err == nil || jws != "" {
			t.Errorf("Sign(%q, %q) = %q", row[0], row[1], jws)
		}
	}
}

// The JWKS is public: it has no member of a private key
// (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2).
func TestJWKSHasNoPrivateMembers(t *testing.T) {
	r := open(t, &memory{})
	if err := r.Rotate(t.Context(), "", true); err != nil { // retired keys too
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 9 {
		t.Errorf("%d keys, want three of each algorithm", len(set.Keys))
	}
	members := map[string][]string{
		"RS256": {"alg", "e", "kid", "kty", "n", "use"},
		"ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"},
		"EdDSA": {"alg", "crv", "kid", "kty", "use", "x"},
	}
	for _, k := range set.Keys {
		var names []string
		for name := range k {
			names = append(names, name)
		}
		slices.Sort(names)
		if want := members[fmt.Sprint(k["alg"])]; !slices.Equal(names, want) {
			t.Errorf("%v has the members %v, want exactly %v", k["alg"], names, want)
		}
		if k["use"] != "sig" || k["kid"] == "" {
			t.Errorf("use %v, kid %v", k["use"], k["kid"])
		}
		if n, err := base64.RawURLEncoding.DecodeString(fmt.Sprint(k["n"])); k["alg"] == "RS256" && (err != nil || len(n) != 256) {
			t.Errorf("an RSA modulus of %d bytes", len(n))
		}
	}
}

func TestStoredPrivateKeysAreSealed(t *testing.T) {
	store := &memory{}
	open(t, store)
	for _, k := range store.records {
		if _, err := x509.ParsePKCS8PrivateKey(k.Sealed); err == nil {
			t.Errorf("key %s is in the clear", k.ID)
		}
		for i := range k.Sealed {
			if _, err := x509.ParsePKCS8PrivateKey(k.Sealed[i:]); err == nil {
				t.Errorf("key %s is in the clear", k.ID)
			}
		}
	}
}

// A key verifies only its own algorithm (RFC 8725 §3.1, §2.1).
func TestVerifyPinsTheAlgorithm(t *testing.T) {
	r := open(t, &memory{})
	forge := func(header string, sign func(input string) []byte) string {
		enc := base64.RawURLEncoding.EncodeToString
		input := enc([]byte(header)) + "." + enc([]byte(`{"sub":"mallory"}`))
		return input + "." + enc(sign(input))
	}
	nothing := func(string) []byte { return nil }
	rs, es := kid(t, r, "RS256", keys.Active), kid(t, r, "ES256", keys.Active)
	good := signed(t, r, "ES256")
	parts := strings.Split(good, ".")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signedWith := func(alg jose.SignatureAlgorithm, key any, kid string) string {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{"sub":"mallory"}`))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return compact
	}
	foreign := signedWith(jose.ES256, stranger, es)
	confused := signedWith(jose.HS256, r.JWKS(), rs)
	for name, token := range map[string]string{
		"empty":                          "",
		"no JWS":                         "abc",
		"none":                           forge(`{"alg":"none","kid":"`+rs+`"}`, nothing),
		"HMAC with the public keys":      confused,
		"RS256 header on an ES256 key":   forge(`{"alg":"RS256","kid":"`+es+`"}`, nothing),
		"ES256 header on an RS256 key":   forge(`{"alg":"ES256","kid":"`+rs+`"}`, nothing),
		"unknown kid":                    forge(`{"alg":"ES256","kid":"nobody"}`, nothing),
		"no kid":                         forge(`{"alg":"ES256"}`, nothing),
		"another's key under our kid":    foreign,
		"payload changed":                parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"y"}`)) + "." + parts[2],
		"signature cut":                  good[:len(good)-4],
		"signature of zeros":             parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a key of its own in the header": forge(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, nothing),
	} {
		if payload, err := r.Verify(token); err == nil || payload != nil {
			t.Errorf("%s: %q was accepted", name, payload)
		}
	}
}

func TestSignWhileRotating(t *testing.T) {
	r := open(t, &memory{})
	stop := make(chan struct{})
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				jws, err := r.Sign("ES256", "JWT", []byte("{}"))
				if err == nil {
					_, err = r.Verify(jws)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		if err := r.Rotate(t.Context(), "", true); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	done.Wait()
}

func BenchmarkSign(b *testing.B) {
	r := open(b, &memory{})
	payload := bytes.Repeat([]byte("x"), 600)
	for _, alg := range r.Algorithms() {
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Sign(alg, "JWT", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
