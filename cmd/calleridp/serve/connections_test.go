// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// from is a pipe from a network.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.address))
}

// door is a server with limits of connections, in fake time. Requests for /slow last
// until its test lets them go, and for /taken until the connection ends.
type door struct {
	*testing.T
	all   *Connections
	web   *http.Server
	inner pipeListener
	slow  chan struct{}
	left  []net.Conn
}

func behind(t *testing.T, most, perNetwork int, test func(*door)) {
	synctest.Test(t, func(t *testing.T) {
		proxies := ClientAddresses{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		d := &door{
			T:     t,
			all:   NewConnections(most, perNetwork, proxies),
			inner: pipeListener{make(chan net.Conn), make(chan struct{})},
			slow:  make(chan struct{}),
		}
		d.web = facing(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/slow":
				<-d.slow
			case "/taken":
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				go func() { io.Copy(io.Discard, conn); conn.Close() }()
			}
		}), slog.New(slog.DiscardHandler))
		limited := d.all.serve(d.web, d.inner)
		go d.web.Serve(limited)
		test(d)
		close(d.slow)
		d.web.Close()
		for _, conn := range d.left {
			conn.Close()
		}
		synctest.Wait()
		if n := d.all.Open(); n != 0 || len(d.all.networks) != 0 || d.all.reserved != 0 || d.all.waiting.Len()+d.all.silent.Len() != 0 {
			t.Errorf("got %d connections of %d networks counted after all have ended, want none", n, len(d.all.networks))
		}
	})
}

// dial connects from an address.
func (d *door) dial(ip string) net.Conn {
	ours, theirs := net.Pipe()
	d.inner.conns <- from{theirs, net.JoinHostPort(ip, "1234")}
	d.left = append(d.left, ours)
	synctest.Wait()
	return ours
}

// send requests a path, and does not wait.
func (d *door) send(conn net.Conn, path string) {
	d.Helper()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		d.Errorf("requesting %s: %v", path, err)
	}
	synctest.Wait()
}

// get requests a path and returns the status, and whether the connection stays.
func (d *door) get(conn net.Conn, path string) (status int, stays bool) {
	d.Helper()
	d.send(conn, path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, false
	}
	io.Copy(io.Discard, response.Body)
	synctest.Wait()
	return response.StatusCode, !response.Close
}

// want requests a path on a new connection.
func (d *door) want(what, ip, path string, status int, stays bool) {
	d.Helper()
	if got, stayed := d.get(d.dial(ip), path); got != status || stayed != stays {
		d.Errorf("%s: got %d for %s, the connection stays: %v; want %d, %v", what, got, path, stayed, status, stays)
	}
}

// open reports whether the server has left a connection open.
func open(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := conn.Read(make([]byte, 1))
	conn.SetReadDeadline(time.Time{})
	return err != io.EOF
}

const callbackPath = "/callback/default/secret"

// One network has so many connections. Beyond them, what is in use keeps its place;
// callbacks and health checks are served all the same, and other networks as always.
func TestThreat_ConnectionsOfANetworkAreBounded(t *testing.T) {
	for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
		behind(t, 100, 4, func(d *door) {
			for _, path := range []string{"/slow", "/slow", "/taken", "/taken"} {
				d.send(d.dial(ip), path)
			}
			d.want("the fifth", ip, "/", 503, false)
			d.want("a callback", ip, callbackPath, 200, false)
			d.want("a health check", ip, PathHealth, 200, false)
			d.want("a readiness check", ip, PathReady, 200, false)
			d.want("another network", "198.51.100.1", "/", 200, true)
			d.want("another IPv6 network", "2001:db8:1::1", "/", 200, true)
			for range 20 {
				d.send(d.dial("10.1.2.3"), "/slow")
			}
			d.want("a trusted proxy", "10.1.2.3", "/", 200, true)
			d.left[0].Close() // slow requests go on without their client; taken connections end
			d.left[2].Close()
			synctest.Wait()
			d.want("after one has ended", ip, "/", 200, true)
			if d.all.Refused() != 1 {
				t.Errorf("got %d refused, want 1", d.all.Refused())
			}
		})
	}
	behind(t, 100, 2, func(d *door) { // one /64
		d.send(d.dial("2001:db8::1"), "/slow")
		d.send(d.dial("2001:db8::2"), "/slow")
		d.want("the third of a /64", "2001:db8::3", "/", 503, false)
	})
}

// All networks together have so many.
func TestThreat_ConnectionsAreBounded(t *testing.T) {
	behind(t, 10, 5, func(d *door) {
		for i := range 10 {
			d.send(d.dial(fmt.Sprintf("192.0.2.%d", i)), "/slow")
		}
		d.want("one too many", "198.51.100.1", "/", 503, false)
		d.want("a proxy's", "10.0.0.1", "/", 503, false)
		d.want("a callback", "198.51.100.1", callbackPath, 200, false)
		d.want("a health check", "10.0.0.1", PathReady, 200, false)
	})
}

