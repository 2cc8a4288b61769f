// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"calleridp/test/harness"
	"calleridp/truecaller/simulator"
)

// halfway sends each callback in two halves, and calls between after the first.
type halfway struct {
	between func()
	once    sync.Once
	status  chan int // of the first callback
}

func (h *halfway) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", r.URL.Host)
	if err != nil {
		return nil, err
	}
	// The server answers 100 when it begins to read the body: the request is in progress.
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", r.URL.RequestURI(), r.URL.Host, len(body))
	answers := bufio.NewReader(conn)
	if goOn, err := http.ReadResponse(answers, r); err != nil || goOn.StatusCode != http.StatusContinue {
		conn.Close()
		return nil, fmt.Errorf("got %v and %v, want status 100", goOn, err)
	}
	conn.Write(body[:len(body)/2])
	h.once.Do(h.between)
	conn.Write(body[len(body)/2:])
	response, err := http.ReadResponse(answers, r)
	if err != nil {
		conn.Close()
		return nil, err
	}
	select {
	case h.status <- response.StatusCode:
	default:
	}
	return response, nil
}

// A callback that arrives while the server stops is acknowledged, and the sign-in goes on at
// the next server: SIGTERM loses none.
func TestStoppingLosesNoCallback(t *testing.T) {
	t.Parallel()
	var server *harness.Production
	started := make(chan struct{})
	h := &halfway{status: make(chan int, 1), between: func() {
		<-started
		server.Signal(syscall.SIGTERM)
		server.Logged("stopping: requests in progress may finish")
	}}
	server = harness.ServeWith(t, func(callbackURL string) http.Handler {
		sim := simulator.New(simulator.Config{
			Apps: []simulator.App{{Name: "Test", Key: harness.AppKey, CallbackURL: callbackURL}},
			HTTP: &http.Client{Transport: h},
		})
		t.Cleanup(sim.Close)
		return sim.Handler()
	}, "")
	close(started)
	browser := harness.NewBrowser(t, server.Issuer)
	page := browser.Submit(browser.Get(server.AuthorizationURL()), harness.Number(5))
	at := server.Issuer + page.Header.Get("Location")
	select {
	case status := <-h.status:
		if status != http.StatusOK {
			t.Fatalf("the callback got %d, want 200", status)
		}
	case <-time.After(harness.Timeout):
		t.Fatal("no callback was answered")
	}
	server.Stop(syscall.SIGTERM)
	server.Start()
	if to, p := browser.Follow(browser.Get(at), harness.Timeout); to == nil || to.Query().Get("code") == "" {
		t.Errorf("after the restart: got %v and status %d, want a code", to, p.Status)
	}
}
