// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/storage/postgres/pgtest"
	"calleridp/test/harness"

	"golang.org/x/oauth2"
)

// TestAKilledServerLosesNoCallback kills the server that works on a delivery: another
// one takes it.
func TestAKilledServerLosesNoCallback(t *testing.T) {
	var killed atomic.Bool
	requested := make(chan struct{}, 100)
	c := newCluster(t, pgtest.Options{}, func(truecaller http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/default" && !killed.Load() {
				requested <- struct{}{}
				<-r.Context().Done()
				return
			}
			truecaller.ServeHTTP(w, r)
		})
	})
	browser := harness.NewBrowser(t, c.Issuer)
	_, waiting := browser.Follow(browser.Submit(browser.Get(c.AuthorizationURL()), harness.Number(5)), 0)
	if !waiting.Has("waiting") {
		t.Fatalf("status %d\n%s", waiting.Status, waiting.Body)
	}
	select {
	case <-requested:
	case <-time.After(harness.Timeout):
		t.Fatal("the profile was never requested")
	}
	working := -1 // the profile may be requested before the line is written
	for begun := time.Now(); working < 0; time.Sleep(time.Millisecond) {
		working = slices.IndexFunc(c.Nodes, func(node *harness.Production) bool {
			return strings.Contains(node.Log(), `"outcome":"accepted"`)
		})
		if time.Since(begun) > harness.Timeout {
			t.Fatal("no server has accepted the callback")
		}
	}
	c.StopNode(working, os.Kill)
	killed.Store(true)
	begun := time.Now()
	if left, page := browser.Follow(browser.Get(waiting.URL), harness.Timeout); left == nil || left.Query().Get("code") == "" {
		t.Fatalf("the sign-in left to %v or stopped at %s (%d)", left, page.URL, page.Status)
	}
	t.Logf("taken over within %s", time.Since(begun))
	c.StartNode(working)
	c.signIn(harness.NewBrowser(t, c.Issuer), harness.Number(10))
}

// TestTheDatabaseGoesAway crashes the database: the servers say that they are not
// ready and when to try again, lose nothing, and go on by themselves.
func TestTheDatabaseGoesAway(t *testing.T) {
	c := newCluster(t, pgtest.Options{Durable: true}, nil)
	browser := harness.NewBrowser(t, c.Issuer)
	tokens := c.signIn(browser, harness.Number(5), "offline_access")
	c.database.Kill()
	r := must(http.NewRequest("GET", c.Nodes[0].Address()+"/userinfo", nil))
	tokens.SetAuthHeader(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("userinfo without a database: %d, Retry-After %q, want 503", response.StatusCode, response.Header.Get("Retry-After"))
	}
	if page := browser.Get(c.Issuer + "/account"); page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" {
		t.Errorf("a page without a database: %d, Retry-After %q, want 503", page.Status, page.Header.Get("Retry-After"))
	}
	for _, node := range c.Nodes {
		harness.Eventually(t, "a server is not ready without its database", func() bool { return statusOf(t, node.Address()+"/readyz") == 503 })
	}
	config := []string{"--config", filepath.Join(c.Nodes[0].Dir, "calleridp.yaml")}
	for _, row := range []struct {
		command []string
		want    string
	}{
		{[]string{"keys", "rotate", "--force", "--socket", c.Nodes[0].Socket}, "run the command again when /readyz responds with 200"},
		{[]string{"user", "find", harness.Number(5), "--socket", c.Nodes[0].Socket}, "run the command again when /readyz responds with 200"},
		{[]string{"limit", "clear", harness.Number(5), "--socket", c.Nodes[0].Socket}, "run the command again when /readyz responds with 200"},
		{append([]string{"migrate"}, config...), "run calleridp migrate again when it is"},
		{append([]string{"store", "copy", "--to", "bolt"}, config...), "nothing was copied; run the command again when it is"},
		{append([]string{"config", "check"}, config...), "nothing listens at"},
	} {
		out, err := harness.Run(t, row.command...)
		if err == nil || !strings.Contains(out, row.want) || strings.Contains(out, "goroutine ") {
			t.Errorf("calleridp %s without a database: %v\n%s\nwant %q", strings.Join(row.command, " "), err, out, row.want)
		}
	}
	if err := c.database.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Nodes {
		harness.Eventually(t, "a server is ready again", func() bool { return statusOf(t, node.Address()+"/readyz") == 200 })
	}
	if status, _ := userinfo(t, c.Nodes[1].Address(), tokens); status != 200 {
		t.Errorf("userinfo afterwards: %d", status)
	}
	if _, err := c.config().TokenSource(t.Context(), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token(); err != nil {
		t.Error(err)
	}
	c.signIn(harness.NewBrowser(t, c.Issuer), harness.Number(10))
}

func statusOf(t *testing.T, at string) int {
	t.Helper()
	response, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
