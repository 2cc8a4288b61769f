package flow

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calleridp/test/harness"
)

// While Truecaller does not answer, people are told when to come back, at once,
// and nothing is sent, locked or spent.
func TestTruecallerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	truecaller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer truecaller.Close()
	server := harness.Serve(t, truecaller.URL, "")
	browser := harness.NewBrowser(t, server.Issuer)
	try := func(xx int) harness.Page {
		page := browser.Submit(browser.Get(server.Issuer+challenge+strings.Repeat("A", 43)), harness.Number(xx))
		_, page = browser.Follow(page, 0)
		return page
	}
	for xx := range 5 {
		if page := try(xx); page.Status != http.StatusOK || !strings.Contains(page.Body, `data-outcome="unavailable"`) {
			t.Fatalf("try %d: %d\n%s", xx, page.Status, page.Body)
		}
	}
	for range 2 { // the same number: it is not locked
		begun := time.Now()
		page := try(9)
		wait, err := strconv.Atoi(page.Header.Get("Retry-After"))
		if page.Status != http.StatusServiceUnavailable || err != nil || wait < 1 || wait > 31 || page.Sealed() == "" ||
			!strings.Contains(page.Body, "Truecaller is not answering at the moment. You can try again in 1\u00a0minute.") {
			t.Errorf("%d, Retry-After %q\n%s", page.Status, page.Header.Get("Retry-After"), page.Body)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %s to say so", took)
		}
	}
	if asked.Load() != 5 {
		t.Errorf("Truecaller was asked %d times", asked.Load())
	}
	harness.Eventually(t, "what was unavailable is logged", func() bool { return strings.Count(server.Log(), "attempt.unavailable") >= 2 })
	if log := server.Log(); strings.Count(log, "Truecaller does not answer: no requests for a while") != 1 || strings.Count(log, "attempt.unavailable") != 2 || strings.Contains(log, "4670174") {
		t.Errorf("the log:\n%s", log)
	}
}
