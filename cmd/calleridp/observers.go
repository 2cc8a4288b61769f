// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/metrics"
	"calleridp/cmd/calleridp/serve"
	"calleridp/cmd/calleridp/tracing"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/truecaller"
)

// observer is everything that the parts of the program report to.
type observer interface {
	login.Observer
	truecaller.RequestObserver
	truecaller.CallbackObserver
	notify.Observer

	Step(ctx context.Context, s endpoint.Step, failed bool, took time.Duration)
	Committed(ctx context.Context, failed bool, took time.Duration)
	Request(ctx context.Context, method, route string, status int, took time.Duration)
}

// observers returns what the parts report to, and the tracer, nil if none is configured:
// then nothing is between them and the metrics.
func observers(s config.Settings, counting *metrics.Metrics, log *slog.Logger) (observer, *tracing.Tracer) {
	if s.Traces.Endpoint == nil {
		return counting, nil
	}
	version, _ := versions()
	tracer := tracing.New(tracing.Options{
		Endpoint: s.Traces.Endpoint,
		Header:   s.Traces.Header(),
		Roots:    s.Traces.Roots,
		Sample:   float64(s.Tracing.Sample),
		Version:  version,
		Issuer:   s.Issuer,
		Log:      log,
		Sent:     counting.Spans,
	})
	return both{counting, tracer}, tracer
}

// tracesAttempts returns the tracer as login knows it: nil for none.
func tracesAttempts(t *tracing.Tracer) login.Tracer {
	if t == nil {
		return nil
	}
	return t
}

// both counts, and traces.
type both struct {
	*metrics.Metrics // and what has no trace
	tracer           *tracing.Tracer
}

func (b both) Attempt(ctx context.Context, event string, a login.Attempt) {
	b.Metrics.Attempt(ctx, event, a)
	b.tracer.Attempt(ctx, event, a)
}

func (b both) Asked(ctx context.Context, p truecaller.Purpose, o truecaller.Outcome, took time.Duration) {
	b.Metrics.Asked(ctx, p, o, took)
	b.tracer.Asked(ctx, p, o, took)
}

func (b both) Callback(ctx context.Context, app string, o truecaller.CallbackOutcome, took time.Duration) {
	b.Metrics.Callback(ctx, app, o, took)
	b.tracer.Callback(ctx, app, o, took)
}

func (b both) Delivered(ctx context.Context, app string, failed bool, took time.Duration) {
	b.Metrics.Delivered(ctx, app, failed, took)
	b.tracer.Delivered(ctx, app, failed, took)
}

func (b both) Notified(ctx context.Context, k notify.Kind, o notify.Outcome, took time.Duration) {
	b.Metrics.Notified(ctx, k, o, took)
	b.tracer.Notified(ctx, k, o, took)
}

func (b both) Step(ctx context.Context, s endpoint.Step, failed bool, took time.Duration) {
	b.Metrics.Step(ctx, s, failed, took)
	b.tracer.Step(ctx, s, failed, took)
}

func (b both) Committed(ctx context.Context, failed bool, took time.Duration) {
	b.Metrics.Committed(ctx, failed, took)
	b.tracer.Committed(ctx, failed, took)
}

func (b both) Request(ctx context.Context, method, route string, status int, took time.Duration) {
	b.Metrics.Request(ctx, method, route, status, took)
	b.tracer.Request(ctx, serve.RequestID(ctx), method, route, status, took)
}
