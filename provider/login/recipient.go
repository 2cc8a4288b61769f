// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// The Engine is the truecaller.Recipient: it decides what callbacks mean. Any
// of them may be repeated, late, out of order, or about nothing (invariant 4).
var _ truecaller.Recipient = (*Engine)(nil)

// Expects reports whether a live attempt waits for the callback at this app's
// address. The attempt is found by what only Truecaller and we know, or for one-tap by
// the nonce that we made (invariant 6). Truecaller's own requestId alone finds nothing.
//
// As far as this process remembers, first: that the attempt waited a moment ago is enough
// to keep the callback, because a transaction decides what it means.
func (e *Engine) Expects(ctx context.Context, app string, c truecaller.Callback) (bool, error) {
	a, err := e.recallOf(ctx, c)
	if err == nil && a.expects(app, redact.Text(c.RequestID), time.Now()) == nil {
		return true, nil
	}
	a, err = e.attemptOf(ctx, c)
	if err == nil {
		err = a.expects(app, redact.Text(c.RequestID), time.Now())
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrState):
		return false, nil
	case errors.Is(err, errMismatch):
		e.record(ctx, eventMismatch, a)
		return false, nil
	}
	return false, err
}

// Progress takes an event or a refusal.
func (e *Engine) Progress(ctx context.Context, d truecaller.Delivery) error {
	var why Reason
	switch d.Status {
	case "user_rejected", "flow_cancelled":
		why = UserRejected
	case "use_another_number":
		why = AnotherNumber
	case "flow_invoked":
		return e.opened(ctx, d)
	default:
		e.cfg.Log.InfoContext(ctx, "callback with an unknown status; the attempt goes on",
			"app", d.App, "status", plainStatus(d.Status))
		return e.drop(ctx, d)
	}
	a, err := e.attemptOf(ctx, d.Callback)
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	now := time.Now()
	ended, err := e.cfg.Store.UpdateAttempt(ctx, a.ID, func(a Attempt) (Update, error) {
		err := a.decline(d, why, now)
		return Update{Attempt: a, Effects: e.onDecline(d, now)}, err
	})
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	e.hub.settle(a)
	e.record(ctx, eventRejected, ended)
	return nil
}

// opened takes the news that the dialog is open: progress, not a result
// (invariant 4). A crash may lose it; the page then learns of the result alone.
func (e *Engine) opened(ctx context.Context, d truecaller.Delivery) error {
	now := time.Now()
	a, err := e.attemptOf(ctx, d.Callback)
	if err == nil {
		err = a.expects(d.App, redact.Text(d.RequestID), now)
	}
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	if !a.Invoked.IsZero() {
		return e.drop(ctx, d)
	}
	e.cfg.Store.NoteAttempt(ctx, a.ID, Note{
		Kind:      NoteInvoked,
		At:        now,
		App:       d.App,
		RequestID: redact.Text(d.RequestID),
		Delivery:  d.ID,
	})
	e.hub.wake(a)
	e.record(ctx, eventInvoked, a)
	return e.drop(ctx, d)
}

// Token notes that a token has come. truecaller.ErrNotFound: it is not to be
// used.
func (e *Engine) Token(ctx context.Context, d truecaller.Delivery) error {
	now := time.Now()
	a, err := e.recallOf(ctx, d.Callback)
	if err != nil || a.expects(d.App, redact.Text(d.RequestID), now) != nil {
		a, err = e.attemptOf(ctx, d.Callback)
	}
	if err == nil {
		err = a.expects(d.App, redact.Text(d.RequestID), now)
	}
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrState):
		return truecaller.ErrNotFound
	case errors.Is(err, errMismatch):
		e.record(ctx, eventMismatch, a)
		return truecaller.ErrNotFound
	case err != nil:
		return err
	}
	if len(a.Trying) == 0 { // else it is not the first one
		e.cfg.Observer.Attempt(ctx, eventReturned, a)
	}
	e.cfg.Store.NoteAttempt(ctx, a.ID, tokenNote(d, now))
	return nil
}

// numberOf returns the number that the attempt is about: the one that got the
// push, or for one-tap the profile's. Where that has several, the app's policy picks the
// first or none: the zero number (docs/truecaller.md section 4).
func (e *Engine) numberOf(a Attempt, p truecaller.Profile) phone.Number {
	if a.Method == Push {
		return a.Number
	}
	dialog := e.cfg.Apps[a.App].OneTap
	switch {
	case len(p.Numbers) == 1:
		return p.Numbers[0].Line()
	case len(p.Numbers) > 1 && dialog != nil && dialog.FirstOfSeveral:
		return p.Numbers[0].Line()
	}
	return phone.Number{}
}

