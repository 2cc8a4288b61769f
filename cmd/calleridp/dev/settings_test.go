// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An error in a file of --clients counts that file's clients, and no others.
func TestErrorsOfClientFilesNameTheirOwnClients(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("first.yaml", "- {client_id: a, name: A, secret: s, redirect_uris: [https://a.example/cb]}\n- {client_id: b, name: B, secret: s, redirect_uris: [/cb]}\n")
	second := write("second.yaml", "- {client_id: demo, name: Demo, secret: s, redirect_uris: [https://a.example/cb]}\n- {client_id: a, name: A, secret: s, redirect_uris: [https://a.example/cb]}\n")
	_, err := settings(options{data: dir, challenge: "off", region: "none", clients: []string{first, second}}, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"3 problems",
		first + `: clients[1].redirect_uris[0]: "/cb" is not absolute`,
		second + `: clients[0].client_id: "demo" is already declared in the demo's clients[0]`,
		second + `: clients[1].client_id: "a" is already declared in ` + first + ": clients[0]",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
}

// Addresses that a client on the developer's machine publishes may be read, and those of its
// network may not.
func TestClientsOfThisMachineMayBeRead(t *testing.T) {
	s, err := settings(options{data: t.TempDir(), challenge: "off", region: "none", storage: "bolt"}, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{"127.0.0.1": true, "127.0.1.1": true, "::1": true, "10.0.0.1": false, "169.254.169.254": false} {
		got := slices.ContainsFunc(s.ClientNetworks, func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(address)) })
		if got != want {
			t.Errorf("%s: got %v, want %v", address, got, want)
		}
	}
}
