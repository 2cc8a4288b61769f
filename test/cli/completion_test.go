// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// A shell completes client ids with those of the running server. A server that does not
// respond is given up, and nothing is said about it.
func TestCompletionOfClientIDs(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	hanging := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", hanging)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, row := range []struct {
		socket, want string
		line         []string
	}{
		{server.Socket, "demo\tDemo\n:4\n", []string{"client", "show"}},
		{server.Socket, "demo\tDemo\n:4\n", []string{"client", "remove"}},
		{server.Socket, "demo\tDemo\n:4\n", []string{"notice", "drop"}},
		{server.Socket, "demo\tDemo\n:4\n", []string{"limit", "show", "--client"}},
		{server.Socket, "demo\tDemo\n:4\n", []string{"grant", "remove", "--client"}},
		{server.Socket, ":4\n", []string{"client", "show", "demo"}}, // there is no second argument
		{hanging, ":4\n", []string{"client", "show"}},
	} {
		words := append([]string{"__complete"}, row.line[:2]...)
		words = append(append(append(words, "--socket", row.socket), row.line[2:]...), "")
		out, err := exec.Command(harness.Binary(t), words...).Output()
		if err != nil || string(out) != row.want {
			t.Errorf("%s: %v, %q; want %q", strings.Join(row.line, " "), err, out, row.want)
		}
	}
}

// What completion prints is what fish takes: it completes commands, flags, their values and the
// client ids of the running server.
func TestCompletionInFish(t *testing.T) {
	t.Parallel()
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Fatalf("fish is missing: install it, or run ./test/all, which does (%v)", err)
	}
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	dir := t.TempDir()
	if err := os.Symlink(harness.Binary(t), filepath.Join(dir, "calleridp")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "calleridp.fish")
	if err := os.WriteFile(script, []byte(good(t, "completion", "fish")), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"calleridp cli":                     "client\t",
		"calleridp client sh":               "show\t",
		"calleridp client show ":            "demo\tDemo\n",
		"calleridp grant remove --client ":  "demo\tDemo\n",
		"calleridp client list --out":       "--output\t",
		"calleridp client list --output js": "json\n",
	} {
		c := exec.Command(fish, "--no-config", "--private", "-c", "source "+script+"; complete --do-complete '"+line+"'")
		c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "CALLERIDP_ADMIN_SOCKET="+server.Socket)
		out, err := c.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("fish completes %q as %q, %v; want %q first", line, out, err, want)
		}
	}
}
