// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/redact"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// signer is who signs the assertions of a test.
type signer struct {
	alg jose.SignatureAlgorithm
	key any
}

// sign makes an assertion, whose header has the key's kid if key is a JWK.
func (s signer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(made).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claimsOf are good claims with changes; a change to nil leaves the claim out.
func claimsOf(id string, changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": id, "sub": id, "aud": testworld.Issuer, "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

const redirectURI = "https://jwt.example/cb"

// redeeming is a code request without anything that authenticates its client, changed by
// pairs of name and value.
func redeeming(code string, pairs ...string) url.Values {
	v := testworld.CodeRequest("", code)
	v.Set("redirect_uri", redirectURI)
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// presented is the response to a code request with an assertion.
func presented(w *testworld.World, code, assertion string) testworld.Response {
	return w.Post("/token", redeeming(code, "client_assertion_type", testworld.AssertionType, "client_assertion", assertion))
}

// jwks is a JWK set of public keys.
func jwks(t testing.TB, all ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: all})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withAssertions is a world in which "hmac" and "keys" authenticate by assertions.
func withAssertions(t *testing.T) (w *testworld.World, signers map[string]signer) {
	t.Helper()
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	forEncryption, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	set := jwks(t,
		jose.JSONWebKey{Key: &ec.PublicKey, KeyID: "ec"},
		jose.JSONWebKey{Key: &rsaKey.PublicKey, KeyID: "rsa", Use: "sig"},
		jose.JSONWebKey{Key: ed.Public(), KeyID: "ed", Algorithm: "EdDSA"},
		jose.JSONWebKey{Key: &forEncryption.PublicKey, KeyID: "enc", Use: "enc"})
	w = testworld.New(t, func(c *testworld.Config) {
		redirect := []string{redirectURI}
		c.Clients = append(c.Clients,
			client.Client{ID: "hmac", AuthMethod: client.AuthSecretJWT, Secrets: []redact.Text{redact.Text(testworld.AssertionSecret), redact.Text("old" + testworld.AssertionSecret)}, RedirectURIs: redirect},
			client.Client{ID: "keys", AuthMethod: client.AuthPrivateKeyJWT, Keys: set, RedirectURIs: redirect},
			client.Client{ID: "es256only", AuthMethod: client.AuthPrivateKeyJWT, AuthAlg: "ES256", Keys: set, RedirectURIs: redirect},
			client.Client{ID: "postonly", AuthMethod: client.AuthPost, SecretHashes: []client.SecretHash{client.HashSecret(testworld.Secret)}, RedirectURIs: redirect},
		)
	})
	with := func(kid string, key any) jose.JSONWebKey { return jose.JSONWebKey{Key: key, KeyID: kid} }
	return w, map[string]signer{
		"ES256":         {jose.ES256, with("ec", ec)},
		"ES256, no kid": {jose.ES256, ec},
		"RS256":         {jose.RS256, with("rsa", rsaKey)},
		"PS384":         {jose.PS384, with("rsa", rsaKey)},
		"EdDSA":         {jose.EdDSA, with("ed", ed)},
		"HS256":         {jose.HS256, []byte(testworld.AssertionSecret)},
		"HS512":         {jose.HS512, []byte(testworld.AssertionSecret)},
		"old secret":    {jose.HS256, []byte("old" + testworld.AssertionSecret)},
		"stranger":      {jose.ES256, with("ec", stranger)},
		"wrong kid":     {jose.ES256, with("rsa", ec)},
		"unknown kid":   {jose.ES256, with("new", ec)},
		"encryption":    {jose.ES256, with("enc", forEncryption)},
		"wrong secret":  {jose.HS256, []byte("x" + testworld.AssertionSecret)},
		"published":     {jose.HS256, []byte(set)}, // a public key taken for a secret
	}
}

// Who signs with the right key and says so gets tokens; the code of a request whose
// assertion is refused is not used up (RFC 6749 §5.2, RFC 7523 §3.2).
func TestAssertions(t *testing.T) {
	w, signers := withAssertions(t)
	_, session := w.Tokens("app", "openid")
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, row := range []struct {
		what, client, signer string
		changes              map[string]any
		wrong                string // a part of the error's description, "" for tokens
	}{
		{"ES256", "keys", "ES256", nil, ""},
		{"ES256 without kid", "keys", "ES256, no kid", nil, ""},
		{"RS256", "keys", "RS256", nil, ""},
		{"PS384", "keys", "PS384", nil, ""},
		{"EdDSA", "keys", "EdDSA", nil, ""},
		{"the registered algorithm", "es256only", "ES256", nil, ""},
		{"HS256", "hmac", "HS256", nil, ""},
		{"HS512", "hmac", "HS512", nil, ""},
		{"the secret before a rotation", "hmac", "old secret", nil, ""},
		{"the token endpoint as aud", "keys", "ES256", map[string]any{"aud": testworld.Issuer + "/token"}, ""},
		{"both as aud", "keys", "ES256", map[string]any{"aud": []string{testworld.Issuer, testworld.Issuer + "/token"}}, ""},
		{"no iat", "keys", "ES256", map[string]any{"iat": nil}, ""},
		{"an exp in the tolerance", "keys", "ES256", map[string]any{"exp": in(-30 * time.Second)}, ""},
		{"a clock that is fast", "keys", "ES256", map[string]any{"iat": in(30 * time.Second), "nbf": in(30 * time.Second)}, ""},

		{"another algorithm than registered", "es256only", "RS256", nil, "another algorithm"},
		{"a key that is not its own", "keys", "stranger", nil, "failed"},
		{"a kid of another key", "keys", "wrong kid", nil, "failed"},
		{"an unknown kid", "keys", "unknown kid", nil, "failed"},
		{"a key for encryption", "keys", "encryption", nil, "failed"},
		{"a wrong secret", "hmac", "wrong secret", nil, "failed"},
		{"a public key as the secret", "keys", "published", nil, "another algorithm"},
		{"a private key for a secret", "hmac", "ES256", nil, "another algorithm"},
		{"a client with a plain secret", "app", "HS256", nil, "failed"},
		{"a public client", "public", "ES256", nil, "failed"},
		{"an unknown client", "nobody", "ES256", nil, "failed"},
		{"another iss", "keys", "ES256", map[string]any{"iss": "hmac"}, "iss"},
		{"no iss", "keys", "ES256", map[string]any{"iss": nil}, "iss"},
		{"no sub", "keys", "ES256", map[string]any{"sub": nil}, "sub"},
		{"no aud", "keys", "ES256", map[string]any{"aud": nil}, "aud"},
		{"an empty aud", "keys", "ES256", map[string]any{"aud": []string{}}, "aud"},
		{"another aud", "keys", "ES256", map[string]any{"aud": "https://other.example"}, "aud"},
		{"another aud beside ours", "keys", "ES256", map[string]any{"aud": []string{testworld.Issuer, "https://other.example"}}, "aud"},
		{"an aud with a slash more", "keys", "ES256", map[string]any{"aud": testworld.Issuer + "/"}, "aud"},
		{"no exp", "keys", "ES256", map[string]any{"exp": nil}, "exp"},
		{"expired", "keys", "ES256", map[string]any{"exp": in(-2 * time.Minute)}, "expired"},
		{"valid for a day", "keys", "ES256", map[string]any{"exp": in(24 * time.Hour)}, "too long"},
		{"from the future", "keys", "ES256", map[string]any{"iat": in(5 * time.Minute)}, "iat"},
		{"not valid yet", "keys", "ES256", map[string]any{"nbf": in(5 * time.Minute)}, "nbf"},
		{"no jti", "keys", "ES256", map[string]any{"jti": nil}, "jti"},
		{"a long jti", "keys", "ES256", map[string]any{"jti": strings.Repeat("x", 257)}, "jti"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w := w.In(t)
			owner := row.client
			if _, signs := map[string]bool{"keys": true, "hmac": true, "es256only": true}[owner]; !signs {
				owner = "keys"
			}
			code := w.Code(session, owner, "redirect_uri", redirectURI)
			got := presented(w, code, signers[row.signer].sign(t, claimsOf(row.client, row.changes)))
			if row.wrong == "" {
				got.WantStatus(t, "redeeming a code", 200)
				return
			}
			if got.StatusCode != 401 || got.Member("error") != "invalid_client" || !strings.Contains(got.Member("error_description"), row.wrong) {
				t.Errorf("got %v, want 401, invalid_client and %q", got, row.wrong)
			}
			if owner == "keys" {
				presented(w, code, signers["ES256"].sign(t, claimsOf("keys", nil))).WantStatus(t, "the code afterwards", 200)
			}
		})
	}
}

// A jti is used once, also by a request that fails afterwards and at another endpoint
// (OpenID Connect Core §9).
func TestThreat_AnAssertionIsUsedOnce(t *testing.T) {
	w, signers := withAssertions(t)
	_, session := w.Tokens("app", "openid")
	once := signers["ES256"].sign(t, claimsOf("keys", nil))
	presented(w, "no-code", once).WantStatus(t, "a wrong code", 400)
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		v := redeeming(w.Code(session, "keys", "redirect_uri", redirectURI),
			"client_assertion_type", testworld.AssertionType, "client_assertion", once, "token", "x")
		got := w.Post(path, v)
		if got.StatusCode != 401 || !strings.Contains(got.Member("error_description"), "used before") {
			t.Errorf("%s: got %v, want 401 for a second use", path, got)
		}
	}
	// A signature that is wrong does not use up the jti of the real one.
	claims := claimsOf("keys", nil)
	presented(w, w.Code(session, "keys", "redirect_uri", redirectURI), signers["stranger"].sign(t, claims)).WantStatus(t, "a forged assertion", 401)
	presented(w, w.Code(session, "keys", "redirect_uri", redirectURI), signers["ES256"].sign(t, claims)).WantStatus(t, "the real one", 200)
}

