// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	root      = "../../../"
	rulesFile = root + "deploy/prometheus/calleridp.rules.yaml"
	dashboard = root + "deploy/grafana/calleridp.json"
)

// names returns the names that /metrics has, with those of the parts of histograms.
func names(t *testing.T) []string {
	t.Helper()
	m := New("v", "go")
	m.Watch(sources())
	descs := make(chan *prometheus.Desc)
	go func() { m.registry.Describe(descs); close(descs) }()
	var all []string
	for d := range descs {
		name := regexp.MustCompile(`fqName: "([a-z_]+)"`).FindStringSubmatch(d.String())[1]
		all = append(all, name)
		if strings.HasSuffix(name, "_seconds") {
			all = append(all, name+"_bucket", name+"_sum", name+"_count")
		}
	}
	if len(all) < 50 {
		t.Fatalf("got %d names, want those of ours and of Go", len(all))
	}
	return all
}

var named = regexp.MustCompile(`\b(?:calleridp|process|go)_[a-z_]+\b`)

// Every metric that the dashboard, the rules and the documentation mention exists.
func TestMentionedMetricsExist(t *testing.T) {
	exist := names(t)
	files, err := filepath.Glob(root + "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob(root + "docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, deeper...)
	files = append(files, rulesFile, strings.Replace(rulesFile, ".rules.", ".rules.test.", 1), dashboard, root+"README.md", root+"DESIGN.md", root+"CHANGELOG.md")
	mentioned := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(text), -1) {
			if !strings.HasPrefix(name, "calleridp_") && file != dashboard && file != rulesFile {
				continue // a setting of another program
			}
			mentioned++
			if name != "go_version" && name != "calleridp_callback" && !slices.Contains(exist, name) {
				t.Errorf("%s mentions %s, which /metrics does not have", file, name)
			}
		}
	}
	if mentioned < 100 {
		t.Errorf("found %d mentions, want all", mentioned)
	}
}

// board is what of a Grafana dashboard the tests look at.
type board struct {
	UID    string
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct{ Expr string }
	}
}

func readBoard(t *testing.T) (b board) {
	t.Helper()
	raw, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// The dashboard's panels have their place, and all metrics of ours are on one.
func TestDashboard(t *testing.T) {
	b := readBoard(t)
	ids, taken, shown := map[int]bool{}, map[[2]int]string{}, ""
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (len(p.Targets) == 0 || p.Description == "") {
			t.Errorf("panel %q shows nothing, or does not say what", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q is over %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			shown += target.Expr + "\n"
		}
	}
	// Their state is in others on the dashboard, or they are for a closer look.
	elsewhere := []string{"calleridp_notice_seconds", "calleridp_store_operations_total", "calleridp_store_round_trips_total",
		"calleridp_store_connection_wait_seconds_total", "calleridp_store_clock_ahead_seconds", "calleridp_store_listen_failures_total"}
	for _, name := range names(t) {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "calleridp_") && strings.Contains(shown, base) == slices.Contains(elsewhere, base) {
			t.Errorf("the dashboard shows %s, or lists it as shown elsewhere: want one of them", base)
		}
	}
}

// promtool runs it. ./test/all installs it.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// The rules are right, and fire when they should.
func TestAlertRules(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	promtool(t, "test", "rules", strings.Replace(rulesFile, ".rules.", ".rules.test.", 1))
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(strings.Replace(rulesFile, ".rules.", ".rules.test.", 1))
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	for _, alert := range alerts {
		fires := regexp.MustCompile(`alertname="` + alert[1] + `"|alertname: ` + alert[1] + `\n +exp_alerts:\n`)
		if !fires.Match(tests) {
			t.Errorf("no test has %s fire", alert[1])
		}
	}
	runbooks := regexp.MustCompile(`runbook: (docs/[a-z/-]+\.md)#([a-z0-9-]+)`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) < 15 || len(runbooks) != len(alerts) {
		t.Errorf("%d alerts have %d runbooks, want one each", len(alerts), len(runbooks))
	}
	for _, at := range runbooks {
		text, err := os.ReadFile(root + at[1])
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
			slug := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
			found = found || strings.ReplaceAll(slug, " ", "-") == at[2]
		}
		if !found {
			t.Errorf("%s has no heading %s", at[1], at[2])
		}
	}
}

// Prometheus understands what the dashboard asks.
func TestDashboardExpressions(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups: [{name: dashboard, rules: [\n")
	n := 0
	for _, p := range readBoard(t).Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$__range", "6h", "$instance", ".*").Replace(target.Expr)
			quoted, _ := json.Marshal(expr)
			rules.WriteString(fmt.Sprintf("{record: panel:%d, expr: %s},\n", n, quoted))
			n++
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, []byte(rules.String()+"]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
	if n < 40 {
		t.Errorf("got %d expressions, want all", n)
	}
}
