// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"calleridp/test/harness"
)

// A browser has sixteen event streams at a time. One more ends the oldest, whose page
// asks for its state until it has a stream again. A stranger's ends none.
func TestThreat_StreamsOfABrowserAreBounded(t *testing.T) {
	t.Parallel()
	a := waitsFor(t, 1)
	a.browser.Timeout = 0
	a.browser.Transport = &http.Transport{}
	var streams []*bufio.Scanner
	open := func() {
		t.Helper()
		response, err := a.browser.Client.Get(a.waiting.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
		}
		if !strings.Contains(lines.Text(), "waiting") {
			t.Fatalf("stream %d: got %q, %v, want the state", len(streams), lines.Text(), lines.Err())
		}
		streams = append(streams, lines)
	}
	for range 16 {
		open()
	}
	for range 20 {
		stranger, err := http.Get(a.waiting.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		stranger.Body.Close()
		if stranger.StatusCode != http.StatusForbidden {
			t.Fatalf("a stranger's stream: got %d, want 403", stranger.StatusCode)
		}
	}
	open()
	ended := make(chan int, len(streams))
	for i, lines := range streams {
		go func() {
			for lines.Scan() {
			}
			ended <- i
		}()
	}
	if first := <-ended; first != 0 {
		t.Errorf("got the end of stream %d first, want 0, the oldest", first)
	}
	select {
	case other := <-ended:
		t.Errorf("got the end of stream %d too, want 16 streams", other)
	default:
	}
	if status := a.browser.Get(a.waiting.URL + "/status"); !strings.Contains(status.Body, "waiting") {
		t.Errorf("asking for the state: got %d %s, want it", status.Status, status.Body)
	}
	a.browser.Timeout = time.Minute
}

// Where pages that wait use all connections, a new one gets 503; callbacks and health
// checks are served all the same.
func TestThreat_ConnectionsInUseDoNotStarveCallbacks(t *testing.T) {
	t.Parallel()
	a := &attack{T: t, vendor: newVendor(t)}
	a.server = harness.Serve(t, a.vendor.URL, "connections: {max: 3, per_network: 2}\n")
	a.browser = harness.NewBrowser(t, a.server.Issuer)
	_, a.waiting = a.browser.Follow(a.browser.Submit(a.browser.Get(a.server.AuthorizationURL()), harness.Number(1)), 0)
	a.browser.Timeout = 0
	for range 2 {
		stream, err := a.browser.Client.Get(a.waiting.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()
		if _, err := io.ReadFull(stream.Body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) *http.Response {
		t.Helper()
		response, err := client.Get(a.server.Issuer + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response
	}
	if refused := get("/account"); refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
		t.Errorf("a page: got %d with %v, want 503 and Retry-After", refused.StatusCode, refused.Header)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if served := get(path); served.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, want 200", path, served.StatusCode)
		}
	}
	state := a.vendor.pushes()[0]
	a.grants("token-of-1", 1)
	body := strings.NewReader(`{"requestId":"request-1","state":"` + state + `","accessToken":"token-of-1"}`)
	callback, err := client.Post(a.server.CallbackURL(), "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	callback.Body.Close()
	if callback.StatusCode != http.StatusOK {
		t.Errorf("the callback: got %d, want 200", callback.StatusCode)
	}
	a.server.Logged("attempt.approved")
}
