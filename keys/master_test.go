// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/keys"
)

func TestMasterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	_, err := keys.LoadMaster(path)
	if !errors.Is(err, keys.ErrNoMaster) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want ErrNoMaster with the path", err)
	}
	if err := keys.CreateMaster(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	a, err := keys.LoadMaster(path)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.CreateMaster(path); err == nil {
		t.Error("a master key was overwritten")
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
	if err := keys.CreateMaster(filepath.Join(t.TempDir(), "none", "master.key")); err == nil || !strings.Contains(err.Error(), "there is no folder") {
		t.Errorf("error %v; want the folder that is missing", err)
	}
	// What cannot be read or written is not a missing file, which an operator would make.
	folder := t.TempDir()
	if _, err := keys.LoadMaster(folder); err == nil || errors.Is(err, keys.ErrNoMaster) || !strings.Contains(err.Error(), folder) {
		t.Errorf("a folder: got %v, want an error about it", err)
	}
	if err := keys.CreateMaster(filepath.Join(path, "inside")); err == nil || strings.Contains(err.Error(), "there is no folder") {
		t.Errorf("inside a file: got %v, want why not", err)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	if err := keys.CreateMaster(other); err != nil {
		t.Fatal(err)
	}
	b, err := keys.LoadMaster(other)
	if err != nil {
		t.Fatal(err)
	}
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("two master keys are the same")
	}
}

func TestParseMaster(t *testing.T) {
	secret := bytes.Repeat([]byte{0xfb}, keys.MasterSize) // has + and / in base64
	want := master(t, 0xfb).Fingerprint()
	for name, text := range map[string]string{
		"hex":                 hex.EncodeToString(secret),
		"upper case hex":      strings.ToUpper(hex.EncodeToString(secret)),
		"base64":              base64.StdEncoding.EncodeToString(secret),
		"base64url, unpadded": base64.RawURLEncoding.EncodeToString(secret),
		"with a line end":     base64.StdEncoding.EncodeToString(secret) + "\r\n",
	} {
		m, err := keys.ParseMaster(text)
		if err != nil || m.Fingerprint() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty":         "",
		"too short":     base64.StdEncoding.EncodeToString(secret[:31]),
		"too long":      base64.StdEncoding.EncodeToString(append(secret, 1)),
		"a passphrase!": "correct horse battery staple",
	} {
		if _, err := keys.ParseMaster(text); err == nil {
			t.Errorf("%s: accepted", name)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
}

// A sealed value opens only under the same key, for the same purpose, at the same
// place and unchanged.
func TestSealedOpensOnlyWhereItWasSealed(t *testing.T) {
	m := master(t, 1)
	box := m.Seal("p", []byte("plain"), []byte("place"))
	if got, err := m.Open("p", box, []byte("place")); err != nil || string(got) != "plain" {
		t.Fatalf("%q, %v", got, err)
	}
	if bytes.Contains(box, []byte("plain")) {
		t.Error("it is not encrypted")
	}
	if bytes.Equal(box, m.Seal("p", []byte("plain"), []byte("place"))) {
		t.Error("sealing twice gives the same bytes")
	}
	refused := func(name string, m *keys.Master, p keys.Purpose, box []byte, ad string) {
		t.Helper()
		if got, err := m.Open(p, box, []byte(ad)); !errors.Is(err, keys.ErrUnsealed) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	refused("another master key", master(t, 2), "p", box, "place")
	refused("another purpose", m, "q", box, "place")
	refused("another place", m, "p", box, "elsewhere")
	for i := range box {
		changed := bytes.Clone(box)
		changed[i] ^= 1
		refused("a bit changed", m, "p", changed, "place")
		refused("cut", m, "p", box[:i], "place")
	}
}

func TestMACSeparatesItsParts(t *testing.T) {
	m := master(t, 1)
	seen := map[[32]byte]string{}
	for name, sum := range map[string][32]byte{
		"ab":            m.MAC("p", []byte("ab")),
		"a, b":          m.MAC("p", []byte("a"), []byte("b")),
		"ab, empty":     m.MAC("p", []byte("ab"), nil),
		"other purpose": m.MAC("q", []byte("ab")),
		"other key":     master(t, 2).MAC("p", []byte("ab")),
		"nothing":       m.MAC("p"),
	} {
		if other, twice := seen[sum]; twice {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[sum] = name
	}
	if once, again := m.MAC("p", []byte("ab")), m.MAC("p", []byte("ab")); once != again {
		t.Error("not the same twice")
	}
}
