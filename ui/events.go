package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"calleridp/provider/authorize"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
)

// The two ways in which a waiting page learns where its attempt stands. Both say
// the same: the state, and in whole seconds what is left of its time and when
// the same number may be asked again.

// status answers once.
func (h handlers) status(w http.ResponseWriter, r *http.Request) {
	id, err := attemptID(r)
	if err == nil {
		var view authorize.AttemptView
		if view, err = h.flow.View(r.Context(), id, h.Cookies.Browser(r)); err == nil {
			plainHeaders(w, "application/json")
			w.Write(appendStatus(nil, view, time.Now())) // an error means that the browser has gone
			return
		}
	}
	h.refuse(w, r, err)
}

// events answers now and at every change, until the attempt has ended. On a
// quiet stream it repeats itself, so that proxies keep the connection, both ends
// notice when it is lost, and a change whose hint got lost is seen.
//
// It also names the other attempts of the same browser that change: a browser has
// six connections to a server over HTTP/1.1, so that one page listens for all.
//
// Ten thousand pages may wait. Over HTTP/1.1 each costs a small goroutine and a
// socket: the handler takes the connection over and returns, which frees what
// the server keeps for a request, four times as much. HTTP/2 has no connection
// to take; there the handler stays.
func (h handlers) events(w http.ResponseWriter, r *http.Request) {
	id, err := attemptID(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	f := &follower{handlers: h, id: id, browser: h.Cookies.Browser(r)}
	f.watcher = h.flow.Watch(id, f.browser) // before the first look, so that no change is missed
	view, err := h.flow.View(r.Context(), id, f.browser)
	if err != nil {
		f.watcher.End()
		h.refuse(w, r, err)
		return
	}

	plainHeaders(w, "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	control := http.NewResponseController(w)
	if conn, _, err := control.Hijack(); err == nil {
		head := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
		w.Header().Set("Connection", "close") // the end of the stream is the end of the connection
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Write(head) // a bytes.Buffer takes everything
		head.WriteString("\r\n")
		f.overConn(conn, appendEvent(head.Bytes(), view, time.Now()), last(view))
		return
	}
	f.overResponse(w, r, control, view)
}

// follower is one stream of events.
type follower struct {
	handlers
	id      login.ID
	browser string
	watcher login.Watcher
}

// overConn writes to a connection of its own: the first event at once, the others
// from a goroutine of its own. It notices that the browser has gone when it
// writes the next event but one.
func (f *follower) overConn(conn net.Conn, first []byte, last bool) {
	send := func(b []byte) error {
		if err := conn.SetWriteDeadline(time.Now().Add(f.patience)); err != nil {
			return err
		}
		_, err := conn.Write(b)
		return err
	}
	end := func() { f.watcher.End(); conn.Close() }
	if err := send(first); err != nil || last {
		end()
		return
	}
	go func() {
		defer end()
		f.follow(context.Background(), send)
	}()
}

// overResponse writes to a response of the server's. The server's own limits are
// for requests that end; where they cannot be changed, there are none.
func (f *follower) overResponse(w http.ResponseWriter, r *http.Request, control *http.ResponseController, view authorize.AttemptView) {
	defer f.watcher.End()
	send := func(b []byte) error {
		control.SetWriteDeadline(time.Now().Add(f.patience))
		defer control.SetWriteDeadline(time.Time{}) // in HTTP/2 it would end a quiet stream
		if _, err := w.Write(b); err != nil {
			return err
		}
		return control.Flush()
	}
	if err := send(appendEvent(nil, view, time.Now())); err != nil || last(view) {
		return
	}
	f.follow(r.Context(), send)
}

// follow sends an event at every change and every beat, until the attempt has
// ended, the browser has gone or the server is about to. Whatever ends it, the
// page asks again.
func (f *follower) follow(ctx context.Context, send func([]byte) error) {
	beat := time.NewTicker(f.beat)
	defer beat.Stop()
	told := make(chan bool)
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.draining:
			return
		case <-f.watcher.Hints:
		case <-beat.C:
		}
		// To look and to write goes deep, into the store, ciphers and the network. A
		// goroutine that did it itself would keep a stack of that depth while it
		// waits, and most of what a waiting page costs would be that.
		f.tellers <- struct{}{}
		go func() { told <- f.tell(ctx, send) }()
		if more := <-told; !more {
			return
		}
	}
}

// tell sends an event, and says whether there will be more. No server is above it
// that would catch a panic.
func (f *follower) tell(ctx context.Context, send func([]byte) error) (more bool) {
	defer func() {
		if p := recover(); p != nil {
			f.Log.ErrorContext(ctx, "panic", "panic", p, "stack", string(debug.Stack()))
			more = false
		}
	}()
	view, err := f.look(ctx)
	if err != nil {
		if kindOf(err) == endpoint.ErrorInternal && ctx.Err() == nil {
			f.Log.ErrorContext(ctx, "a waiting page cannot be told", "error", err)
		}
		return false
	}
	var b []byte
	for _, id := range f.watcher.Others() {
		b = append(b, "event: other\ndata: "...)
		b = append(b, id...)
		b = append(b, "\n\n"...)
	}
	return send(appendEvent(b, view, time.Now())) == nil && !last(view)
}

// look gives the teller's place back before anything is written: a browser that
// takes nothing keeps nobody else from being told.
func (f *follower) look(ctx context.Context) (authorize.AttemptView, error) {
	defer func() { <-f.tellers }()
	return f.flow.View(ctx, f.id, f.browser)
}

// maxTellers is how many pages look at a time.
const maxTellers = 128

// last says that a page that has seen view needs no more events.
func last(view authorize.AttemptView) bool {
	return view.State.Terminal() || view.State == login.Approved
}

// appendEvent is one server-sent event. retry is how long the browser waits
// before it connects again, in milliseconds.
func appendEvent(b []byte, view authorize.AttemptView, now time.Time) []byte {
	b = append(b, "retry: 2000\ndata: "...)
	b = appendStatus(b, view, now)
	return append(b, "\n\n"...)
}

func appendStatus(b []byte, view authorize.AttemptView, now time.Time) []byte {
	b = append(b, `{"state":"`...)
	b = append(b, shown(view.State)...)
	b = append(b, `","seconds":`...)
	b = strconv.AppendInt(b, int64(seconds(now, view.Expires)), 10)
	b = append(b, `,"again":`...)
	b = strconv.AppendInt(b, int64(seconds(now, view.AgainAt)), 10)
	if view.Opened {
		b = append(b, `,"opened":true`...)
	}
	if view.State.Terminal() && view.State != login.Done {
		b = append(b, `,"outcome":"`...)
		b = append(b, outcome(view)...)
		b = append(b, '"')
	}
	return append(b, '}')
}

// shown is the state as a page may know it: from the number's submission to the
// approval it waits, and how far Truecaller has got is nobody's business
// (invariant 7).
func shown(s login.State) login.State {
	switch s {
	case login.Created, login.Pushing, login.TokenReceived:
		return login.Waiting
	}
	return s
}

// seconds is what is left until then, rounded up, never negative.
func seconds(now, then time.Time) int {
	left := then.Sub(now)
	if left <= 0 {
		return 0
	}
	return int((left-1)/time.Second) + 1
}

// refuse is answer for a request that a script made.
func (u *UI) refuse(w http.ResponseWriter, r *http.Request, err error) {
	kind := u.note(w, r, err)
	plainHeaders(w, "application/json")
	w.WriteHeader(statuses[kind])
	json.NewEncoder(w).Encode(map[string]string{"error": string(kind)})
}

func plainHeaders(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
