// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/login"
)

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(1500 * time.Millisecond) // in the bubble's time
		w.flow.view.AgainAt = time.Now().Add(-time.Second)
		answer := w.get(ourPath + "/status")
		if got := answer.Body.String(); got != `{"state":"waiting","seconds":299,"again":0}` {
			t.Error(got)
		}
		if h := answer.Header(); h.Get("Content-Type") != "application/json" || !strings.Contains(h.Get("Cache-Control"), "no-store") {
			t.Errorf("got the headers %v, want JSON that is not stored", h)
		}
	})
}

// recorder is a ResponseWriter whose events can be read while the handler runs.
type recorder struct {
	header http.Header
	mu     sync.Mutex
	all    []string

	deadline, until time.Time // now, and at the last write
}

func (s *recorder) SetWriteDeadline(t time.Time) error { s.deadline = t; return nil }

func (s *recorder) Header() http.Header { return s.header }
func (s *recorder) WriteHeader(int)     {}
func (s *recorder) Flush()              {}
func (s *recorder) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.until = append(s.all, string(b)), s.deadline
	return len(b), nil
}

func (s *recorder) events() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.all...)
}

// watch opens the stream and returns it, and a channel that closes when the
// handler returns.
func (w *world) watch(ctx context.Context) (*recorder, chan struct{}) {
	s, ended := &recorder{header: http.Header{}}, make(chan struct{})
	go func() {
		defer close(ended)
		w.ServeHTTP(s, ours("GET", ourPath+"/events", nil).WithContext(ctx))
	}()
	return s, ended
}

func over(ended chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

func TestEventsSayTheStateAtOnceAndAtEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s, ended := w.watch(t.Context())
		synctest.Wait()
		if got := s.events(); len(got) != 1 || got[0] != "retry: 2000\ndata: {\"state\":\"waiting\",\"seconds\":300,\"again\":300}\n\n" {
			t.Fatalf("got %q at first, want the state", got)
		}
		if s.header.Get("Content-Type") != "text/event-stream" || s.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("got the headers %v, want an unbuffered stream", s.header)
		}
		if left := time.Until(s.until); left != 10*time.Second || !s.deadline.IsZero() {
			t.Errorf("got %s for the event and %v afterwards, want 10s and no deadline", left, s.deadline)
		}
		w.flow.move(login.Approved, "")
		synctest.Wait()
		if got := s.events(); len(got) != 2 || !strings.Contains(got[1], `"state":"approved"`) || !over(ended) {
			t.Fatalf("got %q after the approval, ended %v, want the state and the end", got, over(ended))
		}
		if w.flow.watching() != 0 {
			t.Errorf("got %d watchers, want 0", w.flow.watching())
		}
	})
}

// One page listens for all pages of its browser: it learns which other attempts have
// changed, and no more about them.
func TestEventsNameTheOtherAttemptsThatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		s, ended := w.watch(ctx)
		synctest.Wait()
		w.flow.mu.Lock()
		w.flow.others = []login.ID{"BBBBBBBBBBBBBBBBBBBBBB", "CCCCCCCCCCCCCCCCCCCCCC"}
		w.flow.mu.Unlock()
		w.flow.move(login.Waiting, "") // which hints
		synctest.Wait()
		const want = "event: other\ndata: BBBBBBBBBBBBBBBBBBBBBB\n\nevent: other\ndata: CCCCCCCCCCCCCCCCCCCCCC\n\nretry: 2000\ndata: {\"state\":\"waiting\","
		if got := s.events(); len(got) != 2 || !strings.HasPrefix(got[1], want) || over(ended) {
			t.Errorf("got %q, ended %v, want both ids and no end", got, over(ended))
		}
		cancel()
		<-ended
	})
}

func TestEventsEndWithTheAttempt(t *testing.T) {
	for _, state := range []login.State{login.Approved, login.Done, login.Rejected, login.Expired, login.Failed} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.flow.move(state, "")
			s, ended := w.watch(t.Context())
			synctest.Wait()
			if !over(ended) || !strings.Contains(s.events()[0], string(state)) {
				t.Errorf("%s: got %q, ended %v, want the state and the end", state, s.events(), over(ended))
			}
		})
	}
}

func TestEventsAreRepeatedOnAQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, gone := context.WithCancel(t.Context())
		s, ended := w.watch(ctx)
		time.Sleep(46 * time.Second)
		if got := s.events(); len(got) != 4 || !strings.Contains(got[3], `"state":"waiting"`) {
			t.Errorf("%d events in 46 s, want 4, the last of them %q", len(got), got)
		}
		w.flow.mu.Lock()
		read := w.flow.views
		w.flow.mu.Unlock()
		if read != 1 {
			t.Errorf("the attempt was read %d times while nothing happened, want once", read)
		}
		gone()
		synctest.Wait()
		if !over(ended) || w.flow.watching() != 0 {
			t.Error("got a handler that outlives its browser, want it ended")
		}
	})
}

func TestDrainEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, ended := w.watch(t.Context())
		synctest.Wait()
		w.handlers.Drain()
		w.handlers.Drain()
		synctest.Wait()
		if !over(ended) {
			t.Error("got a stream that goes on, want it ended")
		}
	})
}

// kept is a response whose connection cannot be taken over.
type kept struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (k kept) FlushError() error                  { return k.control.Flush() }
func (k kept) SetReadDeadline(t time.Time) error  { return k.control.SetReadDeadline(t) }
func (k kept) SetWriteDeadline(t time.Time) error { return k.control.SetWriteDeadline(t) }

// openStream opens the stream of the attempt over a connection.
func openStream(ctx context.Context, t *testing.T, server *httptest.Server) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+ourPath+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-calleridp_browser", Value: ourBrowser})
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// pipes are a listener whose connections stay in memory, and so in a bubble's time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() pipes {
	closed := make(chan struct{})
	return pipes{make(chan net.Conn), closed, sync.OnceFunc(func() { close(closed) })}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { p.close(); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

// Over each version of HTTP, a stream outlives the limits that a server sets for
// ordinary requests, and ends with the attempt.
func TestEventsOverEachVersion(t *testing.T) {
	for _, row := range []struct {
		version int
		kept    bool
	}{{1, false}, {1, true}, {2, false}} {
		t.Run(fmt.Sprintf("HTTP/%d, kept %v", row.version, row.kept), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				version := row.version
				w := newWorld(t)
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
					if row.kept {
						out = kept{out, http.NewResponseController(out)}
					}
					w.ServeHTTP(out, r)
				}))
				server.Config.ReadTimeout, server.Config.WriteTimeout = 20*time.Second, 30*time.Second
				server.EnableHTTP2 = version == 2
				server.Listener.Close()
				within := newPipes()
				server.Listener = within
				server.StartTLS()
				defer server.Close()
				transport := server.Client().Transport.(*http.Transport)
				transport.DialContext = within.dial
				defer transport.CloseIdleConnections()

				answer := openStream(t.Context(), t, server)
				defer answer.Body.Close()
				if answer.ProtoMajor != version || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" ||
					answer.Header.Get("X-Request-Id") != "correlation-1" || answer.Header.Get("Date") == "" {
					t.Errorf("got %s %d %v, want a stream over HTTP/%d", answer.Proto, answer.StatusCode, answer.Header, version)
				}
				events, n := bufio.NewScanner(answer.Body), 0
				for events.Scan() {
					if !strings.HasPrefix(events.Text(), "data:") {
						continue
					}
					if n++; n == 4 {
						w.flow.move(login.Approved, "")
					}
					if strings.Contains(events.Text(), "approved") && n < 4 {
						t.Errorf("got approved after %d events, want it after 4", n)
					}
				}
				if n < 5 || events.Err() != nil {
					t.Errorf("got %d events and %v, want at least 5 and no error", n, events.Err())
				}
			})
		})
	}
}

// A connection that the handler took over ends when the server drains and when the
// browser disconnects.
func TestTakenConnectionsEnd(t *testing.T) {
	w := newWorld(t)
	w.handlers.heartbeat = 10 * time.Millisecond
	server := httptest.NewServer(w)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	openStream(ctx, t, server).Body.Close()
	for w.flow.watching() > 0 {
		select {
		case <-ctx.Done():
			t.Fatal("got a watcher of a page that has gone, want it ended")
		case <-time.After(time.Millisecond):
		}
	}
	answer := openStream(ctx, t, server)
	defer answer.Body.Close()
	w.handlers.Drain()
	if _, err := io.ReadAll(answer.Body); err != nil {
		t.Errorf("a drained stream: got %v, want nil", err)
	}
}

// senderLog is a handler that notes the network of each line's request.
type senderLog struct {
	slog.Handler
	lines chan string
}

func (l senderLog) Handle(ctx context.Context, r slog.Record) error {
	l.lines <- fmt.Sprint(r.Message, " ", ctx.Value(senderKey{}), " ", ctx.Err())
	return nil
}

type senderKey struct{}

