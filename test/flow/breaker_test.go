// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"calleridp/test/harness"
)

// While Truecaller does not respond, the page says at once when to come back, and
// nothing is sent, locked or spent.
func TestTruecallerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	truecaller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 5 { // a page that waits for this one is not shown at once
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer truecaller.Close()
	server := harness.Serve(t, truecaller.URL, "")
	browser := harness.NewBrowser(t, server.Issuer)
	try := func(xx int) harness.Page {
		page := browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(xx))
		_, page = browser.Follow(page, 0)
		return page
	}
	for xx := range 5 {
		if page := try(xx); page.Status != http.StatusOK || !strings.Contains(page.Body, `data-outcome="unavailable"`) {
			t.Fatalf("attempt %d ended with status %d, want 200 and the outcome unavailable\n%s", xx, page.Status, page.Body)
		}
	}
	for range 2 { // the same number: it is not locked
		page := try(9)
		wait, err := strconv.Atoi(page.Header.Get("Retry-After"))
		if page.Status != http.StatusServiceUnavailable || err != nil || wait < 1 || wait > 31 || page.Sealed() == "" ||
			!strings.Contains(page.Body, "Truecaller is not responding right now. You can try again in 1\u00a0minute.") {
			t.Errorf("status %d, Retry-After %q, want 503 and 1 to 31\n%s", page.Status, page.Header.Get("Retry-After"), page.Body)
		}
	}
	if got := requests.Load(); got != 5 {
		t.Errorf("Truecaller got %d requests, want 5", got)
	}
	server.Stop(os.Interrupt)
	if n := accounted(auditOf(t, server.Log(), "attempt.unavailable")); n != 2 {
		t.Errorf("the audit accounts for %d times attempt.unavailable, want 2", n)
	}
	if log := server.Log(); strings.Count(log, "Truecaller does not answer: no requests for a while") != 1 || strings.Contains(log, "4670174") {
		t.Errorf("the log has not one warning, or a number:\n%s", log)
	}
}
