// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"calleridp/test/harness"
)

// refusals is how often an attacker tries each way to be refused.
const refusals = 1000

// summedEvery is how often the server writes how many lines it has not written.
const summedEvery = time.Minute

// auditLine is what a test reads of a line of the audit.
type auditLine struct {
	Log, Level, Msg, Client, Endpoint, Network, Error string
	More                                              int
}

// auditOf returns the lines of the audit with this name.
func auditOf(t *testing.T, log, name string) (lines []auditLine) {
	t.Helper()
	for text := range strings.Lines(log) {
		var line auditLine
		if json.Unmarshal([]byte(text), &line) == nil && line.Log == "audit" && line.Msg == name {
			lines = append(lines, line)
		}
	}
	return lines
}

// accounted returns how many events the lines account for.
func accounted(lines []auditLine) (n int) {
	for _, line := range lines {
		n += max(line.More, 1)
	}
	return n
}

// A refusal that a stranger can cause at will is written once a minute for their
// network, whatever the log's level. The others are counted, and none is lost at the
// end.
func TestThreat_RefusalsDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		event   string
		level   string
		kinds   int    // how many limits refuse
		beside  int    // at most so many other lines: of attempts that start and fail
		down    bool   // Truecaller does not respond
		more    string // configuration
		attempt func(t *testing.T, server *harness.Production) func() int
		status  int
		first   auditLine // what the first line says beside the event
	}{
		{
			event:   "attempt.limited",
			level:   "INFO",
			kinds:   2, // the number's lock, and then the network's budget
			beside:  1,
			attempt: submitting,
			status:  http.StatusTooManyRequests,
			first:   auditLine{Client: "demo", Network: "127.0.0.1/32"},
		},
		{
			event:   "attempt.unavailable",
			level:   "INFO",
			kinds:   1,
			beside:  50,
			down:    true,
			attempt: submitting,
			status:  http.StatusServiceUnavailable,
			first:   auditLine{Client: "demo", Network: "127.0.0.1/32"},
		},
		{
			event:   "challenge.unsolved",
			level:   "INFO",
			kinds:   1,
			more:    "limits: {challenge: always}",
			attempt: submitting,
			status:  http.StatusTooManyRequests,
			first:   auditLine{Client: "demo", Network: "127.0.0.1/32", Error: "authorize: the challenge is not solved"},
		},
		{
			event:   "client.unauthenticated",
			level:   "WARN",
			kinds:   1,
			attempt: guessing("demo"),
			status:  http.StatusUnauthorized,
			first:   auditLine{Client: "demo", Endpoint: "token endpoint", Network: "127.0.0.1/32", Error: "invalid_client"},
		},
		{
			event:   "registration.refused",
			level:   "INFO",
			kinds:   1,
			more:    "registration: {mode: token}",
			attempt: registering,
			status:  http.StatusUnauthorized,
			first:   auditLine{Network: "127.0.0.1/32", Error: "invalid_token"},
		},
		{ // an attacker does not choose what is told apart
			event:   "client.unauthenticated",
			level:   "WARN",
			kinds:   1,
			attempt: guessing("client-%d"),
			status:  http.StatusUnauthorized,
			first:   auditLine{Endpoint: "token endpoint", Network: "127.0.0.1/32", Error: "invalid_client"},
		},
	} {
		t.Run(row.event+" "+row.first.Client, func(t *testing.T) {
			t.Parallel()
			metrics := "127.0.0.1:" + harness.FreePort(t)
			vendor := newVendor(t)
			at := vendor.URL
			if row.down {
				failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
				t.Cleanup(failing.Close)
				at = failing.URL
			}
			server := harness.Serve(t, at, fmt.Sprintf("log: {level: error}\nmetrics_listen: %s\n%s\n", metrics, row.more))
			begun := time.Now()
			try := row.attempt(t, server)
			refused := 0
			for tries := 0; refused < refusals; tries++ {
				if status := try(); status == row.status {
					refused++
				} else if tries > 2*refusals {
					t.Fatalf("%d of %d tries had status %d, want %d; the last had %d", refused, tries, row.status, refusals, status)
				}
			}
			got := scrape(t, metrics)
			server.Stop(os.Interrupt)
			log := server.Log()
			// Each interval that the test touched has a first line and a sum of each kind.
			most := row.beside + 2*row.kinds*(int(time.Since(begun)/summedEvery)+2)
			if n := strings.Count(log, "\n"); n > most {
				t.Errorf("%d refusals wrote %d lines, want at most %d:\n%.3000s", refused, n, most, log)
			}
			lines := auditOf(t, log, row.event)
			if len(lines) < 2 {
				t.Fatalf("%d lines of %s, want a first one and a sum:\n%.3000s", len(lines), row.event, log)
			}
			row.first.Log, row.first.Level, row.first.Msg = "audit", row.level, row.event
			if lines[0] != row.first {
				t.Errorf("the first line is %+v, want %+v", lines[0], row.first)
			}
			for _, line := range lines {
				if line.Level != row.level || line.Network != row.first.Network {
					t.Errorf("a line is %+v, want the level and network of the first", line)
				}
			}
			if counted := accounted(lines); counted != refused {
				t.Errorf("the lines account for %d refusals, want %d: %+v", counted, refused, lines)
			}
			if want := fmt.Sprintf("\ncalleridp_audit_events_total{event=%q} %d\n", row.event, refused); !strings.Contains(got, want) {
				t.Errorf("the metrics have no %s", want)
			}
		})
	}
}

// submitting submits one number from one browser after the other. The second and all
// later ones have the same page.
func submitting(t *testing.T, server *harness.Production) func() int {
	first, browser := harness.NewBrowser(t, server.Issuer), harness.NewBrowser(t, server.Issuer)
	submit := func() int { return first.Submit(visit(t, first, server), harness.Number(9)).Status }
	page := visit(t, browser, server)
	browser.Jar = nil // each request is a browser of its own
	return func() int {
		defer func() { submit = func() int { return browser.Submit(page, harness.Number(9)).Status } }()
		return submit()
	}
}

// registering tries to register a client with a made-up initial access token.
func registering(t *testing.T, server *harness.Production) func() int {
	tries := 0
	return func() int {
		tries++
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Issuer+"/register", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", fmt.Sprintf("Bearer guess-%d", tries))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
}

// guessing guesses client secrets. id may have a place for a number.
func guessing(id string) func(t *testing.T, server *harness.Production) func() int {
	return func(t *testing.T, server *harness.Production) func() int {
		attacker := harness.NewBrowser(t, server.Issuer)
		tries := 0
		return func() int {
			tries++
			client := id
			if strings.Contains(id, "%d") {
				client = fmt.Sprintf(id, tries)
			}
			return attacker.Post(server.Issuer+"/token", url.Values{
				"grant_type": {"authorization_code"}, "code": {"c"}, "redirect_uri": {harness.RedirectURI},
				"client_id": {client}, "client_secret": {fmt.Sprintf("guess-%d", tries)},
			}).Status
		}
	}
}
