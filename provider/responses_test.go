// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/fetch"
	"calleridp/provider/internal/testworld"
	"calleridp/provider/login"
	"calleridp/provider/redact"
)

// responding returns a world with every algorithm and response type, whose client "app"
// gets its responses so.
func responding(t *testing.T, alg string, r client.Responses) *testworld.World {
	t.Helper()
	return testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
		c.Provider.Ring, c.Provider.UnsignedIDTokens = testworld.EveryRing(), true
		app := &c.Clients[0]
		app.IDTokenAlg, app.Responses = alg, r
		if alg == client.AlgNone {
			app.ResponseTypes = nil
		}
		if r.IDToken.On() || r.Userinfo.On() {
			app.Keys = testworld.EncryptionKeys()
		}
	})
}

// listed returns a list of the discovery document.
func listed(t *testing.T, w *testworld.World, name string) []string {
	t.Helper()
	var list []string
	all, _ := w.Get("/.well-known/openid-configuration").JSON()[name].([]any)
	for _, value := range all {
		list = append(list, value.(string))
	}
	if len(list) == 0 {
		t.Fatalf("%s: got nothing, want a list", name)
	}
	return list
}

// claimsOf returns the claims of a JWT of any algorithm.
func claimsOf(t *testing.T, compact string) map[string]any {
	t.Helper()
	claims, _ := testworld.ClaimsOf(t, compact)
	return claims
}

