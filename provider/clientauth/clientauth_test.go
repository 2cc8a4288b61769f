// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"maps"
	"net/url"
	"testing"

	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

// Every way in which clients authenticate.
func TestClientAuthenticationAccepts(t *testing.T) {
	w := testworld.New(t)
	_, session := w.Tokens("app", "openid")
	for what, row := range map[string]struct {
		id   string
		form url.Values
		auth testworld.Change
	}{
		"basic":                           {"app", nil, testworld.Basic("app", testworld.Secret)},
		"basic, client_id in the body":    {"app", url.Values{"client_id": {"app"}}, testworld.Basic("app", testworld.Secret)},
		"post":                            {"app", url.Values{"client_id": {"app"}, "client_secret": {testworld.Secret}}, testworld.Unchanged},
		"scope and more in the body":      {"app", url.Values{"scope": {"openid profile"}, "foo": {"bar"}}, testworld.Basic("app", testworld.Secret)},
		"none":                            {"public", url.Values{"client_id": {"public"}}, testworld.Unchanged},
		"none, as basic without a secret": {"public", nil, testworld.Basic("public", "")},
	} {
		t.Run(what, func(t *testing.T) {
			w := w.In(t)
			v := testworld.CodeRequest(row.id, w.Code(session, row.id))
			maps.Copy(v, row.form)
			w.Post("/token", v, row.auth).WantStatus(t, "redeeming a code", 200)
		})
	}
	v := testworld.CodeRequest("public", w.Code(session, "public"))
	maps.Copy(v, url.Values{"client_id": {"public"}, "client_secret": {"x"}})
	w.Post("/token", v).WantStatus(t, "a public client with a secret", 401)
}

// client_id and secret are form-encoded before they go into Basic (RFC 6749
// §2.3.1).
func TestBasicIsFormEncoded(t *testing.T) {
	const odd = "ö+ %/:secret"
	w := testworld.New(t, func(config *testworld.Config) {
		c := testworld.App("odd")
		c.SecretHashes = []client.SecretHash{client.HashSecret(odd)}
		config.Clients = append(config.Clients, c)
	})
	if a := w.Introspect("x", "odd", odd); a.StatusCode != 200 || a.JSON()["active"] != false {
		t.Errorf("introspection with the secret %q: got %v, want 200 and active false", odd, a)
	}
}
