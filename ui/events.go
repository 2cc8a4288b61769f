package ui

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"calleridp/provider"
	"calleridp/provider/login"
)

// The two ways in which a waiting page learns where its attempt stands. Both say
// the same: the state, and in whole seconds what is left of its time and when
// the same number may be asked again.

// status answers once.
func (h handlers) status(w http.ResponseWriter, r *http.Request) {
	id, err := attemptID(r)
	if err == nil {
		var view provider.AttemptView
		if view, err = h.flow.View(r.Context(), id, h.Cookies.Browser(r)); err == nil {
			plainHeaders(w, "application/json")
			w.Write(appendStatus(nil, view, time.Now())) // an error means that the browser has gone
			return
		}
	}
	h.refuse(w, r, err)
}

// writeTimeout is how long a browser may take to accept an event.
const writeTimeout = 10 * time.Second

// events answers now and at every change, until the attempt has ended. On a
// quiet stream it repeats itself, so that proxies keep the connection, both ends
// notice when it is lost, and a change whose hint got lost is seen.
//
// A waiting page costs this goroutine and its connection; nothing here keeps
// more than a few bytes between events.
func (h handlers) events(w http.ResponseWriter, r *http.Request) {
	id, err := attemptID(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	browser := h.Cookies.Browser(r)
	hints, leave := h.flow.Watch(id) // before the first look, so that no change is missed
	defer leave()
	view, err := h.flow.View(r.Context(), id, browser)
	if err != nil {
		h.refuse(w, r, err)
		return
	}

	plainHeaders(w, "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	stream := http.NewResponseController(w)
	// The server's own limits are for requests that end. ResponseController
	// reports where a deadline is not supported; there is none then either.
	stream.SetReadDeadline(time.Time{})
	defer stream.SetWriteDeadline(time.Time{})
	beat := time.NewTicker(h.beat)
	defer beat.Stop()
	for {
		stream.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(appendEvent(nil, view, time.Now())); err != nil {
			return
		}
		if err := stream.Flush(); err != nil {
			return
		}
		stream.SetWriteDeadline(time.Time{}) // in HTTP/2 it would end a quiet stream
		if view.State.Terminal() || view.State == login.Approved {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-h.draining:
			return
		case <-hints:
		case <-beat.C:
		}
		if view, err = h.flow.View(r.Context(), id, browser); err != nil {
			h.note(w, r, err)
			return // the page asks again
		}
	}
}

// appendEvent is one server-sent event. retry is how long the browser waits
// before it connects again, in milliseconds.
func appendEvent(b []byte, view provider.AttemptView, now time.Time) []byte {
	b = append(b, "retry: 2000\ndata: "...)
	b = appendStatus(b, view, now)
	return append(b, "\n\n"...)
}

func appendStatus(b []byte, view provider.AttemptView, now time.Time) []byte {
	b = append(b, `{"state":"`...)
	b = append(b, shown(view.State)...)
	b = append(b, `","seconds":`...)
	b = strconv.AppendInt(b, int64(seconds(now, view.Expires)), 10)
	b = append(b, `,"again":`...)
	b = strconv.AppendInt(b, int64(seconds(now, view.AgainAt)), 10)
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
	return int((left + time.Second - 1) / time.Second)
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
