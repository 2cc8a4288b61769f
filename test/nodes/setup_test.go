// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// A mistake in the setup is said with the key that makes it, by every command.
func TestSetupIsSaidWhereItIsMade(t *testing.T) {
	database, err := pgtest.Start(pgtest.Options{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Stop)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(args ...string) string {
		out, err := harness.Run(t, args...)
		if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
			t.Fatal(err)
		}
		return out
	}
	master := filepath.Join(dir, "master.key")
	run("keys", "init-master", "--out", master)
	configs, port := 0, harness.FreePort(t)
	config := func(storage string) string {
		configs++
		return file(fmt.Sprintf("%d.yaml", configs), fmt.Sprintf(`
issuer: http://127.0.0.1:9999
listen: 127.0.0.1:%s
data_dir: %s
master_key_file: %s
truecaller: {app_name: Test, app_key_file: %s, callback_secret_file: %s}
storage: {engine: postgres%s}
`, port, filepath.Join(dir, "data"), master, file("appkey", "key"), file("callback", strings.Repeat("c", 40)), storage))
	}
	good := fmt.Sprintf("postgres://calleridp:hunter2@127.0.0.1:%d/postgres?sslmode=disable", database.Port())
	absent := strings.Replace(good, "/postgres?", "/absent?", 1)
	const atKey = "storage.dsn_file: there is no database absent; create it"
	absentFile := file("absent", absent)
	dev := func(data string, more ...string) []string {
		return append([]string{"dev", "--storage", "postgres", "--provider-port", "0", "--simulator-port", "0", "--demo-port", "0", "--data", data}, more...)
	}
	for _, row := range []struct {
		name string
		env  string
		args []string
		want string
	}{
		{"checked, from a file", "", []string{"config", "check", "--config", config(", dsn_file: " + absentFile)}, atKey},
		{"migrated, from a file", "", []string{"migrate", "--config", config(", dsn_file: " + absentFile)}, atKey},
		{"served, from a file", "", []string{"serve", "--config", config(", dsn_file: " + absentFile)}, atKey},
		{"checked, from the environment", absent, []string{"config", "check", "--config", config("")}, "CALLERIDP_STORAGE_DSN: there is no database absent"},
		{"a laptop, without data", "", dev("", "--dsn-file", absentFile), "--storage postgres needs --data DIRECTORY"},
		{"a laptop, without a file", "", dev(dir), "needs --dsn-file FILE"},
		{"a laptop, without the file", "", dev(dir, "--dsn-file", "/nowhere"), "--dsn-file: "},
		{"a laptop, without the database", "", dev(dir, "--dsn-file", absentFile), "--dsn-file: there is no database absent"},
		{"all is well", "", []string{"config", "check", "--config", config(", dsn_file: " + file("good", good))}, ": OK"},
		{"a warning", "", []string{"config", "check", "--config", config(", max_connections: 500, dsn_file: " + file("good", good))}, "note: storage.max_connections: the database allows"},
		{"a warning of durability", "", []string{"config", "check", "--config", config(", dsn_file: " + file("good", good))}, "note: storage.dsn_file: the database has fsync"},
		{"migrated", good, []string{"migrate", "--config", config("")}, "up to date"},
		{"a laptop, with another key", "", dev(dir, "--dsn-file", file("good", good)), "--data: the database was made with the master key of another directory"},
	} {
		t.Setenv("CALLERIDP_STORAGE_DSN", row.env)
		if strings.HasPrefix(row.name, "a laptop, with another key") {
			os.Remove(master) // dev makes its own
		}
		out := run(row.args...)
		if !strings.Contains(out, row.want) {
			t.Errorf("%s: %q, want %q in it", row.name, out, row.want)
		}
		if strings.Contains(out, "hunter2") {
			t.Errorf("%s: the output has the password", row.name)
		}
	}
}