// What goes wrong on a connection that the handler took over is logged as its request's,
// which has ended.
func TestTakenConnectionsLogTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := make(chan string, 1)
		w := newWorld(t)
		w.handlers.cfg.Log = slog.New(senderLog{slog.NewTextHandler(io.Discard, nil), lines})
		within := newPipes()
		server := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			w.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), senderKey{}, "192.0.2.7")))
		})}
		go server.Serve(within)
		defer server.Close()
		conn, err := within.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go io.Copy(io.Discard, conn)
		r := ours("GET", ourPath+"/events", nil)
		if err := r.Write(conn); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.flow.mu.Lock()
		w.flow.failure = errors.New("the store is broken")
		w.flow.mu.Unlock()
		w.flow.move(login.Waiting, "") // which hints
		if got, want := <-lines, "a waiting page could not be notified 192.0.2.7 <nil>"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// stream returns a stream of the attempt over a flow.
func (w *world) stream(flow Flow, watcher login.Watcher) *stream {
	return &stream{
		mounted: mounted{Handlers: w.handlers, flow: flow},
		id:      ourID,
		browser: ourBrowser,
		watcher: watcher,
	}
}

// hinted returns a watcher with one hint.
func hinted() login.Watcher {
	hints := make(chan struct{}, 1)
	hints <- struct{}{}
	return login.Watcher{Hints: hints, Others: func() []login.ID { return nil }}
}

// A connection to a browser that reads nothing is closed.
func TestATakenConnectionThatIsStuckEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ours, theirs := net.Pipe() // no reader
		defer theirs.Close()
		left := false
		f := w.stream(w.flow, login.Watcher{End: func() { left = true }})
		started := time.Now()
		f.overConn(t.Context(), ours, []byte("data: x\n\n"), false)
		if took := time.Since(started); took != 10*time.Second || !left {
			t.Errorf("got the end after %s, the watcher ended %v, want 10s and true", took, left)
		}
	})
}

// Browsers that read nothing, which HTTP/2 lets them do without an end, do not delay
// the events of others.
func TestBrowsersThatTakeNothingHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ended sync.WaitGroup
		defer ended.Wait()
		follow := func(send func([]byte) error) {
			f := w.stream(w.flow, hinted())
			ended.Go(func() { f.follow(t.Context(), send) })
		}
		for range 2 * maxLookups {
			follow(func([]byte) error { time.Sleep(w.handlers.writeTimeout); return net.ErrClosed })
		}
		synctest.Wait()
		begun, told := time.Now(), make(chan time.Duration, 1)
		follow(func([]byte) error { told <- time.Since(begun); return net.ErrClosed })
		if took := <-told; took != 0 {
			t.Errorf("got the event after %s, want it at once", took)
		}
	})
}

// oddFlow is a flow whose Heard does something before it reads the attempt.
type oddFlow struct {
	*fakeFlow
	odd func()
}

func (f oddFlow) Heard(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error) {
	f.odd()
	return f.fakeFlow.Heard(ctx, id, browser)
}

// A panic while an event is sent ends its stream and nothing else.
func TestAPanicEndsOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f := w.stream(oddFlow{w.flow, func() { panic("no view") }}, hinted())
		f.follow(t.Context(), func([]byte) error { t.Error("got an event, want none"); return nil })
		if len(w.handlers.lookups) != 0 {
			t.Errorf("got %d lookups, want 0", len(w.handlers.lookups))
		}
	})
}

//go:noinline
func deep(n int) byte {
	var frame [512]byte
	if n > 0 {
		frame[n%512] = deep(n - 1)
	}
	return frame[n/2%512]
}

// A waiting page does not keep the stack that a lookup needs.
func TestAWaitingPageKeepsASmallStack(t *testing.T) {
	w := newWorld(t)
	const pages = 500
	var told sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	stacks := func() uint64 {
		runtime.GC() // which also shrinks stacks
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse
	}
	before := stacks()
	var ended sync.WaitGroup
	for range pages {
		told.Add(1)
		f := w.stream(oddFlow{w.flow, func() { deep(30) }}, hinted())
		ended.Go(func() { f.follow(ctx, func([]byte) error { told.Done(); return nil }) })
	}
	told.Wait()
	for len(w.handlers.lookups) > 0 {
		runtime.Gosched()
	}
	if each := (stacks() - before) / pages; each > 5000 {
		t.Errorf("got %d bytes of stack for each waiting page, want at most 5000", each)
	}
	cancel()
	ended.Wait()
}

// A stream whose place a newer page takes ends at once, and leaves nothing behind.
func TestAReplacedStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s, ended := w.watch(t.Context())
		synctest.Wait()
		w.flow.mu.Lock()
		for hints := range w.flow.watchers {
			close(hints)
		}
		w.flow.mu.Unlock()
		begun := time.Now()
		<-ended
		if len(s.events()) != 1 || time.Since(begun) != 0 || w.flow.watching() != 0 {
			t.Errorf("got %d events, ended after %s, %d watchers; want the first, at once and none", len(s.events()), time.Since(begun), w.flow.watching())
		}
	})
}
