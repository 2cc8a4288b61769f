// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCertificateIsForItsHostAndLoopback(t *testing.T) {
	dir := t.TempDir()
	first, trusting, err := certificateFor(dir, "id.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id.test", "localhost", "127.0.0.1", "::1"} {
		if err := first.Leaf().VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := first.Leaf().VerifyHostname("example.com"); err == nil {
		t.Error("the certificate is valid for any host")
	}
	if trusting == nil {
		t.Error("got no client that trusts it")
	}
	again, _, err := certificateFor(dir, "id.test")
	if err != nil {
		t.Fatal(err)
	}
	if !again.Leaf().Equal(first.Leaf()) {
		t.Error("a second start creates another certificate, which browsers do not accept yet")
	}
	// Another host needs another certificate.
	renamed, _, err := certificateFor(dir, "other.test")
	if err != nil {
		t.Fatal(err)
	}
	if renamed.Leaf().Equal(first.Leaf()) {
		t.Error("the certificate is not for the new host")
	}
	info, err := os.Stat(filepath.Join(dir, "tls.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("private key: got mode %v, %v; want 0600", info.Mode(), err)
	}
}
