// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/provider/client"
)

// Some editors write a byte order mark first. It is no part of a key or a secret.
func TestByteOrderMarks(t *testing.T) {
	dir := t.TempDir()
	valid(t, dir)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const mark = "\ufeff"
	t.Setenv("CALLERIDP_MASTER_KEY", "")
	t.Setenv("CALLERIDP_MASTER_KEY_FILE", write("master", mark+strings.Repeat("02", 32)+"\r\n"))
	t.Setenv("CALLERIDP_TRUECALLER_CALLBACK_SECRET", "")
	t.Setenv("CALLERIDP_TRUECALLER_CALLBACK_SECRET_FILE", write("callback", mark+strings.Repeat("b", 32)+"\r\n"))
	secret := write("secret", mark+"the-secret-of-the-shop-0123456789ab\n")
	file := write("config.yaml", mark+"listen: 127.0.0.1:8080\nclients:\n- {client_id: shop, name: Shop, redirect_uris: [https://shop.example/], secret_file: "+secret+"}\n")
	s, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:8080" || s.Apps[0].CallbackSecrets[0] != strings.Repeat("b", 32) || s.Clients[0].SecretHashes[0] != client.HashSecret("the-secret-of-the-shop-0123456789ab") {
		t.Errorf("got listen %s and other secrets, want those without a mark", s.Listen)
	}
	write("secret", "\xff\xfet\x00h\x00e\x00")
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "clients[0].secret_file (line 3): "+secret+" is in UTF-16; save it as UTF-8") {
		t.Errorf("a secret in UTF-16: got %v, want it refused", err)
	}
	write("config.yaml", "\xff\xfel\x00")
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("a configuration in UTF-16: got %v, want it refused", err)
	}
}
