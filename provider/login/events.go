// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/limit"
	"calleridp/truecaller"
)

// The events of attempts. Package audit says what each means.
const (
	eventStarted      = audit.AttemptStarted
	eventResumed      = audit.AttemptResumed
	eventLimited      = audit.AttemptLimited
	eventUnavailable  = audit.AttemptUnavailable
	eventInvoked      = audit.AttemptInvoked
	eventApproved     = audit.AttemptApproved
	eventChangedHands = audit.AttemptChangedHands
	eventRejected     = audit.AttemptRejected
	eventFailed       = audit.AttemptFailed
	eventExpired      = audit.AttemptExpired
	eventDone         = audit.AttemptDone
	eventMismatch     = audit.AttemptMismatch

	eventPushed   = Pushed
	eventReturned = Returned
)

// Events that are for the Observer alone.
const (
	Pushed   = "attempt.pushed"   // Truecaller took the push, or may have
	Returned = "attempt.returned" // a callback brought its first token, or a native application its code
)

// Observer counts what becomes of attempts. It hears of each event once, in the
// process where it happened, and must be quick and safe for concurrent use.
type Observer interface {
	// Attempt has reached an event, which is named as in the audit, or is
	// Pushed or Returned. ctx is that of the request or callback which caused it.
	Attempt(ctx context.Context, event string, a Attempt)
	// Answered says that a callback has brought a token for the attempt, at received, and
	// that its profile decided the attempt just now.
	Answered(ctx context.Context, a Attempt, received time.Time)
	// Limited says which lock or budget refused an attempt.
	Limited(kind limit.Kind)
}

// Tracer follows an attempt through requests, callbacks and servers.
type Tracer interface {
	// InAttempt returns ctx for work on the attempt.
	InAttempt(ctx context.Context, id ID) context.Context
}

// Observers are notified of the same events, one after the other.
type Observers []Observer

// Attempt implements Observer.
func (all Observers) Attempt(ctx context.Context, event string, a Attempt) {
	for _, o := range all {
		o.Attempt(ctx, event, a)
	}
}

// Answered implements Observer.
func (all Observers) Answered(ctx context.Context, a Attempt, received time.Time) {
	for _, o := range all {
		o.Answered(ctx, a, received)
	}
}

// Limited implements Observer.
func (all Observers) Limited(kind limit.Kind) {
	for _, o := range all {
		o.Limited(kind)
	}
}

type unobserved struct{}

func (unobserved) Attempt(context.Context, string, Attempt)     {}
func (unobserved) Answered(context.Context, Attempt, time.Time) {}
func (unobserved) Limited(limit.Kind)                           {}

// inAttempt returns ctx for work on the attempt.
func (e *Engine) inAttempt(ctx context.Context, id ID) context.Context {
	if e.cfg.Tracer == nil {
		return ctx
	}
	return e.cfg.Tracer.InAttempt(ctx, id)
}

// Trace returns ctx for work on a callback: that of its attempt, if there is one.
func (e *Engine) Trace(ctx context.Context, c truecaller.Callback) context.Context {
	if e.cfg.Tracer == nil {
		return ctx
	}
	if a, err := e.recallOf(ctx, c); err == nil {
		return e.cfg.Tracer.InAttempt(ctx, a.ID)
	}
	return ctx
}

// record records an event of an attempt.
func (e *Engine) record(ctx context.Context, name audit.Name, a Attempt) {
	e.cfg.Audit.Record(ctx, auditEvent(name, a))
	e.cfg.Observer.Attempt(ctx, string(name), a)
}

// recordLimited records that a lock or budget refused an attempt, if that is what
// err says.
func (e *Engine) recordLimited(ctx context.Context, a Attempt, err error) {
	exceeded, ok := errors.AsType[*limit.Exceeded](err)
	if !ok {
		return
	}
	event := auditEvent(eventLimited, a)
	event.Limit, event.Reserved = string(exceeded.Kind), exceeded.Reserved
	e.cfg.Audit.Record(ctx, event)
	e.cfg.Observer.Attempt(ctx, string(eventLimited), a)
	e.cfg.Observer.Limited(exceeded.Kind)
}

// auditEvent is what the audit says of an attempt. Numbers mask themselves
// (invariant 10).
func auditEvent(name audit.Name, a Attempt) audit.Event {
	return audit.Event{
		Name:    name,
		Attempt: string(a.ID),
		Method:  string(a.Method),
		Number:  a.Number,
		Client:  a.ClientID,
		Network: a.Network,
		App:     a.App,
		Reason:  string(a.Reason),
		Subject: a.Sub,
	}
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
