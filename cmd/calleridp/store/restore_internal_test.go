// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is at the place of the decrypted backup is replaced and not written into: neither a
// link, nor a file that others may read.
func TestThreat_ARestoreFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, plain := filepath.Join(dir, "victim"), filepath.Join(dir, "calleridp.db"+restoring)
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func() error{
		"a link": func() error { return os.Symlink(victim, plain) },
		"a file": func() error { return os.WriteFile(plain, []byte("left by a restore that was interrupted"), 0o644) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if err := decrypt(t.Context(), strings.NewReader("store"), plain); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(plain); err != nil || info.Mode() != 0o600 || info.Size() != 5 {
			t.Errorf("%s: it is %v, %v; want a file of 5 bytes for its owner alone", what, info, err)
		}
		if err := os.Remove(plain); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the file to which the link leads has %q, %v", text, err)
	}
}
