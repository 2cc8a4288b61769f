// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/tracing"
	"calleridp/provider/audit"
	"calleridp/provider/audit/trail"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/storage/backup"
	"calleridp/storage/bolt"
	"calleridp/storage/postgres"
	"calleridp/truecaller"

	"github.com/prometheus/client_golang/prometheus"
)

func sources() Sources {
	return Sources{
		Store: func() bolt.Stats { return bolt.Stats{Commits: 7, Failures: 2, Operations: 9, Bytes: 4096} },
		Database: func() postgres.Stats {
			return postgres.Stats{Commits: 7, Retries: 1, Lookups: 1, Trips: 30, Connections: 4}
		},
		Inbox:    func(context.Context) (int, error) { return 3, nil },
		Notices:  func(context.Context) (int, error) { return 6, nil },
		Attempts: func() int { return 5 },
		Pages:    func() int { return 4 },
		Server:   server{},

		Audit:   func() trail.Stats { return trail.Stats{Written: 11, Lost: 1, Failing: true} },
		Backups: func() backup.Stats { return backup.Stats{Made: 2, Failures: 1, Last: time.Unix(1_790_000_000, 0)} },

		CertificateEnds: func() time.Time { return time.Unix(1_800_000_000, 0) },
		Breakers: func() []truecaller.Breaker {
			return []truecaller.Breaker{{Purpose: truecaller.ForPush, Host: "api4.truecaller.com", State: truecaller.BreakerOpen}}
		},
	}
}

type server struct{}

func (server) Open() int       { return 8 }
func (server) Refused() uint64 { return 2 }

// page returns what Prometheus reads.
func page(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("got %d %s\n%s\nwant 200 and text", w.Code, w.Header(), w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	m := New("v1.2.3", "go1.26")
	m.Watch(sources())
	begun := time.Now()
	a := login.Attempt{Method: login.Push, App: "default", Created: begun}
	ctx := t.Context()
	m.Attempt(ctx, "attempt.started", a)
	m.Attempt(ctx, "attempt.started", a)
	a.AuthTime = begun.Add(7 * time.Second)
	m.Attempt(ctx, "attempt.approved", a)
	a.State = login.Approved
	m.Answered(ctx, a, begun.Add(6*time.Second))
	a.Ended = a.AuthTime.Add(2 * time.Second)
	m.Attempt(ctx, "attempt.done", a)
	a.Reason = login.UserRejected
	m.Attempt(ctx, "attempt.rejected", a)
	m.Limited(limit.Network)
	m.Asked(ctx, truecaller.ForPush, "no_account", 30*time.Millisecond)
	m.HeldBack(truecaller.ForProfile)
	m.Callback(ctx, "", truecaller.CallbackWrongPath, time.Millisecond)
	m.Delivered(ctx, "default", false, 3*time.Second)
	m.Delivered(ctx, "default", true, time.Second)
	m.Step(ctx, endpoint.StepSignIn, false, 14*time.Second)
	m.Step(ctx, endpoint.StepDecide, true, time.Millisecond)
	m.Committed(ctx, false, 2*time.Millisecond)
	m.Spans(tracing.Dropped, 3)
	m.Event(audit.ClientUnauthenticated)
	m.Line(slog.LevelWarn)
	m.Notified(ctx, notify.Logout, notify.Refused, time.Second)
	m.Notified(ctx, notify.Logout, notify.Dropped, 0)
	m.Request(ctx, "POST", "/token", 200, 2*time.Millisecond)
	m.Request(ctx, "GET", "", 404, time.Millisecond)
	got := page(t, m)
	for _, want := range []string{
		`calleridp_attempts_total{app="default",event="started",method="push",reason=""} 2`,
		`calleridp_attempts_total{app="default",event="rejected",method="push",reason="user_rejected"} 1`,
		`calleridp_approval_seconds_bucket{app="default",method="push",le="5"} 0`,
		`calleridp_approval_seconds_bucket{app="default",method="push",le="10"} 1`,
		`calleridp_approval_seconds_sum{app="default",method="push"} 7`,
		`calleridp_attempt_part_seconds_sum{app="default",method="push",part="phone"} 6`,
		`calleridp_attempt_part_seconds_sum{app="default",method="push",part="profile"} 1`,
		`calleridp_attempt_part_seconds_sum{app="default",method="push",part="browser"} 2`,
		`calleridp_inbox_delivery_seconds_sum{app="default"} 3`,
		`calleridp_inbox_failures_total{app="default"} 1`,
		`calleridp_sign_in_seconds_sum 14`,
		`calleridp_step_seconds_count{step="authorize.decide"} 1`,
		`calleridp_store_commit_seconds_bucket{le="0.0025"} 1`,
		`calleridp_notice_seconds_count{kind="logout"} 1`,
		`calleridp_trace_spans_total{outcome="dropped"} 3`,
		`calleridp_limited_total{limit="network"} 1`,
		`calleridp_callbacks_total{app="",outcome="wrong_path"} 1`,
		`calleridp_truecaller_request_seconds_bucket{outcome="no_account",purpose="push",le="0.05"} 1`,
		`calleridp_truecaller_request_seconds_count{outcome="no_account",purpose="push"} 1`,
		`calleridp_truecaller_held_back_total{purpose="profile"} 1`,
		`calleridp_truecaller_breaker{host="api4.truecaller.com",purpose="push",state="open"} 1`,
		`calleridp_truecaller_breaker{host="api4.truecaller.com",purpose="push",state="closed"} 0`,
		`calleridp_truecaller_breaker{host="api4.truecaller.com",purpose="push",state="half_open"} 0`,
		`calleridp_audit_events_total{event="client.unauthenticated"} 1`,
		`calleridp_log_lines_total{level="warn"} 1`,
		`calleridp_http_requests_total{route="/token",status="200"} 1`,
		`calleridp_http_requests_total{route="none",status="404"} 1`,
		`calleridp_http_request_seconds_bucket{route="/token",le="0.0025"} 1`,
		`calleridp_store_commits_total 7`,
		`calleridp_store_failed_commits_total 2`,
		`calleridp_store_operations_total 9`,
		`calleridp_store_bytes 4096`,
		`calleridp_inbox_deliveries 3`,
		`calleridp_live_attempts 5`,
		`calleridp_notices_waiting 6`,
		`calleridp_notices_total{kind="logout",outcome="refused"} 1`,
		`calleridp_waiting_pages 4`,
		`calleridp_certificate_end_seconds 1.8e+09`,
		`calleridp_connections 8`,
		`calleridp_connections_refused_total 2`,
		`calleridp_build_info{go_version="go1.26",version="v1.2.3"} 1`,
		`go_goroutines `,
		`process_cpu_seconds_total `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("got no %s in\n%s", want, got)
		}
	}
}