// halfHash is at_hash (OpenID Connect Core §3.1.3.6).
func halfHash(alg, value string) any {
	var sum []byte
	switch {
	case alg == "none":
		return nil
	case alg == "EdDSA", strings.HasSuffix(alg, "512"):
		all := sha512.Sum512([]byte(value))
		sum = all[:]
	case strings.HasSuffix(alg, "384"):
		all := sha512.Sum384([]byte(value))
		sum = all[:]
	default:
		all := sha256.Sum256([]byte(value))
		sum = all[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// Each algorithm that discovery lists signs ID tokens and userinfo of a client that has
// registered it, and no other algorithm does.
func TestListedSignatures(t *testing.T) {
	every := responding(t, "", client.Responses{})
	for _, alg := range listed(t, every, "id_token_signing_alg_values_supported") {
		w := responding(t, alg, client.Responses{})
		got, _ := w.Tokens("app", "openid phone")
		claims, signedWith := testworld.ClaimsOf(t, got.ID)
		if signedWith != alg {
			t.Errorf("%s: got an ID token of %s", alg, signedWith)
		}
		testworld.WantMembers(t, "the ID token of "+alg, claims, map[string]any{
			"iss": testworld.Issuer, "aud": "app", "phone_number": testworld.Number, "at_hash": halfHash(alg, got.Access),
		})
	}
	for _, alg := range listed(t, every, "userinfo_signing_alg_values_supported") {
		w := responding(t, "", client.Responses{UserinfoAlg: alg})
		got, _ := w.Tokens("app", "openid phone")
		info := w.Userinfo(got.Access)
		if kind := info.Header.Get("Content-Type"); info.StatusCode != 200 || kind != "application/jwt" || info.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: got %v of %s, want 200 of application/jwt (OpenID Connect Core §5.3.2)", alg, info, kind)
		}
		claims, signedWith := testworld.ClaimsOf(t, info.Text)
		if signedWith != alg {
			t.Errorf("%s: got userinfo of %s", alg, signedWith)
		}
		testworld.WantMembers(t, "userinfo of "+alg, claims, map[string]any{
			"iss": testworld.Issuer, "aud": "app", "phone_number": testworld.Number, "exp": nil, "iat": nil,
			"sub": claimsOf(t, got.ID)["sub"],
		})
	}
	usual := testworld.New(t)
	for _, alg := range []string{"PS256", "none", "HS256", "none "} {
		for _, change := range []func(*client.Client){
			func(c *client.Client) { c.IDTokenAlg = alg },
			func(c *client.Client) { c.Responses.UserinfoAlg = alg },
		} {
			c := testworld.App("another")
			change(&c)
			if _, _, err := usual.Clients.Add(t.Context(), c); err == nil {
				t.Errorf("a client with %s was added, where discovery does not list it", alg)
			}
		}
	}
}

// Each encryption that discovery lists works for ID tokens and for userinfo: a JWT that is
// signed first (OpenID Connect Core §10.2, RFC 7519 §5.2).
func TestListedEncryptions(t *testing.T) {
	every := responding(t, "", client.Responses{})
	idTokenEncs := listed(t, every, "id_token_encryption_enc_values_supported")
	userinfoEncs := listed(t, every, "userinfo_encryption_enc_values_supported")
	for _, alg := range listed(t, every, "id_token_encryption_alg_values_supported") {
		if !slices.Contains(listed(t, every, "userinfo_encryption_alg_values_supported"), alg) {
			t.Errorf("%s is for ID tokens only", alg)
		}
		for _, enc := range append(idTokenEncs, "") {
			e := client.Encryption{Alg: alg, Enc: enc}
			if enc != "" && !slices.Contains(userinfoEncs, enc) {
				t.Errorf("%s is for ID tokens only", enc)
			}
			w := responding(t, "ES384", client.Responses{IDToken: e, UserinfoAlg: "PS256", Userinfo: e})
			got, session := w.Tokens("app", "openid phone")
			front := w.AuthorizeWith(session, "app", "response_type", "code id_token").Delivered()
			for what, row := range map[string]struct{ text, alg string }{
				"the ID token": {got.ID, "ES384"},
				"userinfo":     {w.Userinfo(got.Access).Text, "PS256"},
				"the ID token of the authorization endpoint": {front.Get("id_token"), "ES384"},
			} {
				inner, header := testworld.Decrypt(t, row.text, e)
				if header.ExtraHeaders["cty"] != "JWT" {
					t.Errorf("%s with %+v: got cty %v, want JWT", what, e, header.ExtraHeaders["cty"])
				}
				claims, signedWith := testworld.ClaimsOf(t, inner)
				if signedWith != row.alg || claims["iss"] != testworld.Issuer || claims["aud"] != "app" {
					t.Errorf("%s with %+v: got %s of %s, want one for app of %s", what, e, inner, signedWith, row.alg)
				}
			}
		}
	}
}

// Userinfo may be encrypted without a signature: claims, not a JWT, are inside (OpenID
// Connect Core §5.3.2). ID tokens of the client stay as they are.
func TestEncryptedUserinfoWithoutSignature(t *testing.T) {
	e := client.Encryption{Alg: "ECDH-ES"}
	w := responding(t, "", client.Responses{Userinfo: e})
	got, _ := w.Tokens("app", "openid phone")
	if _, alg := testworld.ClaimsOf(t, got.ID); alg != "RS256" {
		t.Errorf("got an ID token of %s, want RS256", alg)
	}
	info := w.Userinfo(got.Access)
	inner, header := testworld.Decrypt(t, info.Text, e)
	var claims map[string]any
	if err := json.Unmarshal([]byte(inner), &claims); err != nil || header.ExtraHeaders["cty"] != nil || claims["phone_number"] != testworld.Number {
		t.Errorf("got %s in %+v, want the claims without a cty", inner, header)
	}
	if kind := info.Header.Get("Content-Type"); kind != "application/jwt" {
		t.Errorf("got %s, want application/jwt", kind)
	}
}

// Errors of userinfo are JSON, and pages of the client may read both.
func TestUserinfoJWTErrorsAndCORS(t *testing.T) {
	w := responding(t, "", client.Responses{UserinfoAlg: "RS256"})
	got, _ := w.Tokens("app", "openid")
	ask := func(token string) testworld.Response {
		r := httptest.NewRequest(http.MethodGet, testworld.Issuer+"/userinfo", nil)
		testworld.Bearer(token)(r)
		r.Header.Set("Origin", "https://app.example")
		return w.Do(r)
	}
	for token, kind := range map[string]string{got.Access: "application/jwt", "unknown": "application/json"} {
		info := ask(token)
		if got := info.Header.Get("Content-Type"); got != kind || info.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
			t.Errorf("got %v with %v, want %s that the client's page may read", info, info.Header, kind)
		}
	}
	ask("unknown").WantOAuthError(t, "an unknown token", 401, "invalid_token")
}

// A hint is the signed ID token that the client has decrypted (OpenID Connect Core
// §3.1.2.1). Nobody here can read an encrypted one, and anybody could have written one
// without a signature.
func TestHintsOfClientsWithOtherResponses(t *testing.T) {
	e := client.Encryption{Alg: "RSA-OAEP-256"}
	w := responding(t, "RS512", client.Responses{IDToken: e})
	got, session := w.Tokens("app", "openid")
	signed, _ := testworld.Decrypt(t, got.ID, e)
	if a := w.AuthorizeWith(session, "app", "id_token_hint", signed, "prompt", "none"); a.Code() == "" {
		t.Errorf("the signed ID token as a hint: got %v, want a code", a)
	}
	a := w.AuthorizeWith(session, "app", "id_token_hint", got.ID).Delivered()
	if a.Get("error") != "invalid_request" || !strings.Contains(a.Get("error_description"), "encrypted") {
		t.Errorf("the encrypted ID token as a hint: got %v, want a refusal that says so", a)
	}
	out := url.Values{"id_token_hint": {got.ID}, "client_id": {"app"}}
	w.Post("/logout", out, testworld.Cookie(session)).WantErrorPage(t, "signing out with the encrypted ID token", 400, "bad_request")
	out.Set("id_token_hint", signed)
	if a := w.Post("/logout", out, testworld.Cookie(session)); !a.ClearsSession() {
		t.Errorf("signing out with the signed ID token: got %v, want no session", a)
	}

	// Signed userinfo is a JWT of ours, too, and no ID token (RFC 8725 §3.12).
	w = responding(t, "", client.Responses{UserinfoAlg: "RS256"})
	got, _ = w.Tokens("app", "openid")
	if a := w.Authorize("app", "id_token_hint", w.Userinfo(got.Access).Text).Delivered(); a.Get("error") != "invalid_request" {
		t.Errorf("userinfo as a hint: got %v, want it refused", a)
	}

	w = responding(t, "none", client.Responses{})
	got, session = w.Tokens("app", "openid")
	if claims, alg := testworld.ClaimsOf(t, got.ID); alg != "none" || claims["nonce"] != "the-nonce" {
		t.Errorf("got %s, want one without a signature", got.ID)
	}
	if a := w.AuthorizeWith(session, "app", "id_token_hint", got.ID).Delivered(); a.Get("error") != "invalid_request" {
		t.Errorf("an ID token without a signature as a hint: got %v, want it refused", a)
	}
}

// The sign-in of a client whose ID token cannot be encrypted ends at the client, with an
// error, whether a push, a consent prompt or neither came before. No code exists then.
func TestSignInWithoutEncryptionKey(t *testing.T) {
	set := `{"keys":[]}`
	w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
		c.Provider.Fetch = published{&set}
		for i := range c.Clients {
			if id := c.Clients[i].ID; id == "app" || id == "wary" {
				c.Clients[i].KeysURI, c.Clients[i].Responses.IDToken.Alg = "https://app.example/jwks", "ECDH-ES"
			}
		}
	})
	refused := func(what string, d testworld.Delivered) {
		t.Helper()
		if d.Get("error") != "server_error" || d.Get("state") != "the-state" || d.Has("code") || d.Has("access_token") || d.Has("id_token") {
			t.Errorf("%s: got %v, want server_error with the state", what, d)
		}
	}
	id := w.Approved(testworld.AuthRequest("app", "response_type", "code id_token token"), testworld.Number)
	done, err := w.Continue(id)
	if err != nil || done.Session != "" {
		t.Fatalf("continuing: got %+v, %v, want a response without a session", done, err)
	}
	refused("after a push", testworld.DeliveredBy(done.Response))
	if _, err := w.Continue(id); !errors.Is(err, login.ErrState) {
		t.Errorf("continuing again: got %v, want %v", err, login.ErrState)
	}
	view, session := w.PromptedFor("wary", "response_type", "id_token token")
	refused("after consent", w.Allow(view.Request, session).Delivered())
	refused("in a session", w.AuthorizeWith(session, "app", "response_type", "id_token").Delivered())
	if events := w.Events("response.withheld"); len(events) != 3 {
		t.Errorf("got the events %v, want one for each", events)
	}
}