// Profile approves the attempt, if the profile is that of the number that got the
// push (invariant 3), and decides whose sign-in it is.
func (e *Engine) Profile(ctx context.Context, d truecaller.Delivery, p truecaller.Profile) error {
	a, err := e.recallOf(ctx, d.Callback) // for what never changes; the step decides
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	signIn := subject.SignIn{
		Number:  e.numberOf(a, p),
		Profile: p,
		At:      time.Now(),
		NewSub:  subject.NewSub(),
	}
	step := func(a Attempt, known *subject.Person) (Approval, error) {
		if err := a.approve(d, p, signIn.Number, signIn.At); err != nil {
			return Approval{}, err
		}
		if a.State != Approved {
			effects := Effects{Drop: d.ID}
			if a.answered() {
				effects = e.onAnswer(d, signIn.At)
			}
			return Approval{Attempt: a, Effects: effects}, nil
		}
		return e.approvedAs(a, known, signIn, e.onAnswer(d, signIn.At)), nil
	}
	approval, err := e.cfg.Store.ApproveAttempt(ctx, a.ID, signIn.Number, step)
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	e.cfg.Observer.Answered(ctx, approval.Attempt, d.Received)
	if approval.Attempt.State != Approved {
		e.hub.settle(a)
		e.record(ctx, eventFailed, approval.Attempt)
		return nil
	}
	e.hub.wake(a)
	e.recordApproval(ctx, approval)
	return nil
}

// onAnswer is what follows when the holder of the number has approved on the
// phone, whatever the profile then says: the lock stays for other browsers for a
// while (invariant 7).
func (e *Engine) onAnswer(d truecaller.Delivery, now time.Time) Effects {
	effects := Effects{Drop: d.ID, Push: e.ended(limit.Answered, now)}
	if e.cfg.AfterApproval == 0 {
		effects.Unlock = true
	} else {
		effects.Approved = now.Add(e.cfg.AfterApproval)
	}
	return effects
}

// onDecline is what follows when the holder of the number has declined on the phone.
func (e *Engine) onDecline(d truecaller.Delivery, now time.Time) Effects {
	effects := Effects{Drop: d.ID, Push: e.ended(limit.Declined, now)}
	if e.cfg.CoolDown > 0 {
		effects.CoolDown, effects.Unsolved = now.Add(e.cfg.AfterDecline), now.Add(e.cfg.CoolDown)
	} else {
		effects.Unlock = true
	}
	return effects
}

// approvedAs decides whose sign-in an approved attempt is. known is the user to
// whom the number is bound, nil for none.
func (e *Engine) approvedAs(a Attempt, known *subject.Person, s subject.SignIn, effects Effects) Approval {
	person, isNew := e.cfg.Policy.Resolve(known, s)
	a.approvedBy(person)
	return Approval{
		Attempt:      a,
		Effects:      effects,
		Person:       person,
		ChangedHands: isNew && known != nil,
	}
}

func (e *Engine) recordApproval(ctx context.Context, approval Approval) {
	if approval.ChangedHands {
		e.record(ctx, eventChangedHands, approval.Attempt)
	}
	e.record(ctx, eventApproved, approval.Attempt)
}

// Failed takes the token's failure to fetch a profile, which ends the attempt
// unless another token of it is being tried.
func (e *Engine) Failed(ctx context.Context, d truecaller.Delivery, cause error) error {
	why := ProfileFailed
	if errors.Is(cause, truecaller.ErrForeignEndpoint) {
		why = ForeignEndpoint
	}
	a, err := e.attemptOf(ctx, d.Callback)
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	e.cfg.Log.WarnContext(ctx, "a token fetched no profile", "attempt", a.ID, "app", d.App, "reason", why, "error", cause)
	now := time.Now()
	after, err := e.cfg.Store.UpdateAttempt(ctx, a.ID, func(a Attempt) (Update, error) {
		err := a.profileFailed(d, why, now)
		effects := Effects{Drop: d.ID}
		if a.State == Failed && a.answered() {
			effects = e.onAnswer(d, now)
		}
		return Update{Attempt: a, Effects: effects}, err
	})
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	if after.State == Failed {
		e.hub.settle(a)
		e.record(ctx, eventFailed, after)
	}
	return nil
}

// attemptOf finds the attempt of a callback (invariant 6): that of a push by the
// state that we sent, which only Truecaller and we know; that of a one-tap link
// by its nonce, which comes back as requestId and without a state.
func (e *Engine) attemptOf(ctx context.Context, c truecaller.Callback) (Attempt, error) {
	return byCorrelation(ctx, c, e.cfg.Store.AttemptByCorrelation)
}

// recallOf is attemptOf, perhaps out of date (Store.RecallByCorrelation).
func (e *Engine) recallOf(ctx context.Context, c truecaller.Callback) (Attempt, error) {
	return byCorrelation(ctx, c, e.cfg.Store.RecallByCorrelation)
}

func byCorrelation(ctx context.Context, c truecaller.Callback, find func(context.Context, [32]byte) (Attempt, error)) (Attempt, error) {
	method := Push
	if c.State == "" {
		method = OneTap
	}
	a, err := find(ctx, c.Correlation())
	if err == nil && a.Method != method {
		return Attempt{}, ErrNotFound
	}
	return a, err
}

// ignore forgets a delivery that changes nothing, because of err, and leaves another
// process's alone. Other errors are returned: the work on the delivery is done again.
func (e *Engine) ignore(ctx context.Context, d truecaller.Delivery, a Attempt, err error) error {
	switch {
	case errors.Is(err, ErrNotHeld):
		e.cfg.Log.InfoContext(ctx, "another server holds the delivery; what came of it here is not used",
			"delivery", d.ID, "attempt", a.ID, "app", d.App)
		return nil
	case errors.Is(err, errMismatch):
		e.record(ctx, eventMismatch, a)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrState):
	default:
		return err
	}
	return e.drop(ctx, d)
}

func (e *Engine) drop(ctx context.Context, d truecaller.Delivery) error {
	return e.cfg.Inbox.DropDelivery(ctx, d.ID)
}
