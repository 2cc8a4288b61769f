// SPDX-License-Identifier: Apache-2.0

// Package tracing records OpenTelemetry traces of requests and of sign-in attempts, and
// sends them to a collector (OTLP over HTTP).
//
//	tracing.go   traces, what belongs to them, and which are recorded
//	observe.go   what other packages report, as spans
//	queue.go     spans that wait to be sent, and those that found no room
//	send.go      the way to the collector
//	otlp.go      spans as OTLP
//
// There are two kinds of traces. That of an attempt has the ID of the attempt, in
// hexadecimal, and a root span whose ID follows from it. So every server finds the trace
// from the attempt alone, after a restart too, and nothing is stored for it. That of a
// request has a random ID. They are linked where a request works on an attempt.
//
// Other packages report to small observers of their own, as for package metrics: none
// knows a trace. Attributes come from a list (Key). A span never has a phone number, a
// network, a path, a query, or other text of a request (invariant 10). The trace context
// that a caller sends (W3C traceparent) is not read, and none is sent to others.
package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"calleridp/provider/login"
)

// Options are the settings of a Tracer. Endpoint and Log are required.
type Options struct {
	Endpoint *url.URL          // of the collector, with its path
	Header   http.Header       // of each request to it; may have secrets
	Sample   float64           // share of the traces that are recorded, from 0 to 1
	Version  string            // of the program
	Issuer   string            // names the deployment
	Log      *slog.Logger      // receives a line when the collector fails and when it works again
	Roots    *x509.CertPool    // of the collector's certificate; nil: the system's
	Sent     func(string, int) // counts spans by outcome: sent, failed, dropped; may be nil
}

// Tracer records spans. It is safe for concurrent use. Recording never waits.
type Tracer struct {
	bound    uint64 // traces below it are recorded
	attempts *queue // of spans of attempts, which budgets bound
	requests *queue // of all others, of which strangers can cause any number
	sender   *sender
}

// New returns a Tracer, which sends nothing before Run.
func New(o Options) *Tracer {
	t := &Tracer{bound: uint64(math.Ceil(o.Sample * (1 << 63)))}
	full := make(chan struct{}, 1)
	t.attempts, t.requests = newQueue(full), newQueue(full)
	t.sender = newSender(o, full, t.attempts, t.requests)
	return t
}

// Run sends what is recorded until ctx is done, and then what is left, for a moment.
func (t *Tracer) Run(ctx context.Context) { t.sender.run(ctx) }

type (
	traceID [16]byte
	spanID  [8]byte
)

// scope is where what happens under a context belongs.
type scope struct {
	trace    traceID
	parent   spanID
	recorded bool
	attempt  login.ID // "" for a request
	request  *request // in which it happens; nil for none
}

// request is what a request's span has when it ends.
type request struct {
	trace    traceID
	span     spanID
	recorded bool

	mu    sync.Mutex
	links []link // to attempts
}

// mostLinks bounds the links of a span.
const mostLinks = 8

func (r *request) link(l link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.links, l) {
		return
	}
	if len(r.links) < mostLinks {
		r.links = append(r.links, l)
	}
}

func (r *request) linked() []link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links
}

type scopeKey struct{}

func scopeOf(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// ID returns the ID of the trace to which ctx belongs, "" if none is recorded.
func ID(ctx context.Context) string {
	if s := scopeOf(ctx); s != nil && s.recorded {
		return hex.EncodeToString(s.trace[:])
	}
	return ""
}

// Begin returns ctx for a request. What the caller sent of a trace has no part in it:
// anyone could choose what is recorded, and under which ID.
func (t *Tracer) Begin(ctx context.Context) context.Context {
	r := &request{trace: newTraceID(), span: newSpanID()}
	r.recorded = t.records(r.trace)
	return context.WithValue(ctx, scopeKey{}, &scope{trace: r.trace, parent: r.span, recorded: r.recorded, request: r})
}

// InAttempt implements login.Tracer.
func (t *Tracer) InAttempt(ctx context.Context, id login.ID) context.Context {
	before := scopeOf(ctx)
	if before != nil && before.attempt == id {
		return ctx
	}
	s := &scope{attempt: id}
	s.trace, s.parent = ofAttempt(id)
	s.recorded = t.records(s.trace)
	if before != nil && before.request != nil {
		s.request = before.request
		if s.recorded && s.request.recorded {
			s.request.link(link{s.trace, s.parent})
		}
	}
	return context.WithValue(ctx, scopeKey{}, s)
}

// ofAttempt returns the trace of an attempt and its root span. An ID of an attempt is 16
// random bytes in base64url; of anything else, the hash stands for it.
func ofAttempt(id login.ID) (traceID, spanID) {
	hash := sha256.Sum256([]byte("trace of attempt " + id))
	trace, span := traceID(hash[:16]), spanID(hash[16:24])
	if raw, err := base64.RawURLEncoding.DecodeString(string(id)); err == nil && len(raw) == len(trace) && traceID(raw) != (traceID{}) {
		trace = traceID(raw)
	}
	return trace, span
}

// records reports whether a trace is recorded. Its ID alone decides, as in OpenTelemetry's
// TraceIDRatioBased, so that all servers with the same share record the same attempts.
func (t *Tracer) records(id traceID) bool {
	return binary.BigEndian.Uint64(id[8:])>>1 < t.bound
}

func newTraceID() (id traceID) {
	rand.Read(id[:])
	return id
}

func newSpanID() (id spanID) {
	rand.Read(id[:])
	return id
}

// span is a step that has ended.
type span struct {
	trace      traceID
	id, parent spanID
	name       string
	kind       kind
	begun      time.Time
	took       time.Duration
	failed     bool
	attributes []attribute
	links      []link
}

type link struct {
	trace traceID
	span  spanID
}

type attribute struct {
	key   Key
	value string
}

// step records a step that has just ended under ctx, unless it belongs to no trace that
// is recorded.
func (t *Tracer) step(ctx context.Context, s span, attributes ...attribute) {
	at := scopeOf(ctx)
	if at == nil || !at.recorded {
		return
	}
	s.trace, s.parent, s.id = at.trace, at.parent, newSpanID()
	s.begun = time.Now().Add(-s.took)
	s.attributes = attributes
	if at.attempt == "" {
		t.requests.add(s)
		return
	}
	s.attributes = append(s.attributes, attribute{KeyAttempt, string(at.attempt)})
	if at.request != nil && at.request.recorded {
		s.links = []link{{at.request.trace, at.request.span}}
	}
	t.attempts.add(s)
}
