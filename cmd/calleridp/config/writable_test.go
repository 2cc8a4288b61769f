// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/cmd/calleridp/envtest"
)

// valid sets the environment of a configuration that is right, with this data_dir.
func valid(t *testing.T, dataDir string) {
	t.Helper()
	envtest.Clear(t)
	for name, value := range map[string]string{
		"CALLERIDP_ISSUER":                     "http://127.0.0.1:1",
		"CALLERIDP_DATA_DIR":                   dataDir,
		"CALLERIDP_MASTER_KEY":                 strings.Repeat("01", 32),
		"CALLERIDP_TRUECALLER_APP_NAME":        "Test",
		"CALLERIDP_TRUECALLER_APP_KEY":         "key",
		"CALLERIDP_TRUECALLER_CALLBACK_SECRET": strings.Repeat("a", 32),
	} {
		t.Setenv(name, value)
	}
}

// config check tries to write where the server will, and leaves nothing there. Files
// in the way of directories fail for every user, root included.
func TestCheckTriesToWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "data", "calleridp.db")
	if err := os.MkdirAll(store, 0o700); err != nil { // a store that nobody can open
		t.Fatal(err)
	}
	for what, row := range map[string]struct{ data, socket, says string }{
		"a directory":               {dir, "", ""},
		"one that will be made":     {filepath.Join(dir, "a", "b"), "", ""},
		"a file":                    {file, "", "data_dir: " + file + " is not a directory"},
		"below a file":              {filepath.Join(file, "a", "b"), "", "data_dir: " + file + "/a/b cannot be reached (not a directory)"},
		"a socket below a file":     {dir, filepath.Join(file, "admin.sock"), "admin_socket: " + file + " is not a directory"},
		"a socket beside":           {dir, filepath.Join(dir, "run", "admin.sock"), ""},
		"a store that is not ours":  {filepath.Dir(store), "", "data_dir: " + store + " cannot be written (is a directory)"},
		"one that nobody may write": {"/proc/calleridp", "", "data_dir: /proc/calleridp does not exist and cannot be created in /proc ("},
	} {
		t.Run(what, func(t *testing.T) {
			valid(t, row.data)
			t.Setenv("CALLERIDP_ADMIN_SOCKET", row.socket)
			before, _ := filepath.Glob(filepath.Join(dir, "*"))
			out, err := check(t)
			if row.says == "" && err != nil || row.says != "" && (err == nil || out != "" || !strings.Contains(err.Error(), "1 problem:\n  "+row.says)) {
				t.Errorf("got %q, %v, want an error that says %q", out, err, row.says)
			}
			if after, _ := filepath.Glob(filepath.Join(dir, ".*")); len(after) > 0 {
				t.Errorf("left behind: %v", after)
			}
			if after, _ := filepath.Glob(filepath.Join(dir, "*")); len(after) != len(before) {
				t.Errorf("got %v, want %v as before", after, before)
			}
		})
	}
}

// Files that the pages cannot be drawn with are refused by config check. Load does not draw the
// pages: a server that loads it does so itself.
func TestCheckDrawsThePages(t *testing.T) {
	dir := t.TempDir()
	valid(t, filepath.Join(dir, "data"))
	pages := filepath.Join(dir, "pages")
	if err := os.MkdirAll(filepath.Join(pages, "templates"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CALLERIDP_UI_OVERRIDES_DIR", pages)
	if _, err := check(t); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(pages, "templates", "signin.html"), []byte("{{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t); err == nil || !strings.Contains(err.Error(), "1 problem:\n  ui.overrides_dir: ") || !strings.Contains(err.Error(), "signin") {
		t.Errorf("a broken template: got %v", err)
	}
	if _, err := Load(""); err != nil {
		t.Errorf("Load draws the pages: %v", err)
	}
}
