// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/redact"
)

func TestValidateRequestObjects(t *testing.T) {
	long := "https://app.example/" + strings.Repeat("x", 512)
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("https://app.example/%d", i)
	}
	for _, row := range []struct {
		what    string
		with    string // keys, secret: how the client can sign
		objects client.RequestObjects
		here    client.RequestObjectMode
		field   string // that is refused
	}{
		{"nothing", "", client.RequestObjects{}, client.RequestObjectsOff, ""},
		{"a key's algorithm", "keys", client.RequestObjects{Alg: "PS256"}, "", ""},
		{"one without a key", "", client.RequestObjects{Alg: "RS256"}, "", "request_object_signing_alg"},
		{"a secret's algorithm", "secret", client.RequestObjects{Alg: "HS256"}, "", ""},
		{"one for a longer secret", "secret", client.RequestObjects{Alg: "HS512"}, "", "request_object_signing_alg"},
		{"one of a hashed secret", "", client.RequestObjects{Alg: "HS256"}, "", "request_object_signing_alg"},
		{"a secret with keys' algorithm", "secret", client.RequestObjects{Alg: "ES256"}, "", "request_object_signing_alg"},
		{"an unknown one", "keys", client.RequestObjects{Alg: "es256"}, "", "request_object_signing_alg"},
		{"none", "", client.RequestObjects{Alg: "none"}, client.RequestObjectsAny, ""},
		{"none where all are signed", "", client.RequestObjects{Alg: "none"}, "", "request_object_signing_alg"},
		{"required", "keys", client.RequestObjects{Required: true}, "", ""},
		{"required with a secret", "secret", client.RequestObjects{Required: true}, "", ""},
		{"required without a key", "", client.RequestObjects{Required: true}, "", "require_signed_request_object"},
		{"required and none", "keys", client.RequestObjects{Required: true, Alg: "none"}, client.RequestObjectsAny, "require_signed_request_object"},
		{"an algorithm where they are off", "keys", client.RequestObjects{Alg: "ES256"}, client.RequestObjectsOff, "request_object_signing_alg"},
		{"required where they are off", "keys", client.RequestObjects{Required: true}, client.RequestObjectsOff, "require_signed_request_object"},
		{"URIs where they are off", "", client.RequestObjects{URIs: many[:1]}, client.RequestObjectsOff, "request_uris"},
		{"URIs", "", client.RequestObjects{URIs: append([]string{"https://app.example/1#hash", "https://app.example:8443/?a=b"}, many[:18]...)}, "", ""},
		{"too many", "", client.RequestObjects{URIs: many}, "", "request_uris"},
		{"one twice", "", client.RequestObjects{URIs: []string{many[0], many[0]}}, "", "request_uris[1]"},
		{"a long one", "", client.RequestObjects{URIs: []string{long}}, "", "request_uris[0]"},
		{"http", "", client.RequestObjects{URIs: []string{"http://app.example/"}}, "", "request_uris[0]"},
		{"urn", "", client.RequestObjects{URIs: []string{"urn:ietf:params:oauth:request_uri:x"}}, "", "request_uris[0]"},
		{"a user", "", client.RequestObjects{URIs: []string{"https://a@app.example/"}}, "", "request_uris[0]"},
		{"a space", "", client.RequestObjects{URIs: []string{"https://app.example/a b"}}, "", "request_uris[0]"},
		{"no ASCII", "", client.RequestObjects{URIs: []string{"https://app.example/ä"}}, "", "request_uris[0]"},
		{"empty", "", client.RequestObjects{URIs: []string{""}}, "", "request_uris[0]"},
	} {
		c := client.Client{ID: "app", SecretHashes: []client.SecretHash{{1}}, RedirectURIs: []string{"https://app.example/cb"}, RequestObjects: row.objects}
		switch row.with {
		case "keys":
			c.KeysURI = "https://app.example/keys"
		case "secret":
			c.SecretHashes, c.AuthMethod, c.Secrets = nil, client.AuthSecretJWT, []redact.Text{redact.Text(strings.Repeat("s", 43))}
		}
		invalid := append(client.Validate(c), client.ValidateFor(c, client.Deployment{RequestObjects: row.here})...)
		var fields []string
		for _, e := range invalid {
			fields = append(fields, e.Field)
		}
		if row.field == "" && fields != nil || row.field != "" && !slices.Equal(fields, []string{row.field}) {
			t.Errorf("%s: got %v, want %q", row.what, invalid, row.field)
		}
	}
}

func TestRequestURIAllowed(t *testing.T) {
	c := client.Client{RequestObjects: client.RequestObjects{URIs: []string{"https://app.example/any", "https://app.example/one#hash"}}}
	for uri, want := range map[string]bool{
		"https://app.example/any": true, "https://app.example/any#x": true, "https://app.example/any#": true, "https://app.example/one#hash": true,
		"": false, "#": false, "https://app.example/one": false, "https://app.example/one#": false, "https://app.example/one#other": false, "https://app.example/one#hash#": false,
		"https://app.example/any/": false, "https://app.example/any?": false, "https://APP.example/any": false, "https://app.example/an%79": false,
	} {
		if got := c.RequestURIAllowed(uri); got != want {
			t.Errorf("%q: got %t, want %t", uri, got, want)
		}
	}
}

func TestParseRequestObjectMode(t *testing.T) {
	for text, want := range map[string]client.RequestObjectMode{"": client.RequestObjectsSigned, "signed": client.RequestObjectsSigned, "any": client.RequestObjectsAny, "off": client.RequestObjectsOff} {
		if got, ok := client.ParseRequestObjectMode(text); got != want || !ok {
			t.Errorf("%q: got %q, %t, want %q", text, got, ok, want)
		}
	}
	if _, ok := client.ParseRequestObjectMode("on"); ok {
		t.Error("on: got accepted, want refused")
	}
}