// A database that is down at the start is waited for, loudly. One that hangs while
// the server runs gives 503 and says so; everything goes on by itself.
func TestTheDatabaseIsDownAtTheStartAndHangsLater(t *testing.T) {
	database, err := pgtest.Start(pgtest.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Stop)
	t.Setenv("CALLERIDP_STORAGE_DSN", database.DSN("postgres"))
	server := harness.ServeWith(t, func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{Apps: []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}}})
		t.Cleanup(sim.Close)
		return sim.Handler()
	}, "storage: {engine: postgres, pool_timeout: 1s, statement_timeout: 1s}")
	ready := func(want int) {
		t.Helper()
		harness.Eventually(t, fmt.Sprintf("/readyz responds with %d", want), func() bool { return statusOf(t, server.Address()+"/readyz") == want })
	}
	ready(200)
	server.Stop(os.Interrupt)
	database.Kill()
	var starting sync.WaitGroup
	starting.Go(server.Start)
	server.Logged("the server does not start yet", "nothing listens at")
	if err := database.Restart(); err != nil {
		t.Fatal(err)
	}
	starting.Wait()
	ready(200)

	if err := database.Freeze(); err != nil {
		t.Fatal(err)
	}
	ready(503)
	for range 3 {
		page := harness.NewBrowser(t, server.Issuer).Get(server.Issuer + "/authorize?client_id=stored-perhaps&response_type=code")
		if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" {
			t.Errorf("a page: %d, Retry-After %q, want 503", page.Status, page.Header.Get("Retry-After"))
		}
	}
	if err := database.Thaw(); err != nil {
		t.Fatal(err)
	}
	ready(200)
	browser := harness.NewBrowser(t, server.Issuer)
	if left, page := browser.Follow(browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(5)), harness.Timeout); left == nil || left.Query().Get("code") == "" {
		t.Errorf("a sign-in afterwards left to %v or stopped at %s (%d)", left, page.URL, page.Status)
	}
}

// At SERIALIZABLE, no user sees that sign-ins which begin at once spend from the same
// budget.
func TestSignInsAtOnceAtSerializable(t *testing.T) {
	c := newCluster(t, pgtest.Options{}, nil, func(c *cluster) { c.storage = ", isolation: serializable" })
	const many = 48
	browsers, forms := make([]*harness.Browser, many), make([]harness.Page, many)
	for i := range many {
		browsers[i] = harness.NewBrowser(t, c.Issuer)
		forms[i] = browsers[i].Get(c.AuthorizationURL())
	}
	all := func(do func(i int)) {
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
	}
	all(func(i int) {
		left, page := browsers[i].Follow(browsers[i].Submit(forms[i], fmt.Sprintf("+491761234%04d", i)), 0)
		if left != nil || !page.Has("waiting") {
			t.Errorf("sign-in %d left to %v or stopped at %s (%d)", i, left, page.URL, page.Status)
		}
		forms[i] = page
	})
	var pending []struct{ RequestID string }
	if err := json.Unmarshal([]byte(c.simulated("GET", "/sim/requests", "")), &pending); err != nil || len(pending) != many {
		t.Fatalf("%d pushes, %v, want %d", len(pending), err, many)
	}
	all(func(i int) {
		c.simulated("POST", "/sim/requests/"+url.PathEscape(pending[i].RequestID)+"/approve", "")
	})
	all(func(i int) {
		left, page := browsers[i].Follow(browsers[i].Get(forms[i].URL), harness.Timeout)
		if left == nil || left.Query().Get("code") == "" {
			t.Errorf("sign-in %d left to %v or stopped at %s (%d)", i, left, page.URL, page.Status)
		}
	})
}

// TestDev tries it on a laptop that has a database.
func TestDev(t *testing.T) {
	database, err := pgtest.Start(pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Stop)
	server := harness.Dev(t, "--storage", "postgres", "--dsn-file", dsnFile(t, database))
	for range 2 {
		browser := harness.NewBrowser(t, server.Issuer)
		left, page := browser.Follow(browser.Submit(browser.Get(browser.Issuer+"/account"), harness.Number(5)), harness.Timeout)
		if left != nil || !page.Has("account") {
			t.Fatalf("the sign-in left to %v or stopped at %s (%d)", left, page.URL, page.Status)
		}
		if again := browser.Get(browser.Issuer + "/account"); !again.Has("account") {
			t.Errorf("the session is gone: %d", again.Status)
		}
		server.Stop(os.Interrupt)
		server.Restart()
	}
}
