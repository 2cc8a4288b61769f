// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/truecaller"
)

// Key is the name of an attribute. There are no others than these.
type Key string

// The keys. Values are from fixed lists, the configuration and our routes; the ID of an
// attempt, the client_id of a client that exists, and the ID of a request are as in the log.
const (
	KeyRequestMethod Key = "http.request.method" // one that we know, else _OTHER
	KeyRoute         Key = "http.route"          // as the router knows it, with {} for what differs
	KeyStatus        Key = "http.response.status_code"
	KeyRequestID     Key = "calleridp.request_id"
	KeyAttempt       Key = "calleridp.attempt"
	KeyMethod        Key = "calleridp.method" // push, onetap, native
	KeyApp           Key = "calleridp.app"
	KeyClient        Key = "calleridp.client"
	KeyState         Key = "calleridp.state"  // in which an attempt ended
	KeyReason        Key = "calleridp.reason" // why
	KeyOutcome       Key = "calleridp.outcome"
)

// Keys are all keys.
var Keys = []Key{
	KeyRequestMethod, KeyRoute, KeyStatus, KeyRequestID, KeyAttempt, KeyMethod, KeyApp, KeyClient, KeyState, KeyReason, KeyOutcome,
}

var (
	_ login.Tracer                = (*Tracer)(nil)
	_ truecaller.CallbackObserver = (*Tracer)(nil)
)

// Request records a request that has ended, under the context that Begin has made.
func (t *Tracer) Request(ctx context.Context, id, method, route string, status int, took time.Duration) {
	at := scopeOf(ctx)
	if at == nil || at.request == nil || !at.recorded {
		return
	}
	r := at.request
	if !slices.Contains(methods, method) {
		method = "_OTHER"
	}
	s := span{
		trace:  r.trace,
		id:     r.span,
		name:   method,
		kind:   kindServer,
		begun:  time.Now().Add(-took),
		took:   took,
		failed: status >= 500,
		links:  r.linked(),
		attributes: []attribute{
			{KeyRequestMethod, method},
			{KeyStatus, strconv.Itoa(status)},
			{KeyRequestID, id},
		},
	}
	if route != "" {
		s.name += " " + route
		s.attributes = append(s.attributes, attribute{KeyRoute, route})
	}
	t.requests.add(s)
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"}

// Step records a step of a request. The whole sign-in is no span of one: its attempt has
// one.
func (t *Tracer) Step(ctx context.Context, s endpoint.Step, failed bool, took time.Duration) {
	if s != endpoint.StepSignIn {
		t.step(ctx, span{name: string(s), took: took, failed: failed})
	}
}

// Attempt implements the same of login.Observer. An event is a span without a duration; the
// last one of an attempt is its root span, from its creation on.
func (t *Tracer) Attempt(ctx context.Context, event string, a login.Attempt) {
	about := []attribute{{KeyMethod, string(a.Method)}, {KeyApp, a.App}, {KeyClient, a.ClientID}}
	if a.Reason != login.NoReason {
		about = append(about, attribute{KeyReason, string(a.Reason)})
	}
	if at := scopeOf(ctx); at == nil || at.attempt != a.ID {
		switch event {
		case "attempt.limited", "attempt.unavailable": // there is no attempt
		default:
			ctx = t.InAttempt(ctx, a.ID)
		}
	}
	t.step(ctx, span{name: event}, about...)
	at := scopeOf(ctx)
	if at == nil || !at.recorded || at.attempt == "" || !a.State.Terminal() || !ends(event) {
		return
	}
	t.attempts.add(span{
		trace:  at.trace,
		id:     at.parent,
		name:   "attempt",
		begun:  a.Created,
		took:   a.Ended.Sub(a.Created),
		failed: a.State == login.Failed,
		attributes: append(slices.Clone(about),
			attribute{KeyAttempt, string(a.ID)}, attribute{KeyState, string(a.State)}),
	})
}

// ends reports whether an attempt has no further event.
func ends(event string) bool {
	switch strings.TrimPrefix(event, "attempt.") {
	case "done", "rejected", "failed", "expired":
		return true
	}
	return false
}

// Asked implements the same of truecaller.RequestObserver.
func (t *Tracer) Asked(ctx context.Context, p truecaller.Purpose, o truecaller.Outcome, took time.Duration) {
	t.step(ctx, span{name: "truecaller." + string(p), kind: kindClient, took: took, failed: o != truecaller.OutcomeOK},
		attribute{KeyOutcome, string(o)})
}

// Callback implements truecaller.CallbackObserver. One for which no attempt waits is in
// the trace of its request.
func (t *Tracer) Callback(ctx context.Context, app string, o truecaller.CallbackOutcome, took time.Duration) {
	t.step(ctx, span{name: "callback", took: took, failed: o == truecaller.CallbackNotKept},
		attribute{KeyApp, app}, attribute{KeyOutcome, string(o)})
}

// Delivered implements truecaller.CallbackObserver.
func (t *Tracer) Delivered(ctx context.Context, app string, failed bool, took time.Duration) {
	t.step(ctx, span{name: "inbox.delivery", took: took, failed: failed}, attribute{KeyApp, app})
}

// Committed records a durable change of the store.
func (t *Tracer) Committed(ctx context.Context, failed bool, took time.Duration) {
	t.step(ctx, span{name: "store.commit", took: took, failed: failed})
}

// Notified implements notify.Observer. What clients are told belongs to no request: each
// try is a trace.
func (t *Tracer) Notified(_ context.Context, k notify.Kind, o notify.Outcome, took time.Duration) {
	s := span{
		trace:      newTraceID(),
		id:         newSpanID(),
		name:       "notice." + string(k),
		kind:       kindClient,
		begun:      time.Now().Add(-took),
		took:       took,
		failed:     o != notify.Delivered,
		attributes: []attribute{{KeyOutcome, string(o)}},
	}
	if t.records(s.trace) {
		t.requests.add(s)
	}
}
