// SPDX-License-Identifier: Apache-2.0

// Package lifecycle tests what a service manager does with the built binary: start it, make
// it read its configuration again, and stop it.
package lifecycle

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"calleridp/test/harness"
)

// reload sends SIGHUP and returns the line of the log that says how the nth reload ended.
func reload(t *testing.T, server *harness.Production, n int) string {
	t.Helper()
	server.Signal(syscall.SIGHUP)
	var ended []string
	harness.Eventually(t, fmt.Sprintf("reload %d has ended", n), func() bool {
		ended = nil
		for line := range strings.Lines(server.Log()) {
			if strings.Contains(line, `"reload: done`) || strings.Contains(line, `"reload: refused`) {
				ended = append(ended, line)
			}
		}
		return len(ended) >= n
	})
	if len(ended) != n {
		t.Errorf("got %d reloads, want %d:\n%s", len(ended), n, ended)
	}
	return ended[n-1]
}

// SIGHUP makes a running server take over clients, texts and the log level, and says what
// has changed and what needs a restart. A configuration with a mistake changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	texts := filepath.Join(t.TempDir(), "pages")
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(texts, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("static/custom.css", ":root{--one:1}")
	server := harness.Serve(t, "http://127.0.0.1:1", fmt.Sprintf(`
  - client_id: old
    name: Old
    public: true
    redirect_uris: ["http://127.0.0.1:1/old"]
ui: {name: First name, overrides_dir: %s}
log: {level: info}
`, texts))
	browser := harness.NewBrowser(t, server.Issuer)
	// knows reports whether the server knows a client: else the request is an error page.
	knows := func(id string) bool {
		p := browser.Get(server.AuthorizationURL("client_id", id, "redirect_uri", "http://127.0.0.1:1/"+id))
		return p.Status == http.StatusOK && p.Sealed() != ""
	}
	named := func(name string) bool { return strings.Contains(browser.Get(server.Issuer).Body, name) }
	style := func() string {
		body := browser.Get(server.Issuer).Body
		_, rest, _ := strings.Cut(body, "/static/app-")
		name, _, _ := strings.Cut(rest, `"`)
		return "/static/app-" + name
	}
	if !knows("old") || knows("new") || !named("First name") {
		t.Fatal("before: the server has not the clients and the name of its configuration")
	}
	before := style()
	// uses checks what operators are shown of the configuration in use.
	uses := func(when string, want ...string) {
		t.Helper()
		shown, err := server.Command("config", "show")
		if err != nil {
			t.Fatalf("%s: config show: %v\n%s", when, err, shown)
		}
		for _, line := range want {
			if !strings.Contains(shown, line+"\n") {
				t.Errorf("%s: config show does not have %q:\n%s", when, line, shown)
			}
		}
	}
	uses("before", "client_id: old", "name: First name", "level: info", "default_region: SE")

	if line := reload(t, server, 1); !strings.Contains(line, "nothing has changed") {
		t.Errorf("without a change: got %s", line)
	}

	server.Configure("client_id: old\n    name: Old", "client_id: new\n    name: New")
	server.Configure("http://127.0.0.1:1/old", "http://127.0.0.1:1/new")
	server.Configure("First name", "Second name")
	server.Configure("level: info", "level: debug")
	server.Configure("default_region: SE", "default_region: IN")
	write("static/custom.css", ":root{--two:2}")
	line := reload(t, server, 2)
	for _, want := range []string{"clients: new added", "clients: old removed", `"ui"`, "log.level: debug"} {
		if !strings.Contains(line, want) {
			t.Errorf("the log does not say %q: %s", want, line)
		}
	}
	server.Logged(`these keys need a restart","keys":["default_region"]`)
	if knows("old") || !knows("new") || !named("Second name") {
		t.Errorf("after: got old %v, new %v, second name %v; want new clients and the second name", knows("old"), knows("new"), named("Second name"))
	}
	uses("after", "client_id: new", "name: Second name", "level: debug", "default_region: SE") // which needs a restart
	browser.Get(server.Issuer + "/healthz")                                                    // which is logged for debugging alone
	server.Logged(`"level":"DEBUG"`)
	if now := style(); now == before {
		t.Errorf("the stylesheet is still %s", now)
	}
	// A page that was opened before still finds its stylesheet.
	if p := browser.Get(server.Issuer + before); p.Status != http.StatusOK || !strings.Contains(p.Body, "--one:1") {
		t.Errorf("the stylesheet of a page from before: got status %d", p.Status)
	}

	// Each mistake keeps all of it from being used, also what is right.
	server.Configure("Second name", "Third name")
	for i, mistake := range []struct{ old, new, says string }{
		{"level: debug", "level: loud", "log.level"},
		{"level: debug", "level: [", "calleridp.yaml"}, // no YAML
		{"    name: New\n", "", "clients[1].name"},
		{"client_id: new", "client_id: new\n    truecaller_app: other", "truecaller_app"},
	} {
		server.Configure(mistake.old, mistake.new)
		line := reload(t, server, 3+i)
		if !strings.Contains(line, "reload: refused; nothing has changed") || !strings.Contains(line, mistake.says) {
			t.Errorf("%s: got %s", mistake.new, line)
		}
		if !knows("new") || !named("Second name") {
			t.Errorf("%s: the server has changed", mistake.new)
		}
		if mistake.new == "" {
			server.Configure("client_id: new\n", "client_id: new\n    name: New\n")
		} else {
			server.Configure(mistake.new, mistake.old)
		}
		uses(mistake.new, "name: Second name", "level: debug") // the command, too, reads the file
	}
	write("locales/en.json", "{") // a text that does not load
	if line := reload(t, server, 7); !strings.Contains(line, "refused") || !strings.Contains(line, "overrides_dir") || !named("Second name") {
		t.Errorf("a broken text: got %s", line)
	}
	if err := os.Remove(filepath.Join(texts, "locales/en.json")); err != nil {
		t.Fatal(err)
	}
	if line := reload(t, server, 8); !strings.Contains(line, `"ui"`) || !named("Third name") {
		t.Errorf("without the mistakes: got %s", line)
	}
	if log := server.Log(); strings.Contains(log, harness.ClientSecret) || strings.Contains(log, server.CallbackSecret) {
		t.Error("the log has a secret")
	}
}
