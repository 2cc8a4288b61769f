// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"calleridp/test/harness"
)

// scrape returns the metrics at an address.
func scrape(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("/metrics got %d, %v, want 200", answer.StatusCode, err)
	}
	return string(raw)
}

// The metrics have their own address. They count what users, Truecaller and attackers
// do, and contain no data of theirs.
func TestMetrics(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:" + harness.FreePort(t)
	a := &attack{T: t, vendor: newVendor(t)}
	a.server = harness.Serve(t, a.vendor.URL, fmt.Sprintf("metrics_listen: %s\n", address))
	for xx, fields := range map[int]map[string]string{
		1: {"accessToken": "token-of-1"},
		2: {"status": "user_rejected"},
		3: {"accessToken": "token-of-1"}, // another number's
		4: {},
	} {
		a.browser = harness.NewBrowser(t, a.server.Issuer)
		page := a.browser.Get(a.server.AuthorizationURL())
		_, a.waiting = a.browser.Follow(a.browser.Submit(page, harness.Number(xx)), 0)
		if len(fields) == 0 {
			continue
		}
		a.grants("token-of-1", 1)
		pushes := a.vendor.pushes()
		fields["requestId"], fields["state"] = fmt.Sprintf("request-%d", len(pushes)), pushes[len(pushes)-1]
		a.post(a.rightPath(), fields)
		a.outcome()
	}
	a.browser = harness.NewBrowser(t, a.server.Issuer)                              // the last may be signed in
	a.browser.Submit(a.browser.Get(a.server.AuthorizationURL()), harness.Number(4)) // locked
	a.post(a.rightPath(), map[string]string{"requestId": "46701740609", "state": "nobodys", "accessToken": "strangers-token"})
	a.post("/callback/46701740609/strangers-secret", nil)
	a.browser.Get(a.server.Issuer + "/46701740609")

	got := scrape(t, address)
	for _, want := range []string{
		`calleridp_attempts_total{app="default",event="started",method="push",reason=""} 4`,
		`calleridp_attempts_total{app="default",event="pushed",method="push",reason=""} 4`,
		`calleridp_attempts_total{app="default",event="approved",method="push",reason=""} 1`,
		`calleridp_attempts_total{app="default",event="done",method="push",reason=""} 1`,
		`calleridp_attempts_total{app="default",event="rejected",method="push",reason="user_rejected"} 1`,
		`calleridp_attempts_total{app="default",event="failed",method="push",reason="phone_mismatch"} 1`,
		`calleridp_attempts_total{app="default",event="limited",method="push",reason=""} 1`,
		`calleridp_approval_seconds_count{app="default",method="push"} 1`,
		`calleridp_limited_total{limit="lock"} 1`,
		`calleridp_callbacks_total{app="default",outcome="accepted"} 3`,
		`calleridp_callbacks_total{app="default",outcome="unknown"} 1`,
		`calleridp_callbacks_total{app="",outcome="wrong_path"} 1`,
		`calleridp_truecaller_request_seconds_count{outcome="ok",purpose="push"} 4`,
		`calleridp_truecaller_request_seconds_count{outcome="ok",purpose="profile"} 2`,
		`calleridp_truecaller_breaker{host="` + strings.TrimPrefix(a.vendor.URL, "http://") + `",purpose="push",state="closed"} 1`,
		`calleridp_inbox_deliveries 0`,
		`calleridp_live_attempts 1`,
		`calleridp_http_requests_total{route="/signin",status="303"} 4`,
		`calleridp_http_requests_total{route="/signin",status="429"} 1`,
		`calleridp_http_requests_total{route="/callback/*",status="404"} 1`,
		`calleridp_http_requests_total{route="none",status="404"} 1`,
	} {
		if !strings.Contains(got, "\n"+want) {
			name := want[:strings.IndexAny(want, "{ ")]
			t.Errorf("there is no %s, but\n%s", want, strings.Join(regexp.MustCompile(`(?m)^`+name+`\b.*`).FindAllString(got, -1), "\n"))
		}
	}
	for _, secret := range []string{"4670174", "70174", "strangers", "token-of", "nobodys", a.server.CallbackSecret, "request-"} {
		if strings.Contains(got, secret) {
			t.Errorf("the metrics have %q", secret)
		}
	}
	// Whatever strangers do, there are no more lines than after one of each.
	strange := func(i int) {
		a.post(fmt.Sprintf("/callback/app%d/x", i), nil)
		for method, path := range map[string]string{
			"GET":                      fmt.Sprintf("/path%d", i),
			"HEAD":                     fmt.Sprintf("/attempt/attempt%d", i),
			"POST":                     fmt.Sprintf("/token?client_id=client%d", i),
			"PUT":                      fmt.Sprintf("/authorize?client_id=client%d&redirect_uri=https://%d.example", i, i),
			fmt.Sprintf("METHOD%d", i): "/token",
		} {
			r, _ := http.NewRequest(method, a.server.Issuer+path, strings.NewReader(fmt.Sprintf("grant_type=grant%d&client_id=client%d", i, i)))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("User-Agent", fmt.Sprintf("agent%d", i))
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		}
		a.browser.Get(fmt.Sprintf("%s/authorize?client_id=client%d&redirect_uri=https://%d.example", a.server.Issuer, i, i))
	}
	strange(0)
	strange(1) // a request is counted after its response: those of the first are by now
	got = scrape(t, address)
	for i := range 50 {
		strange(i + 2)
	}
	if before, after := strings.Count(got, "\ncalleridp_"), strings.Count(scrape(t, address), "\ncalleridp_"); after != before {
		t.Errorf("%d series became %d, want no more", before, after)
	}
	// The world does not see them.
	if page := a.browser.Get(a.server.Issuer + "/metrics"); page.Status != http.StatusNotFound {
		t.Errorf("/metrics at the issuer's address got %d, want 404", page.Status)
	}
	// They do not keep the server from stopping.
	a.server.Stop(os.Interrupt)
	if strings.Contains(a.server.Log(), harness.CutOff) {
		t.Error("requests were cut off, want them ended")
	}
}
