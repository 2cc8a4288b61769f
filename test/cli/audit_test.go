// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// The audit is verified and shown while the server runs and when it does not, and on a
// machine that has the files and the key alone. What was changed is found.
func TestAudit(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	command := func(words ...string) string {
		t.Helper()
		out, err := server.Command(words...)
		if err != nil {
			t.Fatalf("calleridp %s: %v\n%s", strings.Join(words, " "), err, out)
		}
		return out
	}
	bad := func(want ...string) {
		t.Helper()
		out, err := server.Command("audit", "verify")
		if err == nil || strings.Contains(out, "usage:") {
			t.Errorf("audit verify: %v\n%s", err, out)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("audit verify says nothing of %q:\n%s", text, out)
			}
		}
	}
	command("limit", "clear", "--client", "demo", "--socket", server.Socket)
	command("limit", "show", "--client", "demo", "--socket", server.Socket)
	wrong, err := http.NewRequest(http.MethodPost, server.Issuer+"/introspect", strings.NewReader("token=x"))
	if err != nil {
		t.Fatal(err)
	}
	wrong.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	wrong.SetBasicAuth("demo", "not the secret of the client demo")
	response, err := http.DefaultClient.Do(wrong)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	harness.Eventually(t, "a line about the wrong secret", func() bool {
		return strings.Contains(command("audit", "show", "--event", "client.", "--client", "demo", "-o", "json"), `"event":"client.unauthenticated"`)
	})
	if out := command("audit", "show", "--event", "limit.cleared"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "kind=client of=demo") {
		t.Errorf("audit show of one event:\n%s", out)
	}
	if out := command("audit", "show", "--until", "1h"); strings.Count(out, "\n") != 1 {
		t.Errorf("audit show of the time before:\n%s", out)
	}
	if out := command("audit", "verify"); !strings.Contains(out, "the store has seen line ") {
		t.Errorf("audit verify while the server runs:\n%s", out)
	}
	server.Stop(os.Kill)
	if out := command("audit", "verify"); strings.Contains(out, "WRONG") {
		t.Errorf("audit verify after a kill:\n%s", out)
	}
	server.Start()
	server.Stop(os.Interrupt)
	command("audit", "verify")

	dir := filepath.Join(filepath.Dir(server.Socket), "audit")
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	file := files[len(files)-1]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bytes.Replace(whole, []byte("limit.cleared"), []byte("limit.showned"), 1))
	bad(filepath.Base(file)+":", "changed, or written by another program")
	write(bytes.Join(lines[:len(lines)-2], nil)) // the last line is gone
	bad("missing at the end")
	write(whole)
	command("audit", "verify")

	captured := filepath.Join(t.TempDir(), "captured")
	stream := func(text []byte) (out string, err error) {
		t.Helper()
		if err := os.WriteFile(captured, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return server.Command("audit", "verify", "--file", captured)
	}
	if out, err := stream(whole); err != nil || !strings.Contains(out, "the store has seen line ") {
		t.Errorf("audit verify of a stream: %v\n%s", err, out)
	}
	if out, err := stream(bytes.Join(slices.Concat(lines[:2], lines[3:]), nil)); err == nil || !strings.Contains(out, captured+":3: lines 3 to 3 are missing") {
		t.Errorf("audit verify of a stream with a gap: %v\n%s", err, out)
	}
	if out, err := stream(bytes.Join(lines[:len(lines)-2], nil)); err == nil || !strings.Contains(out, "missing at the end") {
		t.Errorf("audit verify of a stream that was cut off: %v\n%s", err, out)
	}

	key := filepath.Join(server.Dir, "master.key")
	if out, err := harness.Run(t, "audit", "verify", "--file", captured, "--master-key-file", key); err != nil || !strings.Contains(out, "the store was not asked") {
		t.Errorf("audit verify of a stream elsewhere: %v\n%s", err, out)
	}
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, filepath.Base(file)), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := good(t, "audit", "verify", "--dir", elsewhere, "--master-key-file", key); !strings.Contains(out, "the store was not asked") {
		t.Errorf("audit verify elsewhere:\n%s", out)
	}
	good(t, "audit", "show", "--dir", elsewhere, "--master-key-file", key)
	if out, err := harness.Run(t, "audit", "verify", "--dir", t.TempDir(), "--master-key-file", key); err == nil || !strings.Contains(out, "there is no audit in") {
		t.Errorf("audit verify of nothing: %v\n%s", err, out)
	}
}
