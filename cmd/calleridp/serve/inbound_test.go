// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/endpoint"
	"calleridp/truecaller"

	"github.com/go-chi/chi/v5"
)

// pipeListener is a listener whose connections are pipes, so that time can be fake.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (w pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}
func (w pipeListener) Close() error   { close(w.done); return nil }
func (w pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// unusedInbox is an inbox that receives nothing.
type unusedInbox struct{ truecaller.Inbox }

// inbound runs test against the callback endpoint behind the server's limits, in
// fake time.
func inbound(t *testing.T, test func(dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		at := &url.URL{Scheme: "https", Host: "truecaller.example"}
		app := truecaller.App{ID: "default", Key: "key", API: at, Profiles: []*url.URL{at}, CallbackSecrets: []string{"secret"}}
		silent := slog.New(slog.DiscardHandler)
		receiver, err := truecaller.NewReceiver(endpoint.PathCallback, truecaller.ReceiverConfig{
			Apps:      map[string]truecaller.App{"default": app},
			Inbox:     unusedInbox{},
			Recipient: expectsNothing{},
			Client:    truecaller.NewClient(truecaller.Options{}),
			Log:       silent,
			Callbacks: audit.NewSums(silent, nil),
		})
		if err != nil {
			t.Fatal(err)
		}
		router := chi.NewRouter()
		router.Handle(endpoint.PathCallback+"*", receiver)
		w := pipeListener{make(chan net.Conn), make(chan struct{})}
		web := facing(Middleware{Log: silent, Observe: func(context.Context, string, string, int, time.Duration) {}}.Wrap(router), silent)
		go web.Serve(w)
		defer web.Close()
		test(func() net.Conn {
			ours, theirs := net.Pipe()
			w.conns <- theirs
			return ours
		})
	})
}

// respond returns the status of the server's response, 0 for none, and when the
// server closed the connection.
func respond(t *testing.T, conn net.Conn) (status int, closed time.Time) {
	t.Helper()
	received := bufio.NewReader(conn)
	response, err := http.ReadResponse(received, nil)
	if err != nil {
		return 0, time.Now()
	}
	io.Copy(io.Discard, response.Body)
	if rest, err := io.ReadAll(received); len(rest) > 0 {
		t.Errorf("after the response: got %q, %v; want nothing", rest, err)
	}
	return response.StatusCode, time.Now()
}

// A slow sender is disconnected: a header gets five seconds, and so does a body.
func TestSlowSendersAreDisconnected(t *testing.T) {
	const head = "POST /callback/default/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
	for what, row := range map[string]struct {
		send   string
		drip   string // sent repeatedly, each second
		status int
	}{
		"nothing":                  {"", "", 0},
		"half a header":            {"POST /callback/default/secret HTTP/1.1\r\nHost: x\r\n", "", 0},
		"an endless header":        {"POST /callback/default/secret HTTP/1.1\r\nHost: x\r\n", "X-More: x\r\n", 0},
		"a header and no body":     {fmt.Sprintf(head, "secret"), "", http.StatusRequestTimeout},
		"an endless body":          {fmt.Sprintf(head, "secret"), " ", http.StatusRequestTimeout},
		"the same to a wrong path": {fmt.Sprintf(head, "wrong"), " ", http.StatusNotFound},
	} {
		t.Run(what, func(t *testing.T) {
			inbound(t, func(dial func() net.Conn) {
				conn := dial()
				defer conn.Close()
				begun := time.Now()
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, err := io.WriteString(conn, row.send)
					for err == nil && row.drip != "" {
						time.Sleep(time.Second)
						_, err = io.WriteString(conn, row.drip)
					}
				}()
				status, closed := respond(t, conn)
				conn.Close()
				<-done
				if took := closed.Sub(begun); status != row.status || took > 6*time.Second {
					t.Errorf("got %d, closed after %s; want %d within 6s", status, took, row.status)
				}
			})
		})
	}
}

// An endless body is not read on, whether or not the path exists.
func TestEndlessBodyIsNotRead(t *testing.T) {
	for path, want := range map[string]int{"/callback/default/secret": http.StatusRequestEntityTooLarge, "/callback/default/wrong": http.StatusNotFound, "/nowhere": http.StatusNotFound} {
		inbound(t, func(dial func() net.Conn) {
			conn := dial()
			defer conn.Close()
			sent := make(chan int)
			go func() {
				_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path)
				total := 0
				for err == nil {
					var n int
					n, err = io.WriteString(conn, "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n")
					total += n
				}
				sent <- total
			}()
			status, _ := respond(t, conn)
			conn.Close()
			if n := <-sent; status != want || n > 1<<20 {
				t.Errorf("%s: got %d after %d KiB, want %d within 1 MiB", path, status, n>>10, want)
			}
		})
	}
}

// An endless header is refused and costs no more than the largest allowed one.
func TestHugeHeaderIsRefused(t *testing.T) {
	for what, line := range map[string]string{
		"many fields":    "X-%d: " + strings.Repeat("x", 100) + "\r\n",
		"one long field": "x%d" + strings.Repeat("x", 1000),
	} {
		inbound(t, func(dial func() net.Conn) {
			conn := dial()
			defer conn.Close()
			sent := make(chan int)
			go func() {
				_, err := io.WriteString(conn, "POST /callback/default/secret HTTP/1.1\r\nHost: x\r\nX-Long: ")
				total := 0
				for i := 0; err == nil; i++ {
					var n int
					n, err = fmt.Fprintf(conn, line, i)
					total += n
				}
				sent <- total
			}()
			status, _ := respond(t, conn)
			conn.Close()
			if n := <-sent; status != http.StatusRequestHeaderFieldsTooLarge || n > 1<<20 {
				t.Errorf("%s: got %d after %d KiB, want 431 within 1 MiB", what, status, n>>10)
			}
		})
	}
}

// A hundred slow senders do not delay another.
func TestSlowSendersDoNotDelayOthers(t *testing.T) {
	inbound(t, func(dial func() net.Conn) {
		for range 100 {
			slow := dial()
			defer slow.Close()
			io.WriteString(slow, "POST /callback/default/secret HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
		}
		synctest.Wait()
		conn := dial()
		defer conn.Close()
		begun := time.Now()
		const body = `{"requestId":"r","status":"s"}`
		go fmt.Fprintf(conn, "POST /callback/default/secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if status, at := respond(t, conn); status != http.StatusOK || !at.Equal(begun) {
			t.Errorf("got %d after %s, want 200 at once", status, at.Sub(begun))
		}
	})
}
