// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/redact"

	"github.com/go-jose/go-jose/v4"
)

// signers of FuzzAssertion: who signs, and for which client and algorithm that counts.
const (
	registeredES256 = iota
	registeredEdDSA
	registeredSecret
	strangersES256
	othersES256 // the key of another client
	othersSecret
	publishedAsSecret // the client's public keys, taken for a secret
	unsigned
	numberOfSigners
)

var countsFor = map[int]struct{ client, alg string }{
	registeredES256: {"keys", "ES256"}, registeredEdDSA: {"keys", "EdDSA"}, registeredSecret: {"hmac", "HS256"},
	othersES256: {"others", "ES256"}, othersSecret: {"otherhmac", "HS256"},
}

// relative are times in the claims of a seed: seconds from now.
var relative = regexp.MustCompile(`@-?[0-9]{1,12}`)

// Whatever header and claims somebody signs: an assertion that is accepted was signed by a
// registered key of the client that it names as iss and sub, by that key's algorithm; it names
// this server and nobody else, is unexpired and not valid for long, and is accepted once, at
// whichever endpoint (RFC 7523 §3, OpenID Connect Core §9).
func FuzzAssertion(f *testing.F) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	others, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	public, ed, _ := ed25519.GenerateKey(rand.Reader)
	set := jwks(f, jose.JSONWebKey{Key: &ec.PublicKey, KeyID: "ec"}, jose.JSONWebKey{Key: public, KeyID: "ed"})
	secret, otherSecret := strings.Repeat("s", 64), strings.Repeat("o", 64)
	w := testworld.New(f, func(c *testworld.Config) {
		at := []string{redirectURI}
		c.Clients = append(c.Clients,
			client.Client{ID: "keys", AuthMethod: client.AuthPrivateKeyJWT, Keys: set, RedirectURIs: at},
			client.Client{ID: "others", AuthMethod: client.AuthPrivateKeyJWT, Keys: jwks(f, jose.JSONWebKey{Key: &others.PublicKey, KeyID: "ec"}), RedirectURIs: at},
			client.Client{ID: "hmac", AuthMethod: client.AuthSecretJWT, Secrets: []redact.Text{redact.Text(secret)}, RedirectURIs: at},
			client.Client{ID: "otherhmac", AuthMethod: client.AuthSecretJWT, Secrets: []redact.Text{redact.Text(otherSecret)}, RedirectURIs: at},
		)
	})
	es256 := func(key *ecdsa.PrivateKey, input string) []byte {
		digest := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			f.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	hs256 := func(key, input string) []byte {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
	sign := func(signer int, input string) []byte {
		switch signer {
		case registeredES256:
			return es256(ec, input)
		case registeredEdDSA:
			return ed25519.Sign(ed, []byte(input))
		case registeredSecret:
			return hs256(secret, input)
		case strangersES256:
			return es256(stranger, input)
		case othersES256:
			return es256(others, input)
		case othersSecret:
			return hs256(otherSecret, input)
		case publishedAsSecret:
			return hs256(set, input)
		}
		return nil
	}

	const claims = `{"iss":"keys","sub":"keys","aud":"` + testworld.Issuer + `","jti":"~","iat":@0,"exp":@60}`
	for signer := range numberOfSigners {
		for _, header := range []string{`{"alg":"ES256","kid":"ec"}`, `{"alg":"EdDSA"}`, `{"alg":"HS256","typ":"JWT"}`, `{"alg":"none"}`} {
			f.Add(signer, header, claims, "client_id=keys")
			f.Add(signer, header, strings.ReplaceAll(claims, "keys", "hmac"), "")
		}
	}
	for _, header := range []string{
		`{"alg":"ES256","crit":["b64"],"b64":false}`, `{"alg":"ES256","typ":"oauth-authz-req+jwt"}`, `{"alg":"ES256","alg":"none"}`, `{"ALG":"none","alg":"ES256"}`,
		`{"alg":"ES256","jwk":` + strings.TrimSuffix(strings.TrimPrefix(set, `{"keys":[`), "]}") + `}`, `{"alg":"ES256","jku":"https://evil.example/"}`, `{"alg":"ES256","kid":7}`,
	} {
		f.Add(registeredES256, header, claims, "")
	}
	for old, changed := range map[string]string{
		`"iss":"keys"`: `"iss":"hmac"`, `"sub":"keys"`: `"sub":"keys","sub":"others"`, `@60`: `@-61`, `"exp":@60`: `"exp":@999999`, `,"exp":@60`: ``,
		`"aud":"` + testworld.Issuer + `"`: `"aud":["` + testworld.Issuer + `/introspect","https://evil.example"]`, `"jti":"~"`: `"jti":"same"`,
		`@0`: `@500`, `"iat"`: `"nbf"`, `"aud"`: `"AUD"`,
	} {
		f.Add(registeredES256, `{"alg":"ES256"}`, strings.Replace(claims, old, changed, 1), "")
	}
	encode := base64.RawURLEncoding.EncodeToString
	f.Fuzz(func(t *testing.T, signer int, header, claims, beside string) {
		w, now := w.In(t), time.Now()
		claims = strings.ReplaceAll(claims, "~", rand.Text())
		claims = relative.ReplaceAllStringFunc(claims, func(s string) string {
			n, _ := strconv.ParseInt(s[1:], 10, 64)
			return strconv.FormatInt(now.Unix()+n, 10)
		})
		input := encode([]byte(header)) + "." + encode([]byte(claims))
		body, _ := url.ParseQuery(beside)
		body.Set("token", "x")
		body.Set("client_assertion_type", testworld.AssertionType)
		body.Set("client_assertion", input+"."+encode(sign(signer, input)))
		got := w.Post("/introspect", body)
		switch {
		case got.StatusCode == 400 || got.StatusCode == 401:
			if got.Member("error") == "" {
				t.Fatalf("got %s", got)
			}
			return
		case got.StatusCode != 200:
			t.Fatalf("got %s", got)
		}

		var h, c map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(claims), &c) != nil {
			t.Fatalf("accepted what is no JSON: %s.%s", header, claims)
		}
		who, counts := countsFor[signer]
		if !counts || h["alg"] != who.alg || c["iss"] != who.client || c["sub"] != who.client {
			t.Errorf("accepted %s.%s, signed by %d", header, claims, signer)
		}
		if typ, _ := h["typ"].(string); client.IsRequestObjectType(typ) {
			t.Errorf("accepted a request object: %s", header)
		}
		if id := body.Get("client_id"); id != "" && id != who.client {
			t.Errorf("accepted an assertion of %s beside client_id=%s", who.client, id)
		}
		audiences, ok := c["aud"].([]any)
		if !ok {
			audiences = []any{c["aud"]}
		}
		for _, aud := range audiences {
			if aud != testworld.Issuer && aud != testworld.Issuer+"/token" && aud != testworld.Issuer+"/introspect" {
				t.Errorf("accepted for %v", aud)
			}
		}
		// Fractions of a second and what the test itself takes make a few seconds.
		exp, ok := c["exp"].(float64)
		if left := exp - float64(now.Unix()); !ok || left < -62 || left > 3600+62 || len(audiences) == 0 {
			t.Errorf("accepted with the end %v, %v seconds from now", c["exp"], left)
		}
		if jti, _ := c["jti"].(string); jti == "" || len(jti) > 256 {
			t.Errorf("accepted with the jti %v", c["jti"])
		}
		for _, path := range []string{"/introspect", "/revoke", "/token"} {
			if path == "/token" {
				body.Set("grant_type", "refresh_token")
				body.Set("refresh_token", "x")
			}
			if again := w.Post(path, body); again.StatusCode != 401 || again.Member("error") != "invalid_client" {
				t.Errorf("%s: accepted once more: %s", path, again)
			}
		}
	})
}