// published is what a client has at its jwks_uri.
type published struct{ set *string }

func (p published) Get(context.Context, string, string) ([]byte, error) {
	if *p.set == "" {
		return nil, errors.New("down")
	}
	return []byte(*p.set), nil
}

func (published) Post(context.Context, string, url.Values) (fetch.Reply, error) {
	return fetch.Reply{}, errors.New("down")
}

// What cannot be encrypted is not sent at all, and says whose fault it is. It uses up
// neither a code nor a refresh token.
func TestThreat_NothingLeavesUnencrypted(t *testing.T) {
	const ecOnly = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
	// An RSA key that the library reads, and that encrypts nothing: its modulus is even.
	even := `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(append([]byte{0xff}, make([]byte, 255)...)) + `"}]}`
	for what, set := range map[string]string{
		"an address that is down": "",
		"a key of another type":   ecOnly,
		"keys for signatures":     strings.ReplaceAll(testworld.EncryptionKeys(), `"use":"enc"`, `"use":"sig"`),
		"a key that is none":      even,
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := set
				e := client.Encryption{Alg: "RSA-OAEP-256"}
				w := testworld.New(t, testworld.EveryResponseType, func(c *testworld.Config) {
					c.Provider.Fetch = published{&at}
					app := &c.Clients[0]
					app.KeysURI, app.Responses = "https://app.example/jwks", client.Responses{IDToken: e, Userinfo: e}
				})
				done, session := w.SignIn(testworld.AuthRequest("app", "scope", "openid phone offline_access"), testworld.Number)
				code := testworld.Param(done.Response, "code")
				w.Exchange("app", code).WantOAuthError(t, "the token endpoint", 400, "invalid_client")
				front := w.AuthorizeWith(session, "app", "response_type", "code id_token").Delivered()
				if front.Get("error") != "server_error" || front.Has("code") || front.Has("id_token") || front.Mode != "fragment" {
					t.Errorf("the authorization endpoint: got %v, want server_error", front)
				}
				events := w.Events("response.withheld")
				if len(events) != 2 || events[0]["client"] != "app" || events[0]["error"] == nil {
					t.Errorf("got the events %v, want two response.withheld of app", events)
				}

				at = testworld.EncryptionKeys()
				time.Sleep(40 * time.Second) // less than a code lives
				got := testworld.TokensIn(t, w.Exchange("app", code))
				testworld.Decrypt(t, got.ID, e)
				at = set
				time.Sleep(2 * time.Hour)
				w.Refresh("app", got.Refresh).WantOAuthError(t, "refreshing", 400, "invalid_client")
				at = testworld.EncryptionKeys()
				time.Sleep(time.Minute)
				got = testworld.TokensIn(t, w.Refresh("app", got.Refresh))
				testworld.Decrypt(t, w.Userinfo(got.Access).Text, e)
				at = set
				time.Sleep(30 * time.Minute)
				if set != "" && set != even { // keys that were known are used for an hour while none can be read
					w.Userinfo(got.Access).WantOAuthError(t, "userinfo", 400, "invalid_client")
				}
			})
		})
	}
}

// PostSET is for nobody here.
func (published) PostSET(context.Context, string, redact.Text, string) (fetch.Reply, error) {
	return fetch.Reply{}, fetch.ErrResponse
}
