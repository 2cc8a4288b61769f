// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"calleridp/keys"
	"calleridp/provider/client"

	"github.com/go-jose/go-jose/v4"
)

// EveryRing returns signing keys of all algorithms, for Config.Provider.Ring.
var EveryRing = sync.OnceValue(func() *keys.Ring {
	r, err := keys.OpenRing(context.Background(), keys.Config{
		Store:      &oneKeySet{},
		Master:     Master(),
		Log:        slog.New(slog.DiscardHandler),
		Algorithms: keys.AllAlgorithms(),
	})
	if err != nil {
		panic(err)
	}
	return r
})

// decryptionKeys are the private keys of clients whose responses are encrypted.
var decryptionKeys = sync.OnceValue(func() jose.JSONWebKeySet {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: rsaKey, KeyID: "rsa", Use: "enc"},
		{Key: ecKey, KeyID: "ec", Use: "enc"},
	}}
})

// EncryptionKeys returns the public keys of clients whose responses are encrypted, a JWK
// set with one of each type.
func EncryptionKeys() string {
	var public jose.JSONWebKeySet
	for _, k := range decryptionKeys().Keys {
		public.Keys = append(public.Keys, k.Public())
	}
	set, err := json.Marshal(public)
	if err != nil {
		panic(err)
	}
	return string(set)
}

// Decrypt returns what a JWE was made of, and its header. It must have been made as e
// says, to one of EncryptionKeys.
func Decrypt(t testing.TB, compact string, e client.Encryption) (plain string, header jose.Header) {
	t.Helper()
	jwe, err := jose.ParseEncryptedCompact(compact, []jose.KeyAlgorithm{jose.KeyAlgorithm(e.Alg)},
		[]jose.ContentEncryption{jose.ContentEncryption(e.Content())})
	if err != nil {
		t.Fatalf("got %q, want a JWE of %+v: %v", compact, e, err)
	}
	set := decryptionKeys()
	i := slices.IndexFunc(set.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == jwe.Header.KeyID })
	if i < 0 {
		t.Fatalf("got the header %+v, want the kid of the client's key (OpenID Connect Core §10.2)", jwe.Header)
	}
	text, err := jwe.Decrypt(set.Keys[i].Key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), jwe.Header
}

// ClaimsOf returns the claims of a JWS with its algorithm. A world with EveryRing, or with
// Ring, has made it; alg none is no signature.
func ClaimsOf(t testing.TB, compact string) (claims map[string]any, alg string) {
	t.Helper()
	header, rest, _ := strings.Cut(compact, ".")
	var said struct{ Alg string }
	decodeJSON(t, header, &said)
	if said.Alg == client.AlgNone {
		payload, signature, _ := strings.Cut(rest, ".")
		if decodeJSON(t, payload, &claims); signature != "" {
			t.Errorf("got %q, want no signature", compact)
		}
		return claims, said.Alg
	}
	payload, err := EveryRing().Verify(compact)
	if err != nil {
		payload, err = Ring().Verify(compact)
	}
	if err != nil {
		t.Fatalf("got %q: %v", compact, err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims, said.Alg
}

func decodeJSON(t testing.TB, part string, into any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("got %q: %v", part, err)
	}
}
