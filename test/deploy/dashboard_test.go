// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// quiet are the parts of queries that have no data until something goes wrong, a phone
// reports its dialog, or the store is PostgreSQL.
var quiet = []string{
	`event="invoked"`, `rejected|failed|expired|limited|unavailable`, "calleridp_limited_total", "calleridp_inbox_failures_total",
	"calleridp_truecaller_held_back_total", `status=~"[45].."`, "calleridp_log_lines_total",
	"calleridp_store_retries_total", "calleridp_store_outcomes_looked_up_total", "calleridp_store_reached",
	"calleridp_store_listening", "calleridp_store_connections", "calleridp_store_connection_waits_total",
}

// A Prometheus that scrapes a server with a few sign-ins has data for each panel of the
// dashboard.
func TestDashboardOverPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed; test/all downloads it")
	}
	port, at := harness.FreePort(t), "127.0.0.1:"+harness.FreePort(t)
	server := harness.ServeWith(t, func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{
			Apps:       []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}},
			ApproveAll: true,
			HTTP:       &http.Client{Timeout: harness.Timeout},
		})
		t.Cleanup(sim.Close)
		return sim.Handler()
	}, "limits: {number: 1000/1h, network: 1000/1h}\nmetrics_listen: 127.0.0.1:"+port)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: calleridp, static_configs: [{targets: ['127.0.0.1:%s']}]}]\n", port), 0o600); err != nil {
		t.Fatal(err)
	}
	prometheus := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+at, "--log.level=error")
	prometheus.Stderr = os.Stderr
	if err := prometheus.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		prometheus.Process.Kill()
		prometheus.Wait()
	}()
	data := func(query string) (series int, err error) {
		response, err := http.Get("http://" + at + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		var got struct {
			Error string
			Data  struct{ Result []json.RawMessage }
		}
		if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
			return 0, err
		}
		if got.Error != "" {
			t.Errorf("%s: %s", query, got.Error)
		}
		return len(got.Data.Result), nil
	}
	numbers := 0
	signIn := func() {
		t.Helper()
		numbers++
		browser := harness.NewBrowser(t, server.Issuer)
		page := browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(numbers))
		if left, page := browser.Follow(page, harness.Timeout); left == nil || left.Query().Get("code") == "" {
			t.Fatalf("the sign-in left to %v or stopped at %s (%d)", left, page.URL, page.Status)
		}
	}
	// A rate needs a series before and after it grows.
	signIn()
	harness.Eventually(t, "Prometheus has scraped a sign-in", func() bool {
		n, err := data(`calleridp_attempts_total{event="done"} > 0`)
		return err == nil && n > 0
	})
	for range 3 {
		signIn()
	}
	if out, err := server.Command("backup"); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	harness.Eventually(t, "Prometheus has scraped the others", func() bool {
		n, err := data(`increase(calleridp_attempts_total{event="done"}[1m]) > 0`)
		return err == nil && n > 0
	})

	dashboard := harness.Source(t, "deploy/grafana/calleridp.json")
	expressions := regexp.MustCompile(`"expr": *("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(dashboard, -1)
	if len(expressions) < 50 {
		t.Fatalf("got %d panels' queries, want more", len(expressions))
	}
	met := map[string]bool{}
	for _, e := range expressions {
		var query string
		if err := json.Unmarshal([]byte(e[1]), &query); err != nil {
			t.Fatal(err)
		}
		query = strings.NewReplacer("$__rate_interval", "30s", "$__range", "1m", "$instance", ".*").Replace(query)
		if strings.Contains(query, "$") {
			t.Errorf("%s: has a variable that this test does not know", query)
		}
		mayBeEmpty := false
		for _, part := range quiet {
			if strings.Contains(query, part) {
				mayBeEmpty, met[part] = true, true
			}
		}
		if mayBeEmpty {
			if _, err := data(query); err != nil { // it must parse
				t.Error(err)
			}
			continue
		}
		harness.Eventually(t, "data for "+query, func() bool {
			n, err := data(query)
			return err == nil && n > 0
		})
	}
	for _, part := range quiet {
		if !met[part] {
			t.Errorf("no panel has %s: the list is out of date", part)
		}
	}
}
