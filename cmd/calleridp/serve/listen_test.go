// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAdminSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "made", "admin.sock")
	l, err := listenAdmin(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: got mode %v, %v; want 0600", info.Mode(), err)
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("its directory: got mode %v, %v; want 0700", folder.Mode(), err)
	}
	// While a server listens there, no other takes its place.
	if _, err := listenAdmin(path); err == nil || !strings.Contains(err.Error(), "another server listens at "+path) {
		t.Errorf("got %v, want the other server named", err)
	}
	// A server that was killed leaves its socket behind.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	l, err = listenAdmin(path)
	if err != nil {
		t.Fatalf("after a crash: got %v, want the stale socket replaced", err)
	}
	l.Close()
	// A file that is no socket stays.
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(file); err == nil || !strings.Contains(err.Error(), "admin_socket") {
		t.Errorf("got %v, want an error of admin_socket", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("the file was removed")
	}
}

func TestUsedPortGetsOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen("listen", l.Addr().String())
	if err == nil || err.Error() != "listen: "+l.Addr().String()+" is used by another program; choose another port or stop that program" {
		t.Errorf("got %v, want one line that says what to do", err)
	}
	_, err = Listen("listen", "192.0.2.1:0")
	if err == nil || !strings.Contains(err.Error(), "this machine does not have the address") {
		t.Errorf("got %v, want the missing address explained", err)
	}
}
