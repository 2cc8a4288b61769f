package provider_test

import (
	"testing"

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
