// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// simulate starts `calleridp simulate` at a port, for the apps of a configuration, and
// returns what it prints.
func simulate(t *testing.T, port, config string) string {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), "simulate", "--listen", "127.0.0.1:"+port, "--config", config)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	var said strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(said.String(), "Stop with Ctrl-C."); {
		n, err := out.Read(buffer)
		said.Write(buffer[:n])
		if err != nil {
			t.Fatalf("calleridp simulate: %v\n%s", err, said.String())
		}
	}
	return said.String()
}

// doctor runs calleridp doctor and returns its lines, "STATUS CHECK: FOUND".
func doctor(t *testing.T, config string, env []string, args ...string) (lines string, status int) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), append([]string{"doctor", "--config", config, "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		status = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	var results []struct{ Check, Status, Found string }
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, r := range results {
		lines += r.Status + " " + r.Check + ": " + r.Found + "\n"
	}
	return lines, status
}

func has(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, one := range want {
		if !strings.Contains(text, one) {
			t.Errorf("%s: no %q in:\n%s", what, one, text)
		}
	}
}

// The operators' guide begins with it: serve without an appKey of Truecaller's, over the
// simulator alone.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	p := harness.Serve(t, "http://127.0.0.1:"+port, "")
	p.Logged("truecaller.api_url: http://127.0.0.1:" + port + " IS NOT TRUECALLER")

	lines, status := doctor(t, p.Config(), nil)
	has(t, "without the simulator", lines, "FAILED Truecaller: http://127.0.0.1:"+port+" gives no response")
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}

	said := simulate(t, port, p.Config())
	has(t, "simulate", said, "  api_url: http://127.0.0.1:"+port+"\n", "  profile_urls: [http://127.0.0.1:"+port+"]\n", "A SIMULATED TRUECALLER")
	lines, status = doctor(t, p.Config(), nil, "--try-app-key", "--client", "demo")
	has(t, "with it", lines,
		"warning configuration: truecaller.api_url: http://127.0.0.1:"+port+" IS NOT TRUECALLER",
		"ok files: ", "ok disk: ", "ok server: it answers on "+p.Socket, "ok signing keys: 3 algorithms",
		"ok issuer answers: over HTTP/1.1", "ok callback path: a POST to /callback/default/... reaches the server",
		"ok client addresses: the server sees 127.0.0.1, without a proxy", "ok forged addresses", "ok host", "ok cookies", "ok live events",
		"ok Truecaller", "ok appKey of default: Truecaller refused the number",
		"ok client demo: it needs PKCE", "ok client demo: its ID tokens are signed with RS256",
		"not checked client demo: redirect_uris[0] "+harness.RedirectURI+": on the user's own device")
	if status != 0 {
		t.Errorf("exit status %d, want 0:\n%s", status, lines)
	}

	browser := harness.NewBrowser(t, p.Issuer)
	page := browser.Get(p.AuthorizationURL())
	has(t, "the sign-in page", page.Body, `class="simulation"`)
	if to, page := browser.Follow(browser.Submit(page, harness.Number(5)), harness.Timeout); to == nil || to.Query().Get("code") == "" {
		t.Errorf("the sign-in ended at %v, %d %s", to, page.Status, page.Body)
	}
}

// doctor names another appKey, and what it cannot know.
func TestDoctorNamesTheAppKey(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	p := harness.Serve(t, "http://127.0.0.1:"+port, "")
	simulate(t, port, p.Config())
	other := altered(t, p.Config(), filepath.Join(p.Dir, "appkey"), "another-app-key")
	lines, status := doctor(t, other, nil, "--try-app-key")
	has(t, "another appKey", lines, "FAILED appKey of default: Truecaller refuses it")
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	lines, _ = doctor(t, other, nil)
	has(t, "not asked", lines, "not checked appKey of default: Truecaller documents no way to ask without a push")
}

// altered returns a copy of a configuration with another file in the place of one that it
// names, of this text.
func altered(t *testing.T, config, file, text string) string {
	t.Helper()
	raw, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	other := filepath.Join(dir, "file")
	if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), file) {
		t.Fatalf("%s does not name %s", config, file)
	}
	at := filepath.Join(dir, "calleridp.yaml")
	if err := os.WriteFile(at, []byte(strings.ReplaceAll(string(raw), file, other)), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// doctor works without a server, says so, and checks the rest; health says it by its exit
// status.
func TestDoctorAndHealthWithoutAServer(t *testing.T) {
	t.Parallel()
	p := harness.Serve(t, "http://127.0.0.1:1", "")
	if out, err := p.Command("health"); err != nil || out != "ok\n" {
		t.Errorf("health: %v, %s", err, out)
	}
	if out, err := p.Command("health", "--live"); err != nil || out != "ok\n" {
		t.Errorf("health --live: %v, %s", err, out)
	}
	p.Stop(os.Interrupt)
	if out, err := p.Command("health"); err == nil || !strings.HasPrefix(out, "calleridp health: no server responds at 127.0.0.1:") || strings.Count(out, "\n") != 1 {
		t.Errorf("health without a server: %v, %s", err, out)
	}
	lines, status := doctor(t, p.Config(), nil, "--client", "nobody")
	has(t, "without a server", lines, "warning server: no server runs at "+p.Socket, "not checked signing keys", "not checked issuer's address: no connection to",
		"not checked issuer answers", "not checked callback path", "ok files", "ok disk", "FAILED client nobody: the configuration does not declare it, and the running server cannot be asked")
	if status != 1 {
		t.Errorf("exit status %d, want 1: Truecaller and the client are missing", status)
	}
	if err := os.Chmod(filepath.Join(p.Dir, "data"), 0o777); err != nil {
		t.Fatal(err)
	}
	lines, _ = doctor(t, p.Config(), nil)
	has(t, "an open data_dir", lines, "FAILED files: data_dir: every user of this machine may use "+filepath.Join(p.Dir, "data"))
	lines, status = doctor(t, altered(t, p.Config(), filepath.Join(p.Dir, "callback"), "short"), nil)
	has(t, "a configuration that is refused", lines, "FAILED configuration: truecaller.callback_secret_file", "not checked everything else")
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
}

// doctor --client looks at what a client has registered, as the running server knows it.
func TestDoctorWalksAClient(t *testing.T) {
	t.Parallel()
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/keys":
			w.Write([]byte(`{"keys": []}`))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(site.Close)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: site.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := harness.Serve(t, "http://127.0.0.1:1", "")
	added := good(t, "client", "add", "--name", "Shop", "--socket", p.Socket, "--output", "json", "--auth-method", "private_key_jwt",
		"--jwks-uri", site.URL+"/keys", "--backchannel-logout-uri", site.URL+"/logout", "--redirect-uri", "https://shop.invalid/callback", "--redirect-uri", "com.example.app:/callback")
	var c struct {
		ID string `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(added), &c); err != nil {
		t.Fatalf("%v: %s", err, added)
	}
	lines, status := doctor(t, p.Config(), []string{"SSL_CERT_FILE=" + roots}, "--client", c.ID)
	has(t, "a client", lines,
		"FAILED client "+c.ID+": jwks_uri: ", "is neither public nor in client_networks",
		"FAILED client "+c.ID+": backchannel_logout_uri: ",
		"warning client "+c.ID+": redirect_uris[0] https://shop.invalid/callback: no response for this machine",
		"not checked client "+c.ID+": redirect_uris[1] com.example.app:/callback: an application on the user's device")
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
}
