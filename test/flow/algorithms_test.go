// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"

	"golang.org/x/oauth2"
)

// Keys of a deployment that names its algorithms: a sign-in with each, a rotation of one
// between two sign-ins, and ID tokens of both keys in the JWKS.
func TestAlgorithmsOfTheBuiltServer(t *testing.T) {
	t.Parallel()
	server := serveSimulated(t, simulator.Config{}, `
  - {client_id: ps, name: PS256, public: true, redirect_uris: ["https://ps.example/cb"], id_token_signed_response_alg: PS256, userinfo_signed_response_alg: ES384}
  - {client_id: unsigned, name: Unsigned, public: true, redirect_uris: ["https://un.example/cb"], id_token_signed_response_alg: none}
keys:
  algorithms: [RS256, PS256, ES384]
  dangerously_unsigned_id_tokens: true
limits: {number: 100/1h, network: 100/1h}
`)
	read := func(target, token string) (string, string) {
		r, err := http.NewRequest(http.MethodGet, server.Issuer+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body), response.Header.Get("Content-Type")
	}
	signIn := func(client, redirectURI, alg string, number int) (kid, access string) {
		rp := relyingPartyAt(t, server.Issuer, "", redirectURI)
		rp.config.ClientID, rp.config.Scopes = client, []string{"openid", "phone"}
		browser := harness.NewBrowser(t, server.Issuer)
		page, verifier := rp.begin(browser, harness.Number(number))
		left, page := browser.Follow(page, harness.Timeout)
		if left == nil {
			t.Fatalf("the sign-in of %s stopped at %s", client, page.URL)
		}
		got, err := rp.config.Exchange(t.Context(), left.Query().Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := got.Extra("id_token").(string)
		header := headerOf(t, raw)
		if header.Alg != alg {
			t.Errorf("%s: got an ID token of %s, want %s", client, header.Alg, alg)
		}
		return header.Kid, got.AccessToken
	}
	before, access := signIn("ps", "https://ps.example/cb", "PS256", 5)
	userinfo, kind := read("/userinfo", access)
	if header := headerOf(t, userinfo); header.Alg != "ES384" || kind != "application/jwt" {
		t.Errorf("got userinfo of %s, %s, want ES384 and application/jwt", header.Alg, kind)
	}
	signIn("unsigned", "https://un.example/cb", "none", 10)

	if out, err := server.Command("keys", "rotate", "--alg", "PS256", "--force"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	after, _ := signIn("ps", "https://ps.example/cb", "PS256", 11)
	jwks, _ := read("/jwks", "")
	if before == after || !strings.Contains(jwks, `"`+before+`"`) || !strings.Contains(jwks, `"`+after+`"`) {
		t.Errorf("got kid %s before and %s after the rotation, want two that are in %s", before, after, jwks)
	}
	out, err := server.Command("keys", "list")
	if err != nil || strings.Count(out, "retired") != 1 || strings.Count(out, "PS256") != 3 || strings.Count(out, "RS256") != 2 || strings.Contains(out, "EdDSA") {
		t.Errorf("keys list: %v\n%s\nwant one key more for PS256, two for the others that are named, and no more", err, out)
	}
	discovery, _ := read("/.well-known/openid-configuration", "")
	if !strings.Contains(discovery, `"id_token_signing_alg_values_supported":["RS256","PS256","ES384","none"]`) ||
		!strings.Contains(discovery, `"userinfo_signing_alg_values_supported":["RS256","PS256","ES384"]`) {
		t.Errorf("got %s, want the algorithms of the configuration", discovery)
	}
	// A client of an algorithm that has no key is refused, with those that have.
	if out, err := server.Command("client", "add", "--name", "X", "--redirect-uri", "https://x.example/cb", "--userinfo-alg", "EdDSA"); err == nil ||
		!strings.Contains(out, "userinfo_signed_response_alg: \"EdDSA\" is turned off here (keys.algorithms); use one of RS256, PS256, ES384") {
		t.Errorf("client add: %v\n%s\nwant a refusal", err, out)
	}
	out, err = server.Command("client", "add", "--name", "X", "--redirect-uri", "https://x.example/cb", "--alg", "none")
	if err != nil || !strings.Contains(out, `note: id_token_signed_response_alg: "none" leaves ID tokens unsigned`) {
		t.Errorf("client add: %v\n%s\nwant a note", err, out)
	}
}

// headerOf returns what the header of a JWT says, without looking at its signature.
func headerOf(t *testing.T, compact string) (header struct{ Alg, Kid string }) {
	t.Helper()
	first, _, _ := strings.Cut(compact, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		t.Fatalf("got %q: %v", compact, err)
	}
	return header
}
