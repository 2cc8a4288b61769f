// SPDX-License-Identifier: Apache-2.0

package testworld

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/redact"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// AssertionType is the client_assertion_type of RFC 7523 §2.2.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// AssertionSecret is the secret of the client "secretjwt".
var AssertionSecret = strings.Repeat("0123456789abcdef", 4)

// assertionKey is the private key of the client "keyjwt".
var assertionKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// assertionClients are the clients that authenticate by assertions.
func assertionClients() []client.Client {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &assertionKey().PublicKey, KeyID: "1"}}})
	if err != nil {
		panic(err)
	}
	redirects := []string{"https://jwt.example/cb"}
	return []client.Client{
		{ID: "secretjwt", AuthMethod: client.AuthSecretJWT, Secrets: []redact.Text{redact.Text(AssertionSecret)}, RedirectURIs: redirects},
		{ID: "keyjwt", AuthMethod: client.AuthPrivateKeyJWT, Keys: string(set), RedirectURIs: redirects},
	}
}

// Assertion returns the parameters by which "secretjwt" or "keyjwt" authenticates once.
func Assertion(t testing.TB, clientID string) url.Values {
	t.Helper()
	key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: assertionKey(), KeyID: "1"}}
	if clientID == "secretjwt" {
		key = jose.SigningKey{Algorithm: jose.HS256, Key: []byte(AssertionSecret)}
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": clientID, "sub": clientID, "aud": Issuer, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"client_assertion_type": {AssertionType}, "client_assertion": {text}}
}
