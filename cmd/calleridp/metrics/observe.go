// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/truecaller"
)

// Attempt implements login.Observer.
func (m *Metrics) Attempt(_ context.Context, event string, a login.Attempt) {
	event = strings.TrimPrefix(event, "attempt.")
	m.attempts.WithLabelValues(event, string(a.Method), a.App, string(a.Reason)).Inc()
	switch event {
	case "approved":
		m.approvalSeconds.WithLabelValues(string(a.Method), a.App).Observe(a.AuthTime.Sub(a.Created).Seconds())
	case "done":
		m.part("browser", a, a.Ended.Sub(a.AuthTime))
	}
}

// Answered implements login.Observer.
func (m *Metrics) Answered(_ context.Context, a login.Attempt, received time.Time) {
	if a.State == login.Approved {
		m.part("phone", a, received.Sub(a.Created))
		m.part("profile", a, a.AuthTime.Sub(received))
	}
}

func (m *Metrics) part(name string, a login.Attempt, took time.Duration) {
	m.partSeconds.WithLabelValues(name, string(a.Method), a.App).Observe(took.Seconds())
}

// Step counts a step of a request.
func (m *Metrics) Step(_ context.Context, s endpoint.Step, _ bool, took time.Duration) {
	if s == endpoint.StepSignIn {
		m.signInSeconds.Observe(took.Seconds())
		return
	}
	m.stepSeconds.WithLabelValues(string(s)).Observe(took.Seconds())
}

// Committed counts a change of the store.
func (m *Metrics) Committed(_ context.Context, _ bool, took time.Duration) {
	m.commitSeconds.Observe(took.Seconds())
}

// Spans counts spans of traces by outcome.
func (m *Metrics) Spans(outcome string, n int) { m.spans.WithLabelValues(outcome).Add(float64(n)) }

// Limited implements login.Observer.
func (m *Metrics) Limited(kind limit.Kind) { m.limited.WithLabelValues(string(kind)).Inc() }

// Asked implements truecaller.RequestObserver.
func (m *Metrics) Asked(_ context.Context, p truecaller.Purpose, o truecaller.Outcome, took time.Duration) {
	m.truecallerSeconds.WithLabelValues(string(p), string(o)).Observe(took.Seconds())
}

// HeldBack implements truecaller.RequestObserver.
func (m *Metrics) HeldBack(p truecaller.Purpose) {
	m.truecallerHeldBack.WithLabelValues(string(p)).Inc()
}

// Callback implements truecaller.CallbackObserver.
func (m *Metrics) Callback(_ context.Context, app string, o truecaller.CallbackOutcome, _ time.Duration) {
	m.callbacks.WithLabelValues(app, string(o)).Inc()
}

// Delivered implements truecaller.CallbackObserver.
func (m *Metrics) Delivered(_ context.Context, app string, failed bool, took time.Duration) {
	if failed {
		m.deliveriesFailed.WithLabelValues(app).Inc()
		return
	}
	m.deliverySeconds.WithLabelValues(app).Observe(took.Seconds())
}

// Notified implements notify.Observer.
func (m *Metrics) Notified(_ context.Context, k notify.Kind, o notify.Outcome, took time.Duration) {
	m.notices.WithLabelValues(string(k), string(o)).Inc()
	if o != notify.Dropped && o != notify.Abandoned {
		m.noticeSeconds.WithLabelValues(string(k)).Observe(took.Seconds())
	}
}

// Event implements audit.Observer.
func (m *Metrics) Event(name audit.Name) { m.events.WithLabelValues(string(name)).Inc() }

// Line implements audit.Observer.
func (m *Metrics) Line(level slog.Level) {
	m.lines.WithLabelValues(strings.ToLower(level.String())).Inc()
}

// Request counts a response. route is the pattern that the path matched, "" if it
// matched none.
func (m *Metrics) Request(_ context.Context, _, route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
}
