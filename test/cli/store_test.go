// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// A store that is cut off, empty or gone is refused in one line that names the file
// and says what to do; with the file back, the server serves.
func TestThreat_StartsWithAWholeStoreOnly(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	server.Stop(os.Interrupt)
	config, store := filepath.Join(server.Dir, "calleridp.yaml"), filepath.Join(server.Dir, "data", "calleridp.db")
	whole, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what   string
		change func() error
		says   string
	}{
		{"cut off", func() error { return os.Truncate(store, 20000) }, "restore the newest backup"},
		{"in the middle of a page", func() error { return os.Truncate(store, 12345) }, "restore the newest backup"},
		{"almost empty", func() error { return os.Truncate(store, 100) }, "restore the newest backup"},
		{"empty", func() error { return os.Truncate(store, 0) }, "it is empty"},
		{"gone", func() error { return os.Remove(store) }, "restore it from a backup"},
	} {
		if err := row.change(); err != nil {
			t.Fatal(err)
		}
		out, err := harness.Run(t, "serve", "--config", config)
		if err == nil || !strings.Contains(out, store) || !strings.Contains(out, row.says) || strings.Contains(out, "goroutine ") {
			t.Errorf("%s: %v\n%s\nwant one line with the file and %q", row.what, err, out, row.says)
		}
		if err := os.WriteFile(store, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.Start()
}

// While the store's file is not in its place, the server is not ready, and stores
// nothing.
func TestThreat_NotReadyWithoutItsStore(t *testing.T) {
	t.Parallel()
	server := harness.Serve(t, "http://127.0.0.1:1", "")
	store := filepath.Join(server.Dir, "data", "calleridp.db")
	ready := func() int {
		return harness.NewBrowser(t, server.Issuer).Get(server.Issuer + "/readyz").Status
	}
	if got := ready(); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	if err := os.Rename(store, store+".away"); err != nil {
		t.Fatal(err)
	}
	if got := ready(); got != 503 {
		t.Errorf("after the file was moved away: %d, want 503", got)
	}
	browser := harness.NewBrowser(t, server.Issuer)
	if page := browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(5)); page.Status != 500 {
		t.Errorf("a sign-in meanwhile: %d, want 500", page.Status)
	}
	server.Logged("it was moved or deleted while it was in use")
	if err := os.Rename(store+".away", store); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "ready again", func() bool { return ready() == 200 })
}
