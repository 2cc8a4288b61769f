// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// An operator sees why a number is refused, and clears its limits.
func TestLimitsOfARunningServer(t *testing.T) {
	t.Parallel()
	// A Truecaller that takes each request, and tells nothing more.
	truecaller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"requestId":"r"}`) }))
	defer truecaller.Close()
	// Budgets so slow that none grows back while this test runs.
	server := harness.Serve(t, truecaller.URL, "limits: {number: 1/24h, network: 30/24h, client: 30/24h, deployment: 100/24h}\n")
	command := func(args ...string) string { t.Helper(); return good(t, append(args, "--socket", server.Socket)...) }
	submit := func() int {
		t.Helper()
		browser := harness.NewBrowser(t, server.Issuer) // each is another one
		return browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(5)).Status
	}
	has := func(out string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(out, line) {
				t.Errorf("no %q in\n%s", line, out)
			}
		}
	}
	has(command("limit", "show", harness.Number(5)), "of            +46•••••0605\n", "locked until  not locked\n", "cools until   not cooling down\n", "used          0 of 1 in 24h\n", "next          now\n")
	if status := submit(); status != http.StatusSeeOther {
		t.Fatalf("the submission got %d, want 303", status)
	}
	if status := submit(); status != http.StatusTooManyRequests {
		t.Fatalf("status %d, want 429", status)
	}
	has(command("limit", "show", "070-174 06 05"), "used          1 of 1 in 24h\n", "left          0\n", "next          20")
	has(command("limit", "show", "070-174 06 05", "--network", "127.0.0.1"), "of        +46•••••0605 from 127.0.0.1/32\n", "used      1 of 1 in 24h\n")
	// The try that the number refused was paid for.
	has(command("limit", "show", "--network", "127.0.0.1"), "of        127.0.0.1/32\n", "used      2 of 30 in 24h\n")
	has(command("limit", "show", "--client", "demo", "--output", "json"), `"of": "demo"`, `"used": 1`)
	has(command("limit", "show", "--deployment"), "of        all\n", "used      1 of 100 in 24h\n")
	has(command("limit", "clear", harness.Number(5)), "used          0 of 1 in 24h\n", "all back      now\n")
	if status := submit(); status != http.StatusTooManyRequests { // what this network may have of it is spent
		t.Errorf("the submission after limit clear of the number got %d, want 429", status)
	}
	has(command("limit", "clear", harness.Number(5), "--network", "127.0.0.1/32"), "used      0 of 1 in 24h\n", "all back  now\n")
	if status := submit(); status != http.StatusSeeOther {
		t.Errorf("the submission after limit clear got %d, want 303", status)
	}

	log := server.Logged(`"msg":"limit.cleared","log":"audit","kind":"number","of":"+46•••••0605"`, `"msg":"limit.shown","log":"audit","kind":"network","of":"127.0.0.1/32"`,
		`"msg":"limit.cleared","log":"audit","kind":"number_network","of":"+46•••••0605 from 127.0.0.1/32"`)
	if strings.Contains(log, "701740605") {
		t.Error("the whole number is in the log (invariant 10)")
	}
	one(t, "the number is too short", "limit", "show", "+46 70", "--socket", server.Socket)
	one(t, "there is no client nobody", "limit", "clear", "--client", "nobody", "--socket", server.Socket)
	one(t, "network is not an address", "limit", "clear", "--network", "x", "--socket", server.Socket)
	one(t, "usage: calleridp limit show NUMBER | [NUMBER] --network", "limit", "show", "--socket", server.Socket)
	one(t, "usage: calleridp limit clear NUMBER | [NUMBER] --network", "limit", "clear", harness.Number(5), "--client", "demo", "--socket", server.Socket)
	one(t, `unknown command "limit forget"; usage: calleridp limit clear|show`, "limit", "forget")
}
