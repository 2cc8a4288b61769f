package cli

import (
	"net"
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
