// SPDX-License-Identifier: Apache-2.0

// Package metrics counts what other packages report through the observers that
// they declare, and serves it to Prometheus.
//
// Labels come from fixed lists, the configuration and our routes. They never hold
// a phone number, a token or other text of a request (invariant 10), so that an
// attacker cannot multiply time series either.
package metrics

import (
	"net/http"

	"calleridp/cmd/calleridp/tracing"
	"calleridp/provider/audit"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/truecaller"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics holds the counters. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	attempts           *prometheus.CounterVec
	approvalSeconds    *prometheus.HistogramVec
	partSeconds        *prometheus.HistogramVec
	signInSeconds      prometheus.Histogram
	stepSeconds        *prometheus.HistogramVec
	deliverySeconds    *prometheus.HistogramVec
	deliveriesFailed   *prometheus.CounterVec
	commitSeconds      prometheus.Histogram
	noticeSeconds      *prometheus.HistogramVec
	spans              *prometheus.CounterVec
	limited            *prometheus.CounterVec
	callbacks          *prometheus.CounterVec
	truecallerSeconds  *prometheus.HistogramVec
	truecallerHeldBack *prometheus.CounterVec
	events             *prometheus.CounterVec
	lines              *prometheus.CounterVec
	notices            *prometheus.CounterVec
	requests           *prometheus.CounterVec
	requestSeconds     *prometheus.HistogramVec
}

var (
	_ login.Observer              = (*Metrics)(nil)
	_ truecaller.RequestObserver  = (*Metrics)(nil)
	_ truecaller.CallbackObserver = (*Metrics)(nil)
	_ audit.Observer              = (*Metrics)(nil)
	_ notify.Observer             = (*Metrics)(nil)
)

// New returns metrics that are all at zero. version and goVersion are the versions
// of the program and of Go.
func New(version, goVersion string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.attempts = m.counter("calleridp_attempts_total",
		"Events of attempts: started, pushed, invoked, returned, approved, done, rejected, failed, expired, limited, unavailable, "+
			"callback_mismatch, number_changed_hands.",
		"event", "method", "app", "reason")
	m.approvalSeconds = m.histogram("calleridp_approval_seconds",
		"Time from the start of an attempt to its approval.",
		[]float64{1, 2.5, 5, 10, 20, 30, 60, 120, 300}, "method", "app")
	m.partSeconds = m.histogram("calleridp_attempt_part_seconds",
		"Parts of an approved attempt: phone (from its start to the callback with a token), profile (from the callback to the approval), "+
			"browser (from the approval to done: the page hears of it and goes on).",
		[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300}, "part", "method", "app")
	m.signInSeconds = m.single("calleridp_sign_in_seconds",
		"Time from the first sign-in page to the response to the client; to the second.",
		[]float64{2, 5, 10, 15, 20, 30, 45, 60, 120, 300, 600})
	m.stepSeconds = m.histogram("calleridp_step_seconds",
		"Time of steps within requests: authorize.decide (what a valid authorization request gets), token.issue (an ID token is made).",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}, "step")
	m.deliverySeconds = m.histogram("calleridp_inbox_delivery_seconds",
		"Time from the arrival of a callback that matches an attempt to the end of the work on it.",
		[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600}, "app")
	m.deliveriesFailed = m.counter("calleridp_inbox_failures_total",
		"Tries of that work which failed; the callback stays in the inbox.", "app")
	m.commitSeconds = m.single("calleridp_store_commit_seconds",
		"Time that a caller waited until its change was durable, or had failed.",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5})
	m.noticeSeconds = m.histogram("calleridp_notice_seconds",
		"Time of a try to tell a client something, by kind.",
		[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "kind")
	m.spans = m.counter("calleridp_trace_spans_total",
		"Spans of traces: sent, failed (the collector did not take them), dropped (too many waited).", "outcome")
	m.limited = m.counter("calleridp_limited_total",
		"Attempts that a lock or a budget refused.", "limit")
	m.callbacks = m.counter("calleridp_callbacks_total",
		"Requests at callback paths: accepted, unknown, malformed, too_large, compressed, slow, cut_off, wrong_path (without an app), "+
			"wrong_method, not_stored; bad_endpoint counts a request a second time.",
		"app", "outcome")
	m.truecallerSeconds = m.histogram("calleridp_truecaller_request_seconds",
		"Time of requests to Truecaller, by purpose (push, profile or token) and outcome.",
		[]float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "purpose", "outcome")
	m.truecallerHeldBack = m.counter("calleridp_truecaller_held_back_total",
		"Requests to Truecaller that were not sent, because the host does not respond.", "purpose")
	m.events = m.counter("calleridp_audit_events_total",
		"Events of the audit, also those that the log sums up.", "event")
	m.lines = m.counter("calleridp_log_lines_total",
		"Warnings and errors (warn, error) outside the audit, also those that the log sums up or that are below its level.", "level")
	m.notices = m.counter("calleridp_notices_total",
		"Tries to tell a client something, by kind (logout, signal) and outcome: delivered, refused (status 400), failed (another try follows), "+
			"abandoned (a logout for a day or in ten tries, a signal for 14 days), dropped (the client is gone or wants none).",
		"kind", "outcome")
	m.requests = m.counter("calleridp_http_requests_total",
		"Requests by route and status; route none stands for unmatched paths.", "route", "status")
	m.requestSeconds = m.histogram("calleridp_http_request_seconds",
		"Time of responses. Those of /attempt/{id}/events last as long as a page waits.",
		[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "route")
	m.gauge("calleridp_build_info", "Always 1; the labels have the versions of the program and of Go.", func() float64 { return 1 },
		prometheus.Labels{"version": version, "go_version": goVersion})
	// Rare events that alerts wait for are at zero from the start: an increase from nothing
	// to one is none.
	for _, kind := range notify.Kinds {
		for _, outcome := range notify.Outcomes {
			m.notices.WithLabelValues(string(kind), string(outcome))
		}
	}
	for _, outcome := range []string{tracing.Sent, tracing.Failed, tracing.Dropped} {
		m.spans.WithLabelValues(outcome)
	}
	for _, event := range []audit.Name{audit.ClientUnauthenticated, audit.GrantReused} {
		m.events.WithLabelValues(string(event))
	}
	return m
}

// Expect makes what an app of Truecaller may rarely meet begin at zero.
func (m *Metrics) Expect(app string) {
	for _, outcome := range []truecaller.CallbackOutcome{truecaller.CallbackNotKept, truecaller.CallbackBadEndpoint} {
		m.callbacks.WithLabelValues(app, string(outcome))
	}
	m.attempts.WithLabelValues("failed", string(login.Push), app, string(login.Misconfigured))
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) single(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) gauge(name, help string, value func() float64, labels prometheus.Labels) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

func (m *Metrics) total(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}
