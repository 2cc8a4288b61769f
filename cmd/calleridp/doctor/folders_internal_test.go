// SPDX-License-Identifier: Apache-2.0

//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
)

// examined returns an examination whose folders are these.
func examined(data, audit, backup string) *examination {
	e := &examination{}
	e.s.DataDir, e.s.AdminSocket = data, filepath.Join(data, "admin.sock")
	e.s.Audit.To, e.s.Audit.Dir = []string{config.AuditFile}, audit
	e.s.Backup.Every, e.s.Backup.Dir = config.Duration(time.Hour), backup
	e.s.TLS.ACME.Directory = "https://acme.example/directory"
	return e
}

// The folders that the server writes are looked at where the configuration names them, and not
// where it uses none.
func TestFoldersOfTheConfiguration(t *testing.T) {
	e := examined("/data", "/log", "/mnt")
	keys := func() (keys string) {
		for _, f := range e.folders() {
			keys += f.key + "=" + f.path + " "
		}
		return keys
	}
	if got, want := keys(), "data_dir=/data audit.dir=/log backup.dir=/mnt tls.acme=/data/acme "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	rooms := func() (dirs string) {
		for _, s := range e.spaces() {
			dirs += s.dir + " "
		}
		return dirs
	}
	if got, want := rooms(), "/data /log /mnt "; got != want {
		t.Errorf("room is looked at in %q, want %q", got, want)
	}
	e.s.Audit.Dir, e.s.Backup.Dir = "/data/audit", "/data/backups"
	if got, want := rooms(), "/data "; got != want {
		t.Errorf("on one disk: room is looked at in %q, want %q", got, want)
	}
	e.s.Audit.To, e.s.Backup.Every, e.s.TLS.ACME.Directory = []string{config.AuditStdout}, 0, ""
	if got, want := keys(), "data_dir=/data "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A backup needs the room of the store.
func TestRoomOfBackups(t *testing.T) {
	data := t.TempDir()
	e := examined(data, filepath.Join(data, "audit"), t.TempDir())
	file, err := os.Create(e.s.StoreFile())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	backups := e.spaces()[1]
	says(t, "less than the store", []Result{backups.judge(1<<30-1, 1<<40, 0, 0)}, "FAILED disk: "+e.s.Backup.Dir)
	says(t, "less than three", []Result{backups.judge(3<<30-1, 1<<40, 0, 0)}, "warning disk: "+e.s.Backup.Dir)
	says(t, "enough", []Result{backups.judge(3<<30, 1<<40, 0, 0)}, "ok disk: "+e.s.Backup.Dir)
	e.disk()
	if len(e.results) != 2 {
		t.Errorf("got %v, want the room of two folders", e.results)
	}
}

// What the server cannot write is found, also by an operator who is root.
func TestUnusableFolders(t *testing.T) {
	dir := t.TempDir()
	mode := func(path string, mode os.FileMode) string {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	folder := func(name string, is os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return mode(path, is)
	}
	plain := filepath.Join(dir, "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := folder("full", 0o730)
	nested := filepath.Join(full, "certificates")
	if err := os.Mkdir(nested, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(nested, "key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	for _, row := range []struct {
		name, path string
		uid        int
		want       string // "": nothing is wrong
	}{
		{"our own", folder("own", 0o700), uid, ""},
		{"a group's", folder("group", 0o730), uid + 1, ""},
		{"of another user", folder("another", 0o755), uid + 1, "cannot make files in"},
		{"with a file of another user", full, uid + 1, filepath.Join(nested, "key") + " does not belong to"},
		{"a file", plain, uid, "is not a directory"},
		{"missing", filepath.Join(dir, "own", "a", "b"), uid, ""},
		{"missing, in one of another user", filepath.Join(dir, "another", "a", "b"), uid + 1, "cannot make it in " + filepath.Join(dir, "another")},
		{"missing, below a file", filepath.Join(plain, "a"), uid, "is not a directory"},
		{"of a server without a known user", filepath.Join(dir, "another"), -1, ""},
	} {
		found, fix := file{key: "audit.dir", path: row.path, folder: true}.unusable(row.uid)
		if row.want == "" && found != "" || !strings.Contains(found, row.want) || (found == "") != (fix == "") {
			t.Errorf("%s: got %q and %q, want %q", row.name, found, fix, row.want)
		}
	}
	// Nothing of this asks the system, which lets root do all: the mode decides.
	if uid > 0 {
		found, _ := file{path: folder("locked", 0o500)}.unusable(uid)
		if !strings.Contains(found, "cannot make files in") {
			t.Errorf("locked: got %q", found)
		}
	}
}

// A folder that is wrong is a failure of the check "files".
func TestFilesLooksAtFolders(t *testing.T) {
	data := t.TempDir()
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	e := examined(data, open, filepath.Join(data, "backups"))
	e.files()
	says(t, "an audit for all", e.results, "FAILED files: audit.dir: every user of this machine may use "+open)
	e = examined(data, filepath.Join(data, "audit"), open)
	e.files()
	says(t, "backups are encrypted", e.results, "ok files: ")
}
