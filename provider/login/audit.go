package login

import (
	"context"
	"errors"
	"log/slog"

	"calleridp/provider/limit"
)

// The audit events of attempts. Their names are stable; what reads the audit
// stream may rely on them.
const (
	eventStarted      = "attempt.started"
	eventLimited      = "attempt.limited"     // a lock or budget refused it; nothing was written
	eventUnavailable  = "attempt.unavailable" // Truecaller has not been answering; nothing was written
	eventPushed       = "attempt.pushed"      // Truecaller took the push, or may have; not audited
	eventInvoked      = "attempt.invoked"     // the dialog is open on the phone
	eventApproved     = "attempt.approved"
	eventChangedHands = "attempt.number_changed_hands" // approved, and the number's person is a new one
	eventRejected     = "attempt.rejected"
	eventFailed       = "attempt.failed"
	eventExpired      = "attempt.expired"
	eventDone         = "attempt.done"
	eventMismatch     = "attempt.callback_mismatch" // invariant 6; the attempt goes on
)

// Observer counts what becomes of attempts. It is told of each event once, in the
// process where it happened, and must be quick and safe for concurrent use.
type Observer interface {
	// Attempt has reached an event, which is named as in the audit, or is
	// attempt.pushed.
	Attempt(event string, a Attempt)
	// Limited says which lock or budget refused an attempt.
	Limited(kind limit.Kind)
}

type unobserved struct{}

func (unobserved) Attempt(string, Attempt) {}
func (unobserved) Limited(limit.Kind)      {}

// limited records that a lock or budget refused an attempt, if that is what err
// says.
func (e *Engine) limited(ctx context.Context, a Attempt, err error) {
	if full := (*limit.Exceeded)(nil); errors.As(err, &full) {
		e.audit(ctx, eventLimited, a, slog.String("limit", string(full.Kind)), slog.Bool("reserved", full.Reserved))
		e.Observer.Limited(full.Kind)
	}
}

// audit records an event of an attempt. Numbers mask themselves (invariant 10).
func (e *Engine) audit(ctx context.Context, event string, a Attempt, more ...slog.Attr) {
	attrs := append([]slog.Attr{
		slog.String("attempt", string(a.ID)),
		slog.String("method", string(a.Method)),
		slog.Any("number", a.Number),
		slog.String("client", a.ClientID),
		slog.String("network", a.Network),
		slog.String("app", a.App),
	}, more...)
	if a.Reason != NoReason {
		attrs = append(attrs, slog.String("reason", string(a.Reason)))
	}
	if a.Sub != "" {
		attrs = append(attrs, slog.String("sub", a.Sub))
	}
	level := slog.LevelInfo
	switch event {
	case eventFailed, eventMismatch, eventChangedHands:
		level = slog.LevelWarn
	}
	e.Audit.LogAttrs(ctx, level, event, attrs...)
	e.Observer.Attempt(event, a)
}

// plainStatus makes a status that a callback brought fit for a log: a short
// word. Digits do not come through, so neither does a phone number.
func plainStatus(status string) string {
	const most = 40
	word := []byte(status[:min(len(status), most)])
	for i, b := range word {
		if (b|0x20 < 'a' || b|0x20 > 'z') && b != '_' && b != '-' {
			word[i] = '?'
		}
	}
	return string(word)
}
