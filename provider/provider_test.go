// SPDX-License-Identifier: Apache-2.0

package provider_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"calleridp/provider"
	"calleridp/provider/client"
	"calleridp/provider/internal/testworld"
)

func TestNewRefuses(t *testing.T) {
	for _, issuer := range []string{
		"",
		"https://id.example/",
		"https://id.example/path",
		"http://id.example",
		"https://ID.example",
		"ftp://id.example",
		"id.example",
		"https://id.example?x",
		"https://u@id.example",
		"https://",
		"https://:8443",
		"https://id.example:port",
		"//id.example",
	} {
		if err := provider.CheckIssuer(issuer); err == nil {
			t.Errorf("issuer %q: got no error, want one", issuer)
		}
	}
	for _, issuer := range []string{
		"https://id.example",
		"https://id.example:8443",
		"http://127.0.0.1:9440",
		"http://localhost:1",
		"http://[::1]:9440",
	} {
		if err := provider.CheckIssuer(issuer); err != nil {
			t.Errorf("issuer %q: got %v, want no error", issuer, err)
		}
	}
	if _, err := provider.New(provider.Config{Issuer: testworld.Issuer}); err == nil {
		t.Error("an empty configuration: got no error, want one")
	}
	if _, err := client.NewRegistry([]client.Client{{ID: "x"}}, nil, client.Deployment{}); err == nil {
		t.Error("a client with an ID alone: got no error, want one")
	}
}

// New refuses a configuration without one of the parts, and a lifetime that is too short
// to be of use.
func TestNewNeedsEachPart(t *testing.T) {
	var whole provider.Config
	w := testworld.New(t, func(c *testworld.Config) { whole = c.Provider })
	whole.Engine, whole.Clients = w.Engine, w.Clients
	if _, err := provider.New(whole); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"Issuer", "Engine", "Pages", "Ring", "Master", "Clients", "Grants", "Sessions", "People", "Consents", "Records", "Apps", "Log", "Audit",
	} {
		without := whole
		reflect.ValueOf(&without).Elem().FieldByName(part).SetZero()
		if p, err := provider.New(without); err == nil || p != nil {
			t.Errorf("without %s: got no error, want one", part)
		}
	}
	for name, least := range map[string]time.Duration{
		"Request": time.Minute, "Code": time.Second, "AccessToken": time.Minute, "RefreshIdle": time.Minute,
		"RefreshMax": time.Minute, "RefreshGrace": time.Second, "Session": time.Minute,
	} {
		for lifetime, want := range map[time.Duration]bool{least: true, least - 1: false, -1: false} {
			short := whole
			reflect.ValueOf(&short.Lifetimes).Elem().FieldByName(name).SetInt(int64(lifetime))
			if _, err := provider.New(short); (err == nil) != want || err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s of %s: got %v, want accepted %v", name, lifetime, err, want)
			}
		}
	}
	whole.Challenge = "sometimes"
	if _, err := provider.New(whole); err == nil {
		t.Error("an unknown challenge mode: got no error, want one")
	}
}

// Paths of other providers, and of the library, are not served.
func TestOnlyOurRoutes(t *testing.T) {
	w := testworld.New(t)
	for _, path := range []string{
		"/healthz",
		"/ready",
		"/oauth/token",
		"/keys",
		"/device_authorization",
		"/authorize/callback?id=1",
		"/end_session",
		"/signin",
	} {
		w.Get(path).WantStatus(t, "GET "+path, 404)
	}
}