// At a limit, the connection that has waited longest for a request makes room.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	for what, limits := range map[string][2]int{"of a network": {100, 3}, "of all": {3, 100}} {
		behind(t, limits[0], limits[1], func(d *door) {
			silent, idle, busy := d.dial("192.0.2.1"), d.dial("192.0.2.1"), d.dial("192.0.2.1")
			d.send(busy, "/slow")
			if status, stays := d.get(idle, "/"); status != 200 || !stays {
				t.Fatalf("%s: got %d, %v, want 200 and an idle connection", what, status, stays)
			}
			d.want(what+", the fourth", "192.0.2.1", "/", 200, true)
			if open(silent) || !open(idle) {
				t.Errorf("%s: got the silent connection open: %v, the idle one: %v; want the first closed", what, open(silent), open(idle))
			}
			d.want(what+", the fifth", "192.0.2.1", "/", 200, true)
			if open(idle) || !open(busy) {
				t.Errorf("%s: got the idle connection open: %v, the busy one: %v; want the first closed", what, open(idle), open(busy))
			}
		})
	}
}

// The reserved places are not held by those that say nothing, nor by one network.
func TestThreat_ReservedConnectionsAreNotHeld(t *testing.T) {
	behind(t, 1, 1, func(d *door) {
		d.send(d.dial("192.0.2.1"), "/slow")
		for i := range 2 * reservedConnections {
			d.dial(fmt.Sprintf("198.%d.%d.1", 51+i/256, i%256))
		}
		if n := d.all.Open(); n != 1+reservedConnections {
			t.Errorf("got %d connections, want %d", n, 1+reservedConnections)
		}
		d.want("a callback", "203.0.113.1", callbackPath, 200, false)
	})
	behind(t, 1, 1, func(d *door) {
		d.send(d.dial("192.0.2.1"), "/slow")
		for range 2 * reservedConnections { // bodies that never come
			conn := d.dial("192.0.2.1")
			go io.WriteString(conn, "POST "+callbackPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
			synctest.Wait()
		}
		if d.all.reserved > reservedPerNetwork {
			t.Errorf("got %d reserved places of one network, want at most %d", d.all.reserved, reservedPerNetwork)
		}
		d.want("another network's callback", "203.0.113.1", callbackPath, 200, false)
	})
}

// program is a Program that only stops.
func program(all *Connections) *Program { return &Program{Connections: all} }

// Stopping waits for requests, and neither for idle connections nor for those that
// have sent nothing; browsers and proxies open some in advance.
func TestStoppingDoesNotWaitForIdleConnections(t *testing.T) {
	for what, row := range map[string]struct {
		busy           time.Duration // how long a request takes, 0 for none
		least, longest time.Duration
		cutOff         bool
	}{
		"idle and silent":                 {0, 0, 2 * time.Second, false},
		"a request under way":             {4 * time.Second, 4 * time.Second, 5 * time.Second, false},
		"a request that takes for longer": {time.Hour, drainTimeout, drainTimeout + lastTimeout, true},
	} {
		behind(t, 100, 100, func(d *door) {
			d.get(d.dial("192.0.2.1"), "/")
			d.dial("192.0.2.1")
			go io.WriteString(d.dial("192.0.2.1"), "GET / HT")
			if row.busy > 0 {
				conn := d.dial("192.0.2.1")
				d.send(conn, "/slow")
				go io.Copy(io.Discard, conn)
				if !row.cutOff {
					go func() { time.Sleep(row.busy); d.slow <- struct{}{} }()
				}
			}
			begun := time.Now()
			var log strings.Builder
			program(d.all).finish(d.web, nil, slog.New(slog.NewTextHandler(&log, nil)))
			if cut := strings.Contains(log.String(), "were cut off"); cut != row.cutOff {
				t.Errorf("%s: the log says that requests were cut off: %v, want %v", what, cut, row.cutOff)
			}
			if took := time.Since(begun); took < row.least || took > row.longest {
				t.Errorf("%s: stopping took %s, want %s to %s", what, took, row.least, row.longest)
			}
		})
	}
}

// While the server pauses it serves, lets each connection end with its response, and
// says that it is not ready.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := program(nil)
		log := slog.New(slog.DiscardHandler)
		begun := time.Now()
		if err := p.pause(0, nil, log); err != nil || time.Since(begun) != 0 || !p.draining.Load() {
			t.Errorf("without a pause: got %v after %s, want none at once", err, time.Since(begun))
		}
		if err := p.pause(7*time.Second, nil, log); err != nil || time.Since(begun) != 7*time.Second {
			t.Errorf("got %v after %s, want none after 7s", err, time.Since(begun))
		}
		failed := make(chan error, 1)
		failed <- net.ErrClosed
		if err := p.pause(time.Hour, failed, log); err != net.ErrClosed || time.Since(begun) != 7*time.Second {
			t.Errorf("got %v after %s, want the listener's error at once", err, time.Since(begun))
		}
	})
	behind(t, 10, 10, func(d *door) {
		p := program(d.all)
		d.web.Handler = p.lastResponses(d.web.Handler)
		d.want("before", "192.0.2.1", "/", 200, true)
		p.draining.Store(true)
		d.want("while stopping", "192.0.2.1", "/", 200, false)
	})
}

// The server's own protection of a response with an unread request works through the
// wrapped connection.
func TestConnectionClosesItsHalf(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := limitedListener{l, NewConnections(1, 1, ClientAddresses{})}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*connection).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(client); err != nil || len(rest) != 0 {
		t.Errorf("got %q, %v, want the end", rest, err)
	}
	if _, err := io.Copy(conn, strings.NewReader("x")); err == nil {
		t.Error("got no error of writing afterwards, want one")
	}
}