// A client that has registered a method uses no other one.
func TestRegisteredMethod(t *testing.T) {
	w, signers := withAssertions(t)
	_, session := w.Tokens("app", "openid")
	code := func(id string) string { return w.Code(session, id, "redirect_uri", redirectURI) }
	w.Post("/token", redeeming(code("postonly"), "client_id", "postonly", "client_secret", testworld.Secret)).
		WantStatus(t, "client_secret_post", 200)
	basic := w.Post("/token", redeeming(code("postonly")), testworld.Basic("postonly", testworld.Secret))
	if basic.StatusCode != 401 || !strings.Contains(basic.Member("error_description"), "client_secret_post") {
		t.Errorf("client_secret_basic: got %v, want 401 with the registered method", basic)
	}
	w.Post("/token", redeeming(code("hmac"), "client_id", "hmac", "client_secret", testworld.AssertionSecret)).
		WantStatus(t, "the secret of client_secret_jwt itself", 401)

	assert := func(pairs ...string) url.Values {
		v := redeeming(code("keys"), "client_assertion_type", testworld.AssertionType, "client_assertion", signers["ES256"].sign(t, claimsOf("keys", nil)))
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	w.Post("/token", assert("client_id", "keys")).WantStatus(t, "the same client_id", 200)
	w.Post("/token", assert("client_id", "hmac")).WantStatus(t, "another client_id", 401)
	w.Post("/token", assert("client_assertion_type", "x")).WantStatus(t, "another client_assertion_type", 401)
	w.Post("/token", assert(), testworld.Basic("keys", "x")).WantStatus(t, "an assertion and Basic", 400)
	w.Post("/token", assert("client_assertion", strings.Repeat("x", 9<<10))).WantStatus(t, "an assertion of 9 KiB", 401)
}

// A jti is remembered for an hour longer than its assertion can be used here: a server
// whose clock is slow takes it for longer than the one that has used it.
func TestThreat_AnAssertionIsUsedOnceAlsoByASlowerClock(t *testing.T) {
	testworld.Ring()
	synctest.Test(t, func(t *testing.T) {
		w, signers := withAssertions(t)
		presented(w, "no-code", signers["ES256"].sign(t, claimsOf("keys", map[string]any{"jti": "once"}))).WantStatus(t, "a wrong code", 400)
		time.Sleep(time.Hour) // it has ended 58 minutes ago
		err := w.Store.UseAssertion(t.Context(), client.NewAssertionID("keys", "once"), time.Now().Add(time.Minute))
		if !errors.Is(err, client.ErrReplayed) {
			t.Errorf("at the slow server: got %v, want %v", err, client.ErrReplayed)
		}
	})
}

// Claims that are no times or no strings, or stand there twice, authenticate nobody.
func TestThreat_StrangeClaims(t *testing.T) {
	w, signers := withAssertions(t)
	soon := time.Now().Add(time.Minute).Unix()
	const good = `"iss":"keys","sub":"keys","aud":"` + testworld.Issuer + `","jti":"1"`
	for what, claims := range map[string]string{
		"":                 fmt.Sprintf(`{%s,"exp":%d}`, strings.Replace(good, `"1"`, `"0"`, 1), soon), // nothing is strange
		"exp 1e300":        `{` + good + `,"exp":1e300}`,
		"exp -1e300":       `{` + good + `,"exp":-1e300}`,
		"exp 1e999":        `{` + good + `,"exp":1e999}`,
		"exp NaN":          `{` + good + `,"exp":NaN}`,
		"exp max int64":    `{` + good + `,"exp":9223372036854775807}`,
		"exp 2^63":         `{` + good + `,"exp":9223372036854775808}`,
		"exp min int64":    `{` + good + `,"exp":-9223372036854775808}`,
		"exp a string":     fmt.Sprintf(`{%s,"exp":"%d"}`, good, soon),
		"exp null":         `{` + good + `,"exp":null}`,
		"nbf 1e300":        fmt.Sprintf(`{%s,"exp":%d,"nbf":1e300}`, good, soon),
		"nbf max int64":    fmt.Sprintf(`{%s,"exp":%d,"nbf":9223372036854775807}`, good, soon),
		"iat 1e300":        fmt.Sprintf(`{%s,"exp":%d,"iat":1e300}`, good, soon),
		"sub twice":        fmt.Sprintf(`{%s,"exp":%d,"sub":"hmac"}`, good, soon),
		"sub twice, again": fmt.Sprintf(`{"sub":"hmac",%s,"exp":%d}`, good, soon),
		"exp twice":        fmt.Sprintf(`{%s,"exp":1,"exp":%d}`, good, soon),
		"SUB":              fmt.Sprintf(`{"iss":"keys","SUB":"keys","aud":"%s","jti":"1","exp":%d}`, testworld.Issuer, soon),
		"aud null":         fmt.Sprintf(`{"iss":"keys","sub":"keys","aud":null,"jti":"1","exp":%d}`, soon),
		"aud [null]":       fmt.Sprintf(`{"iss":"keys","sub":"keys","aud":[null],"jti":"1","exp":%d}`, soon),
		"aud in aud":       fmt.Sprintf(`{"iss":"keys","sub":"keys","aud":[["%s"]],"jti":"1","exp":%d}`, testworld.Issuer, soon),
		"jti a number":     fmt.Sprintf(`{"iss":"keys","sub":"keys","aud":"%s","jti":1,"exp":%d}`, testworld.Issuer, soon),
		"an array":         `[{` + good + `}]`,
	} {
		made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: signers["ES256"].key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := made.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		got := presented(w, "no-code", text)
		if what == "" {
			got.WantStatus(t, "good claims and no code", 400)
		} else if got.StatusCode != 401 || got.Member("error") != "invalid_client" {
			t.Errorf("%s: got %v, want 401 and invalid_client", what, got)
		}
	}
}

// A request object passes through browsers. Signed with the same key, it is no assertion
// whatever it says (RFC 9101 §10.8).
func TestThreat_ARequestObjectIsNoAssertion(t *testing.T) {
	w := testworld.New(t)
	for _, id := range []string{"keyjwt", "secretjwt"} {
		claims := claimsOf(id, nil)
		for typ, want := range map[string]string{
			"oauth-authz-req+jwt": "invalid_client", "application/OAuth-authz-req+JWT": "invalid_client",
			"JWT": "invalid_grant", "client-authentication+jwt": "invalid_grant",
		} {
			claims["jti"] = rand.Text()
			a := presented(w, "no code", testworld.SignedObject(t, id, claims, "typ", typ))
			if a.Member("error") != want {
				t.Errorf("%s with typ %s: got %v, want %s", id, typ, a, want)
			}
		}
	}
}
