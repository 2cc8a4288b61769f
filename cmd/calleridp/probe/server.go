// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"calleridp/keys"
	"calleridp/provider/endpoint"
	"calleridp/truecaller"
)

const (
	// StreamFor is how long a stream of events lasts unless its reader goes away. A
	// proxy that buffers passes nothing on before.
	StreamFor = 4 * time.Second
	// secondAfter is the pause before the second event.
	secondAfter = 200 * time.Millisecond
	// streams is how many there are at once, so that a copied probe holds few connections.
	streams = 4
)

// Server recognises probes. All fields are required.
type Server struct {
	master *keys.Master
	secure bool
	from   Addresses
	places chan struct{} // one for each stream
}

// Addresses finds the sender of a request. serve.ClientAddresses does.
type Addresses interface {
	Of(*http.Request) netip.Addr
	FromProxy(*http.Request) bool // whether a trusted proxy sent it
}

// NewServer returns a Server. secure says that the issuer is an https URL.
func NewServer(master *keys.Master, from Addresses, secure bool) *Server {
	return &Server{master: master, from: from, secure: secure, places: make(chan struct{}, streams)}
}

// Wrap returns next behind the server: a valid probe gets a report or a stream, and every
// other request goes to next.
func (s *Server) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch kind, text := asked(r); {
		case kind == "" || !opens(s.master, kind, text, time.Now()):
			next.ServeHTTP(w, r)
		case kind == Callback:
			s.report(w, r)
		default:
			s.stream(w, r)
		}
	})
}

// asked returns the kind of probe that a request can be, and the text in its place; "" for
// other requests.
func asked(r *http.Request) (kind Kind, text string) {
	if rest, ok := strings.CutPrefix(r.URL.Path, endpoint.PathCallback); ok && r.Method == http.MethodPost {
		_, text, _ := strings.Cut(rest, "/")
		return Callback, text
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, endpoint.PathAttempt); ok && r.Method == http.MethodGet {
		if text, events := strings.CutSuffix(rest, "/events"); events {
			return Events, text
		}
	}
	return "", ""
}

// CookieValue is the value of the cookie, which must come back whole.
const CookieValue = "kept-as-it-was-set"

func (s *Server) cookieName() string { return cookieName(s.secure) }

func cookieName(secure bool) string {
	if secure {
		return "__Host-" + CookieName
	}
	return CookieName
}

// Cookie returns the cookie that a report comes with.
func Cookie(secure bool) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(secure), Value: CookieValue, Path: "/", MaxAge: 60,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	body, _ := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, truecaller.MaxCallback)) // what arrived counts
	report := Report{
		Time:      time.Now(),
		Peer:      r.RemoteAddr,
		Trusted:   s.from.FromProxy(r),
		Client:    s.from.Of(r).String(),
		Forwarded: r.Header.Values("X-Forwarded-For"),
		Host:      r.Host,
		Proto:     r.Proto,
		Method:    r.Method,
		Body:      body,
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		report.Peer = host
	}
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		report.Cookie = cookie.Value
	}
	http.SetCookie(w, Cookie(s.secure))
	w.Header().Set("Content-Type", "text/html; charset=utf-8") // what proxies compress first
	w.Header().Set("Cache-Control", "no-store")
	w.Write(page(s.master, report))
}

// The events of a stream.
const (
	eventFirst  = "data: first\n\n"
	eventSecond = "data: second\n\n"
)

// stream sends two events with a pause between them, and then waits for its reader to go
// away. It writes to the connection as live events do (ui/signin): with the same headers,
// and over HTTP/1.1 without the server in between.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		http.Error(w, "too many probes at once", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	ends := time.Now().Add(StreamFor)
	control := http.NewResponseController(w)
	conn, _, err := control.Hijack()
	if err != nil { // HTTP/2
		for _, event := range []string{eventFirst, eventSecond} {
			if _, err := io.WriteString(w, event); err != nil || control.Flush() != nil {
				return
			}
			time.Sleep(secondAfter)
		}
		select {
		case <-r.Context().Done():
		case <-time.After(time.Until(ends)):
		}
		return
	}
	defer conn.Close()
	conn.SetDeadline(ends.Add(time.Second))
	var head strings.Builder
	head.WriteString("HTTP/1.1 200 OK\r\n")
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Write(&head)
	if _, err := io.WriteString(conn, head.String()+"\r\n"+eventFirst); err != nil {
		return
	}
	time.Sleep(secondAfter)
	if _, err := io.WriteString(conn, eventSecond); err != nil {
		return
	}
	conn.SetReadDeadline(ends)
	conn.Read(make([]byte, 1)) // until the reader has gone, or the time is over
}
