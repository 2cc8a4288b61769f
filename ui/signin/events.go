// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/ui/page"
)

// A waiting page learns the state of its attempt in two ways, which both send the JSON
// of page.AppendStatus.

// status responds once.
func (m mounted) status(w http.ResponseWriter, r *http.Request) {
	id, browser, err := m.attemptOf(r)
	if err == nil {
		var view authorize.AttemptView
		if view, err = m.flow.View(r.Context(), id, browser); err == nil {
			scriptHeaders(w, "application/json")
			w.Write(page.AppendStatus(nil, view, time.Now())) // an error means that the browser has gone
			return
		}
	}
	m.respondToScript(w, r, err)
}

// events sends the state now and at every change, until the attempt has ended. On a
// quiet stream it repeats the state, so that proxies keep the connection and both sides
// notice a lost connection. It does not read the attempt for that: ten thousand pages
// would ask a database 700 times a second for what has not changed.
//
// It also names the other attempts of the same browser that change. Over HTTP/1.1 a
// browser has six connections to a server, so that one page listens for all.
//
// Ten thousand pages may wait. Over HTTP/1.1 each costs a small goroutine and a socket:
// the handler takes the connection over and returns. That frees what the server keeps
// for a request, which is four times as much. An HTTP/2 stream has no connection to
// take over, so that the handler stays.
func (m mounted) events(w http.ResponseWriter, r *http.Request) {
	id, browser, err := m.attemptOf(r)
	if err != nil {
		m.respondToScript(w, r, err)
		return
	}
	s := &stream{mounted: m, id: id, browser: browser}
	s.watcher = m.flow.Watch(r.Context(), id, browser) // before Heard, so that no change is missed
	view, err := m.flow.Heard(r.Context(), id, browser)
	if err != nil {
		s.watcher.End()
		m.respondToScript(w, r, err)
		return
	}

	scriptHeaders(w, "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx buffers otherwise
	control := http.NewResponseController(w)
	if conn, _, err := control.Hijack(); err == nil {
		head := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
		w.Header().Set("Connection", "close") // the connection ends with the stream
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Write(head) // writing to a bytes.Buffer cannot fail
		head.WriteString("\r\n")
		s.told = toldOf(view)
		s.overConn(r.Context(), conn, appendEvent(head.Bytes(), view, time.Now()), last(view))
		return
	}
	s.overResponse(w, r, control, view)
}

// stream sends the events of one attempt to one page.
type stream struct {
	mounted
	id      login.ID
	browser login.BrowserSecret
	watcher login.Watcher
	told    told
}

// told is what of an attempt's view the last event was made of.
type told struct {
	state            login.State
	expires, againAt time.Time
	opened           bool
}

func toldOf(v authorize.AttemptView) told { return told{v.State, v.Expires, v.AgainAt, v.Opened} }

// view returns the view again, for another event.
func (t told) view() authorize.AttemptView {
	return authorize.AttemptView{State: t.state, Expires: t.expires, AgainAt: t.againAt, Opened: t.opened}
}

// overConn writes to a connection that the handler has taken over: the first event at
// once, the others from another goroutine. It notices that the browser has gone on the
// second write after the disconnect.
func (s *stream) overConn(ctx context.Context, conn net.Conn, first []byte, last bool) {
	send := func(b []byte) error {
		if err := conn.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err != nil {
			return err
		}
		_, err := conn.Write(b)
		return err
	}
	end := func() { s.watcher.End(); conn.Close() }
	if err := send(first); err != nil || last {
		end()
		return
	}
	go func() {
		defer end()
		s.follow(context.WithoutCancel(ctx), send) // the request has ended
	}()
}

// overResponse writes to the server's response. The server's own timeouts are meant for
// requests that end soon; if they cannot be changed, the server has none.
func (s *stream) overResponse(w http.ResponseWriter, r *http.Request, control *http.ResponseController, view authorize.AttemptView) {
	defer s.watcher.End()
	s.told = toldOf(view)
	send := func(b []byte) error {
		control.SetWriteDeadline(time.Now().Add(s.writeTimeout))
		defer control.SetWriteDeadline(time.Time{}) // in HTTP/2 a deadline ends a quiet stream
		if _, err := w.Write(b); err != nil {
			return err
		}
		return control.Flush()
	}
	if err := send(appendEvent(nil, view, time.Now())); err != nil || last(view) {
		return
	}
	s.follow(r.Context(), send)
}

// follow sends an event at every change and every heartbeat, until the attempt has
// ended, the browser has gone, the server drains or a newer page of the attempt or
// browser needs the place. The page reconnects after any of these.
func (s *stream) follow(ctx context.Context, send func([]byte) error) {
	heartbeat := time.NewTicker(s.heartbeat)
	defer heartbeat.Stop()
	sent := make(chan bool)
	for {
		look := s.flow.Heard
		select {
		case <-ctx.Done():
			return
		case <-s.draining:
			return
		case _, more := <-s.watcher.Hints:
			if !more { // this page polls until its next stream
				return
			}
		case <-heartbeat.C:
			if time.Now().Before(s.told.expires) {
				go func() { sent <- s.repeat(send) }() // see below
				if more := <-sent; !more {
					return
				}
				continue
			}
			look = s.flow.View // it has expired, which may not be stored yet
		}
		// Reading the attempt and writing the event need a deep stack, for the store, the
		// ciphers and the network. A goroutine that did both itself would keep that stack
		// while it waits, and the stack would be most of what a waiting page costs.
		s.lookups <- struct{}{}
		go func() { sent <- s.sendState(ctx, look, send) }()
		if more := <-sent; !more {
			return
		}
	}
}

// repeat sends the last event again, with the time that is left, and reports whether the
// page is still there.
func (s *stream) repeat(send func([]byte) error) (more bool) {
	return send(appendEvent(nil, s.told.view(), time.Now())) == nil
}

// sendState sends an event, and reports whether there will be more. It recovers from
// panics, because no server above it does.
func (s *stream) sendState(ctx context.Context, look looking, send func([]byte) error) (more bool) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Log.ErrorContext(ctx, "panic", "panic", p, "stack", string(debug.Stack()))
			more = false
		}
	}()
	view, err := s.lookup(ctx, look)
	if err != nil {
		if kindOf(err) == endpoint.ErrorInternal && ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "a waiting page could not be notified", "error", err)
		}
		return false
	}
	var b []byte
	for _, id := range s.watcher.Others() {
		b = append(b, "event: other\ndata: "...)
		b = append(b, id...)
		b = append(b, "\n\n"...)
	}
	s.told = toldOf(view)
	return send(appendEvent(b, view, time.Now())) == nil && !last(view)
}

// lookup reads the attempt. It makes room for another lookup before anything is
// written, so that a browser that reads nothing does not delay the others.
func (s *stream) lookup(ctx context.Context, look looking) (authorize.AttemptView, error) {
	defer func() { <-s.lookups }()
	return look(ctx, s.id, s.browser)
}

// looking is Flow.Heard or Flow.View.
type looking func(ctx context.Context, id login.ID, browser login.BrowserSecret) (authorize.AttemptView, error)

// maxLookups limits how many streams read their attempts at a time.
const maxLookups = 128

// last reports whether a page that has seen view needs no more events.
func last(view authorize.AttemptView) bool {
	return view.State.Terminal() || view.State == login.Approved
}

// appendEvent appends one server-sent event. retry is the time until the browser
// reconnects, in milliseconds.
func appendEvent(b []byte, view authorize.AttemptView, now time.Time) []byte {
	b = append(b, "retry: 2000\ndata: "...)
	b = page.AppendStatus(b, view, now)
	return append(b, "\n\n"...)
}
