package flow

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"
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