// A source that fails does not hide the others.
func TestFailingSourceIsNaN(t *testing.T) {
	m := New("v", "go")
	s := sources()
	s.Inbox = func(context.Context) (int, error) { return 0, errors.New("closed") }
	m.Watch(s)
	if got := page(t, m); !strings.Contains(got, "calleridp_inbox_deliveries NaN") || !strings.Contains(got, "calleridp_store_commits_total 7") {
		t.Errorf("got\n%s\nwant NaN and the other metrics", got)
	}
}

var update = flag.Bool("update", false, "rewrite the list of metrics in docs/operators/watch.md")

const (
	document = "../../../docs/operators/watch.md"
	begins   = "<!-- metrics -->\n"
	ends     = "<!-- /metrics -->"
)

// The operators' list has every metric, with its labels and meaning.
func TestDocumentHasEveryMetric(t *testing.T) {
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begins)
	have, after, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the metrics, between %q and %q", document, begins, ends)
	}
	want := table(t)
	if have == want {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the program; rewrite it with: go test ./cmd/calleridp/metrics -run Document -update", document)
	}
	if err := os.WriteFile(document, []byte(before+begins+want+ends+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

var described = regexp.MustCompile(`^Desc\{fqName: "(calleridp_[a-z_]+)", help: "([^"]+)", .*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

func table(t *testing.T) string {
	m := New("v", "go")
	m.Watch(sources())
	descs := make(chan *prometheus.Desc)
	go func() { m.registry.Describe(descs); close(descs) }()
	var rows []string
	for d := range descs {
		if !strings.Contains(d.String(), `"calleridp_`) {
			continue
		}
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			t.Errorf("got %s, want %s", d, described)
			continue
		}
		labels := regexp.MustCompile(`="[^"]*"`).ReplaceAllString(strings.Trim(parts[3]+","+parts[4], ","), "")
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", parts[1], strings.ReplaceAll(labels, ",", ", "), parts[2]))
	}
	slices.Sort(rows)
	if len(rows) < 10 {
		t.Fatalf("got %d metrics, want at least 10", len(rows))
	}
	return "\n| metric | labels | meaning |\n|---|---|---|\n" + strings.Join(rows, "") + "\n"
}
