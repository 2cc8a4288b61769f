// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"calleridp/test/harness"

	"github.com/go-jose/go-jose/v4"
)

// A client that must sign its requests signs a user in by an object that it publishes beside
// its keys, at the built server; and nobody does without.
func TestRequestURIOfTheBuiltServer(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	var object atomic.Value
	var read atomic.Int32
	published := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/keys":
			w.Write(keys)
		case "/request":
			read.Add(1)
			w.Write([]byte(object.Load().(string)))
		default:
			http.NotFound(w, r)
		}
	}))
	defer published.Close()
	dir := t.TempDir()
	roots, clients := filepath.Join(dir, "roots.pem"), filepath.Join(dir, "clients.yaml")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: published.Certificate().Raw})
	file := fmt.Sprintf(`
- client_id: signing
  name: Signing
  token_endpoint_auth_method: private_key_jwt
  jwks_uri: %[1]s/keys
  redirect_uris: ["https://signing.example/cb"]
  request_object_signing_alg: ES256
  require_signed_request_object: true
  request_uris: ["%[1]s/request", "%[1]s/nothing"]
`, published.URL)
	for path, text := range map[string][]byte{roots: certificate, clients: []byte(file)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SSL_CERT_FILE", roots)
	server := harness.Dev(t, "--clients", clients)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	members, err := json.Marshal(map[string]any{
		"iss": "signing", "aud": server.Issuer, "client_id": "signing", "response_type": "code", "scope": "openid phone", "state": "inside",
		"redirect_uri": "https://signing.example/cb", "nonce": "n", "code_challenge_method": "S256",
		"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
	})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(members)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	object.Store(text)

	at := func(pairs ...string) string {
		v := url.Values{"client_id": {"signing"}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return server.Issuer + "/authorize?" + v.Encode()
	}
	browser := harness.NewBrowser(t, server.Issuer)
	page := browser.Submit(browser.Get(at("request_uri", published.URL+"/request")), harness.Number(5))
	left, page := browser.Follow(page, harness.Timeout)
	if left == nil || left.Host != "signing.example" || left.Query().Get("code") == "" || left.Query().Get("state") != "inside" {
		t.Fatalf("left to %v or stopped at %s (status %d), want a code with the state inside", left, page.URL, page.Status)
	}
	if got := read.Load(); got != 1 {
		t.Errorf("got %d fetches of the object, want one", got)
	}
	refusals := map[string]string{
		at("redirect_uri", "https://signing.example/cb", "response_type", "code", "state", "inside"):                         "invalid_request",
		at("redirect_uri", "https://signing.example/cb", "request_uri", published.URL+"/nothing", "state", "inside"):         "invalid_request_uri",
		at("redirect_uri", "https://signing.example/cb", "request_uri", published.URL+"/else", "state", "inside"):            "invalid_request_uri",
		at("request", text[:len(text)-6]+"AAAAAA"):                                                                           "invalid_request_object",
		at("request", text, "request_uri", published.URL+"/request", "redirect_uri", "https://signing.example/cb"):           "invalid_request",
		at("request", text, "response_type", "code id_token", "redirect_uri", "https://signing.example/cb", "state", "else"): "invalid_request",
	}
	for request, want := range refusals {
		left, page := browser.Follow(browser.Get(request), 0)
		if left == nil || left.Query().Get("error") != want && !inFragmentIs(left, want) || left.Host != "signing.example" {
			t.Errorf("%s: left to %v or stopped at status %d, want %s", request, left, page.Status, want)
		}
	}
	if log := server.Logged("request_object.refused", "could not be read"); log == "" {
		t.Error("got nothing in the log")
	}
}

// inFragmentIs reports whether a response in the fragment has this error.
func inFragmentIs(left *url.URL, want string) bool {
	v, err := url.ParseQuery(left.Fragment)
	return err == nil && v.Get("error") == want
}
