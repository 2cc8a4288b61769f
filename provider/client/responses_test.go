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
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// rsaPublic returns a public RSA key to which nobody has the private one.
func rsaPublic() *rsa.PublicKey {
	one := big.NewInt(1)
	return &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(one, 2047), one), E: 65537}
}

func TestValidateResponses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...jose.JSONWebKey) string {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	both := set(jose.JSONWebKey{Key: rsaPublic()}, jose.JSONWebKey{Key: ec.Public()})
	with := func(id, info Encryption, keys, uri string) func(*Client) {
		return func(c *Client) {
			c.Responses.IDToken, c.Responses.Userinfo, c.Keys, c.KeysURI = id, info, keys, uri
		}
	}
	for _, row := range []struct {
		what   string
		change func(*Client)
		field  string // that is refused, "" for none
	}{
		{"every key", with(Encryption{Alg: "RSA-OAEP-256"}, Encryption{Alg: "ECDH-ES", Enc: "A256GCM"}, both, ""), ""},
		{"keys elsewhere", with(Encryption{Alg: "RSA-OAEP-256"}, Encryption{}, "", "https://app.example/jwks"), ""},
		{"no keys", with(Encryption{Alg: "ECDH-ES"}, Encryption{}, "", ""), "jwks"},
		{"no keys for userinfo", with(Encryption{}, Encryption{Alg: "ECDH-ES"}, "", ""), "jwks"},
		{"a key of another type", with(Encryption{Alg: "RSA-OAEP-256"}, Encryption{}, set(jose.JSONWebKey{Key: ec.Public()}), ""), "jwks"},
		{"a key for signatures", with(Encryption{Alg: "ECDH-ES"}, Encryption{}, set(jose.JSONWebKey{Key: ec.Public(), Use: "sig"}), ""), "jwks"},
		{"a key for another algorithm", with(Encryption{Alg: "ECDH-ES"}, Encryption{}, set(jose.JSONWebKey{Key: ec.Public(), Algorithm: "ES384"}), ""), "jwks"},
		{"PKCS #1 v1.5", with(Encryption{Alg: "RSA1_5"}, Encryption{}, both, ""), "id_token_encrypted_response_alg"},
		{"OAEP with SHA-1", with(Encryption{}, Encryption{Alg: "RSA-OAEP"}, both, ""), "userinfo_encrypted_response_alg"},
		{"the client's secret", with(Encryption{Alg: "A128KW"}, Encryption{}, both, ""), "id_token_encrypted_response_alg"},
		{"an unknown enc", with(Encryption{Alg: "ECDH-ES", Enc: "A128"}, Encryption{}, both, ""), "id_token_encrypted_response_enc"},
		{"enc without alg", with(Encryption{Enc: "A128GCM"}, Encryption{}, both, ""), "id_token_encrypted_response_enc"},
		{"userinfo's enc without alg", with(Encryption{}, Encryption{Enc: "A128GCM"}, both, ""), "userinfo_encrypted_response_enc"},
		{"signed userinfo", func(c *Client) { c.Responses.UserinfoAlg = "ES384" }, ""},
		{"userinfo with a secret", func(c *Client) { c.Responses.UserinfoAlg = "HS256" }, "userinfo_signed_response_alg"},
		{"userinfo that says nothing", func(c *Client) { c.Responses.UserinfoAlg = "none" }, "userinfo_signed_response_alg"},
		{"no signature", func(c *Client) { c.IDTokenAlg = AlgNone }, ""},
		{"no signature, by code token", func(c *Client) {
			c.IDTokenAlg, c.ResponseTypes = AlgNone, []ResponseType{TypeCode, "code token"}
		}, ""},
		{"no signature, through the browser", func(c *Client) {
			c.IDTokenAlg, c.ResponseTypes = AlgNone, []ResponseType{TypeCode, "code id_token"}
		}, "id_token_signed_response_alg"},
		{"no signature, and encrypted", func(c *Client) {
			with(Encryption{Alg: "ECDH-ES"}, Encryption{}, both, "")(c)
			c.IDTokenAlg = AlgNone
		}, "id_token_signed_response_alg"},
	} {
		c := Client{ID: "app", RedirectURIs: []string{"https://app.example/cb"}, SecretHashes: []SecretHash{{}}}
		row.change(&c)
		found := Validate(c)
		if row.field == "" && len(found) > 0 || row.field != "" && (len(found) != 1 || found[0].Field != row.field || found[0].Reason == "") {
			t.Errorf("%s: got %v, want one error of %q", row.what, found, row.field)
		}
	}
	unsigned := Client{ID: "app", IDTokenAlg: AlgNone}
	if found := (Deployment{}).validateResponses(unsigned); len(found) != 1 {
		t.Errorf("none where it is off: got %v, want it refused", found)
	}
	if found := (Deployment{Unsigned: true, Algorithms: []string{"RS256"}}).validateResponses(unsigned); found != nil || adviseResponses(unsigned) == nil {
		t.Errorf("none where it is on: got %v and %v, want it allowed and unwise", found, adviseResponses(unsigned))
	}
	unsigned = Client{ID: "app", Responses: Responses{UserinfoAlg: "PS256"}}
	if found := (Deployment{Algorithms: []string{"RS256"}}).validateResponses(unsigned); len(found) != 1 || found[0].Field != "userinfo_signed_response_alg" {
		t.Errorf("userinfo of PS256 where it is off: got %v, want it refused", found)
	}
}

// Of several keys, the one that says that it is for this is taken (RFC 7517 §4.2, §4.4).
func TestEncryptionKey(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := func(kid, use, alg string, public any) jose.JSONWebKey {
		return jose.JSONWebKey{Key: public, KeyID: kid, Use: use, Algorithm: alg}
	}
	all := []jose.JSONWebKey{
		key("signs", "sig", "", ec.Public()),
		key("signs too", "", "ES256", ec.Public()),
		key("ed", "", "", ed),
		key("any", "", "", ec.Public()),
		key("encrypts", "enc", "", ec.Public()),
		key("also", "enc", "", ec.Public()),
		key("wraps", "enc", "ECDH-ES+A128KW", ec.Public()),
		key("rsa", "", "", rsaPublic()),
		key("rsa of another", "enc", "RSA-OAEP", rsaPublic()),
	}
	for alg, want := range map[string]string{
		"ECDH-ES": "encrypts", "ECDH-ES+A128KW": "wraps", "ECDH-ES+A256KW": "encrypts", "RSA-OAEP-256": "rsa", "RSA1_5": "", "dir": "", "": "",
	} {
		got, ok := Encryption{Alg: alg}.Key(all)
		if got.KeyID != want || ok != (want != "") {
			t.Errorf("%s: got %q, want %q", alg, got.KeyID, want)
		}
	}
	if _, ok := (Encryption{Alg: "ECDH-ES"}).Key(all[:3]); ok {
		t.Error("got a key that is for signatures, want none")
	}
}

// What is written of a client's responses reads as the same, with the defaults.
func TestResponseMetadata(t *testing.T) {
	r := Responses{IDToken: Encryption{Alg: "ECDH-ES"}, UserinfoAlg: "ES256", Userinfo: Encryption{Alg: "RSA-OAEP-256", Enc: "A256GCM"}}
	want := r
	want.IDToken.Enc = "A128CBC-HS256"
	if got := r.Metadata().Responses(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (Responses{}).Metadata(); got != (ResponseMetadata{}) {
		t.Errorf("got %+v, want nothing", got)
	}
	if slices.Contains(EncryptionAlgorithms, "RSA1_5") {
		t.Error("RSA1_5 is listed (RFC 8725 §3.2)")
	}
}
