// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"testing"
)

// Hybrid applications and browser extensions have origins of their own.
func TestCheckOrigin(t *testing.T) {
	for _, good := range []string{
		"https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000",
		"capacitor://localhost", "ionic://localhost", "http://localhost", "https://localhost", "com.example.app://localhost",
		"tauri://localhost", "http://tauri.localhost", "https://tauri.localhost",
		"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://6ad54bde-d1a3-4a2c-9ac5-2a6a2d7d3b8c",
		"safari-web-extension://6ad54bde-d1a3-4a2c-9ac5-2a6a2d7d3b8c",
	} {
		if reason := CheckOrigin(good); reason != "" {
			t.Errorf("%q %s", good, reason)
		}
	}
	for _, bad := range []string{
		"", "*", "null", "capacitor://", "capacitor:localhost", "capacitor://localhost/", "capacitor://*", "Capacitor://localhost", "chrome-extension://*",
		"file://", "file://localhost", "data://x", "app://x", "javascript://x", "http://localhost.evil.example", "http://evil-localhost", "http://app.example",
		"https://u@app.example", "https://app.example?x", "https://app.example#x", "https://app.example:443", "http://localhost:80", "https://app.example%2f",
	} {
		if CheckOrigin(bad) == "" {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// The origins of a public client follow from its redirect URIs unless it has some.
func TestOrigins(t *testing.T) {
	uris := []string{"https://App.example/cb", "https://app.example:443/other", "https://b.example:8443", "http://localhost:3000/cb", "http://[::1]/", "com.example.app:/cb", "com.example.app://x/cb"}
	for _, row := range []struct {
		what string
		c    Client
		want []string
	}{
		{"public", Client{Public: true, RedirectURIs: uris}, []string{"https://app.example", "https://b.example:8443", "http://localhost:3000", "http://[::1]"}},
		{"public with some", Client{Public: true, RedirectURIs: uris, AllowedOrigins: []string{"https://c.example"}}, []string{"https://c.example"}},
		{"native", Client{Public: true, RedirectURIs: []string{"com.example.app:/cb"}}, nil},
		{"confidential", Client{RedirectURIs: uris}, nil},
		{"confidential with some", Client{RedirectURIs: uris, AllowedOrigins: []string{"https://c.example"}}, []string{"https://c.example"}},
	} {
		if got := row.c.Origins(); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %v, want %v", row.what, got, row.want)
		}
		for _, origin := range row.c.Origins() {
			if reason := CheckOrigin(origin); reason != "" {
				t.Errorf("%s: %q %s", row.what, origin, reason)
			}
		}
		if row.c.OriginAllowed("") || row.c.OriginAllowed("null") {
			t.Errorf("%s: an opaque origin is allowed", row.what)
		}
	}
}
