// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/cmd/calleridp/config"
)

// steps are what a program did, in order.
type steps struct {
	mu  sync.Mutex
	all []string
}

func (s *steps) add(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, step)
}

// stepStore is a store that only closes.
type stepStore struct {
	Store
	*steps
}

func (s stepStore) Close() error { s.add("store closed"); return nil }

// What the log has summed up is written when nothing can log any more, however Run ends.
func TestLastLinesAreWrittenLast(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct {
		what      string
		configure func(*config.Settings)
		fails     string
		want      []string
	}{
		{"stopped", func(*config.Settings) {}, "", []string{"ready", "work ended", "store closed", "last lines"}},
		{"no admin socket", func(s *config.Settings) { s.AdminSocket = "/dev/null/socket" }, "admin_socket", []string{"store closed", "last lines"}},
		{"no port for metrics", func(s *config.Settings) { s.MetricsListen = taken.Addr().String() }, "metrics_listen", []string{"store closed", "last lines"}},
		{"no port for profiles", func(s *config.Settings) { s.DebugListen = taken.Addr().String() }, "debug_listen", []string{"store closed", "last lines"}},
	} {
		t.Run(row.what, func(t *testing.T) {
			did := &steps{}
			p := &Program{
				Connections: NewConnections(1, 1, ClientAddresses{}),
				Store:       stepStore{steps: did},
				Background:  []func(context.Context){func(ctx context.Context) { <-ctx.Done(); did.add("work ended") }},
				Drain:       func() {},
				LastLines:   func() { did.add("last lines") },
			}
			var s config.Settings
			s.AdminSocket = filepath.Join(t.TempDir(), "admin.sock")
			row.configure(&s)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			err := p.Run(ctx, s, pipeListener{make(chan net.Conn), make(chan struct{})}, nil, slog.New(slog.DiscardHandler),
				func() { did.add("ready"); stop() })
			if (err == nil) != (row.fails == "") || !strings.Contains(fmt.Sprint(err), row.fails) {
				t.Errorf("got %v, want an error about %q", err, row.fails)
			}
			if !slices.Equal(did.all, row.want) {
				t.Errorf("got %q, want %q", did.all, row.want)
			}
		})
	}
}

// Run stops working only when the handlers of browsers and operators have ended, also if
// http.Server does not know them any more.
func TestRunWaitsForHandlers(t *testing.T) {
	for _, private := range []bool{false, true} {
		did, stopped, drained, begun := &steps{}, make(chan struct{}), make(chan struct{}), make(chan struct{})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
			close(begun)
			<-drained
			select {
			case <-stopped: // too early
			case <-time.After(100 * time.Millisecond):
			}
			did.add("handler ended")
		})
		p := &Program{
			Public:      h,
			Admin:       h,
			Connections: NewConnections(1, 1, ClientAddresses{}),
			Store:       stepStore{steps: did},
			Background:  []func(context.Context){func(ctx context.Context) { <-ctx.Done(); close(stopped) }},
			Drain:       func() { close(drained) },
			LastLines:   func() { did.add("last lines") },
		}
		var s config.Settings
		s.AdminSocket = filepath.Join(t.TempDir(), "admin.sock")
		public := pipeListener{make(chan net.Conn), make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		err := p.Run(ctx, s, public, nil, slog.New(slog.DiscardHandler), func() {
			go func() {
				defer stop()
				ours, theirs := net.Pipe()
				if private {
					var err error
					if ours, err = net.Dial("unix", s.AdminSocket); err != nil {
						t.Error(err)
						return
					}
				} else {
					public.conns <- theirs
				}
				defer ours.Close()
				io.WriteString(ours, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				<-begun
			}()
		})
		if want := []string{"handler ended", "store closed", "last lines"}; err != nil || !slices.Equal(did.all, want) {
			t.Errorf("private %v: got %q and %v, want %q", private, did.all, err, want)
		}
	}
}

// Stopping waits for all that may still log: handlers, also those that gave their
// connection away or were cut off, and streams over such connections.
func TestStoppingWaitsForWhatMayLog(t *testing.T) {
	hijack := func(w http.ResponseWriter) net.Conn {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		return conn
	}
	for what, row := range map[string]struct {
		handle func(w http.ResponseWriter, r *http.Request, drained <-chan struct{}, ended func())
		took   time.Duration
		cutOff bool
	}{
		"a handler without its connection": {func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}, ended func()) {
			hijack(w).Close()
			time.Sleep(3 * time.Second)
			ended()
		}, 3 * time.Second, false},
		"a stream that drains": {func(w http.ResponseWriter, r *http.Request, drained <-chan struct{}, ended func()) {
			conn := hijack(w)
			go func() {
				<-drained
				time.Sleep(3 * time.Second)
				ended()
				conn.Close()
			}()
		}, 3 * time.Second, false},
		"a stream that does not drain": {func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}, ended func()) {
			conn := hijack(w)
			go func() {
				io.WriteString(conn, "nobody reads this")
				ended()
				conn.Close()
			}()
		}, drainTimeout, true},
		"a handler that is cut off": {func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}, ended func()) {
			<-r.Context().Done()
			time.Sleep(lastTimeout / 2)
			ended()
		}, drainTimeout + lastTimeout/2, true},
		"a handler that never ends": {func(w http.ResponseWriter, r *http.Request, drained <-chan struct{}, ended func()) {
			ended()
			time.Sleep(time.Minute)
		}, drainTimeout + lastTimeout, true},
	} {
		for _, private := range []bool{false, true} {
			if private && strings.Contains(what, "stream") {
				continue
			}
			t.Run(fmt.Sprintf("%s, private %v", what, private), func(t *testing.T) {
				behind(t, 100, 100, func(d *door) {
					p := program(d.all)
					drained, did := make(chan struct{}), make(chan struct{})
					d.web.RegisterOnShutdown(func() { close(drained) })
					h := p.counted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						row.handle(w, r, drained, func() { close(did) })
					}))
					socket := pipeListener{make(chan net.Conn), make(chan struct{})}
					operators := privateServer{socket, &http.Server{Handler: h}}
					go operators.server.Serve(socket)
					if private {
						ours, theirs := net.Pipe()
						socket.conns <- theirs
						d.left = append(d.left, ours)
						d.send(ours, "/")
					} else {
						d.web.Handler = h
						d.send(d.dial("192.0.2.1"), "/")
					}
					begun := time.Now()
					var log strings.Builder
					p.finish(d.web, []privateServer{operators}, slog.New(slog.NewTextHandler(&log, nil)))
					if took := time.Since(begun); took < row.took || took > row.took+time.Second/2 {
						t.Errorf("stopping took %s, want %s", took, row.took)
					}
					if cut := strings.Contains(log.String(), "were cut off"); cut != row.cutOff {
						t.Errorf("the log says that requests were cut off: %v, want %v", cut, row.cutOff)
					}
					select {
					case <-did:
					default:
						t.Error("stopping did not wait")
					}
					time.Sleep(time.Minute) // in the bubble's time
					synctest.Wait()
				})
			})
		}
	}
}
