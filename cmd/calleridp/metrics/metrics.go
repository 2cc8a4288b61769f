// Package metrics counts what the other packages report through the observers
// that they declare, and shows it to Prometheus.
//
// Labels come from fixed lists, the configuration and our own routes. No phone
// number, token or other text of a stranger's is ever one (invariant 10), so
// that strangers cannot make metrics grow either.
package metrics

import (
	"net/http"

	"calleridp/provider/login"
	"calleridp/truecaller"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	attempts  *prometheus.CounterVec
	approvals *prometheus.HistogramVec
	limited   *prometheus.CounterVec
	callbacks *prometheus.CounterVec
	asked     *prometheus.HistogramVec
	heldBack  *prometheus.CounterVec
	requests  *prometheus.CounterVec
	took      *prometheus.HistogramVec
}

var (
	_ login.Observer              = (*Metrics)(nil)
	_ truecaller.RequestObserver  = (*Metrics)(nil)
	_ truecaller.CallbackObserver = (*Metrics)(nil)
)

// New makes metrics that are all at zero. version and goVersion are those of the
// program.
func New(version, goVersion string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.attempts = m.counter("calleridp_attempts_total",
		"Attempts that reached an event: started, pushed, invoked, approved, done, rejected, failed, expired, limited, unavailable, callback_mismatch, number_changed_hands.",
		"event", "method", "app", "reason")
	m.approvals = m.histogram("calleridp_approval_seconds",
		"From the start of an attempt to its approval.",
		[]float64{1, 2.5, 5, 10, 20, 30, 60, 120, 300}, "method", "app")
	m.limited = m.counter("calleridp_limited_total",
		"Attempts that a lock or budget refused.", "limit")
	m.callbacks = m.counter("calleridp_callbacks_total",
		"Requests at callback paths: accepted, unknown, malformed, too_large, compressed, slow, cut_off, wrong_path (without an app), wrong_method, not_stored; and again as bad_endpoint.",
		"app", "outcome")
	m.asked = m.histogram("calleridp_truecaller_request_seconds",
		"Requests to Truecaller, for push, profile or token, by how they ended.",
		[]float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "purpose", "outcome")
	m.heldBack = m.counter("calleridp_truecaller_held_back_total",
		"Requests to Truecaller that were not made, because the host has not been answering.", "purpose")
	m.requests = m.counter("calleridp_http_requests_total",
		"Requests answered, by route; none is what no route takes.", "route", "status")
	m.took = m.histogram("calleridp_http_request_seconds",
		"How long answers took. Those of /attempt/{id}/events last as long as a page waits.",
		[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "route")
	m.gauge("calleridp_build_info", "1, with the version of the program and of Go.", func() float64 { return 1 },
		prometheus.Labels{"version": version, "go_version": goVersion})
	return m
}

// Handler shows the metrics in Prometheus' text format.
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

func (m *Metrics) gauge(name, help string, value func() float64, labels prometheus.Labels) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

func (m *Metrics) total(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}
