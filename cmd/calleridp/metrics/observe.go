package metrics

import (
	"log/slog"
	"strconv"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/notify"
	"calleridp/truecaller"
)

// Attempt implements login.Observer.
func (m *Metrics) Attempt(event string, a login.Attempt) {
	event = strings.TrimPrefix(event, "attempt.")
	m.attempts.WithLabelValues(event, string(a.Method), a.App, string(a.Reason)).Inc()
	if event == "approved" {
		m.approvalSeconds.WithLabelValues(string(a.Method), a.App).Observe(a.AuthTime.Sub(a.Created).Seconds())
	}
}

// Limited implements login.Observer.
func (m *Metrics) Limited(kind limit.Kind) { m.limited.WithLabelValues(string(kind)).Inc() }

// Asked implements truecaller.RequestObserver.
func (m *Metrics) Asked(p truecaller.Purpose, o truecaller.Outcome, took time.Duration) {
	m.truecallerSeconds.WithLabelValues(string(p), string(o)).Observe(took.Seconds())
}

// HeldBack implements truecaller.RequestObserver.
func (m *Metrics) HeldBack(p truecaller.Purpose) {
	m.truecallerHeldBack.WithLabelValues(string(p)).Inc()
}

// Callback implements truecaller.CallbackObserver.
func (m *Metrics) Callback(app string, o truecaller.CallbackOutcome) {
	m.callbacks.WithLabelValues(app, string(o)).Inc()
}

// Notified implements notify.Observer.
func (m *Metrics) Notified(k notify.Kind, o notify.Outcome) {
	m.notices.WithLabelValues(string(k), string(o)).Inc()
}

// Event implements audit.Observer.
func (m *Metrics) Event(name audit.Name) { m.events.WithLabelValues(string(name)).Inc() }

// Line implements audit.Observer.
func (m *Metrics) Line(level slog.Level) {
	m.lines.WithLabelValues(strings.ToLower(level.String())).Inc()
}

// Request counts a response. route is the pattern that the path matched, "" if it
// matched none.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
}
