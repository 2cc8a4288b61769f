package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// The Engine is the truecaller.Recipient: it decides what callbacks mean. Any
// of them may be repeated, late, out of order, or about nothing (invariant 4).
var _ truecaller.Recipient = (*Engine)(nil)

// Expects says whether a live attempt waits for the callback. The attempt is
// found by what only Truecaller and we know, or for one-tap by the nonce that we
// made (invariant 6). Truecaller's own requestId alone finds nothing.
func (e *Engine) Expects(ctx context.Context, c truecaller.Callback) (bool, error) {
	a, err := e.attemptOf(ctx, c)
	if err == nil {
		err = a.expects(a.App, c.RequestID, time.Now())
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrState):
		return false, nil
	case errors.Is(err, errMismatch):
		e.audit(ctx, eventMismatch, a)
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
		e.Log.InfoContext(ctx, "callback with an unknown status; the attempt goes on", "app", d.App, "status", plainStatus(d.Status))
		return e.drop(ctx, d)
	}
	a, err := e.attemptOf(ctx, d.Callback)
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	ended, err := e.Store.UpdateAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
		now := time.Now()
		effects := Effects{Drop: d.ID, Unlock: e.CoolDown == 0}
		if e.CoolDown > 0 {
			effects.CoolDown = now.Add(e.CoolDown)
		}
		return effects, a.decline(d, why, now)
	})
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	e.hub.settle(a)
	e.audit(ctx, eventRejected, ended)
	return nil
}

// opened takes the news that the dialog is open: progress, not a result
// (invariant 4). A crash may lose it; the page then learns of the result alone.
func (e *Engine) opened(ctx context.Context, d truecaller.Delivery) error {
	a, err := e.attemptOf(ctx, d.Callback)
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	if !a.Invoked.IsZero() {
		return e.drop(ctx, d)
	}
	now := time.Now() // the step may run more than once
	e.Store.NoteAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
		return Effects{}, a.invoked(d, now)
	})
	e.hub.wake(a)
	e.audit(ctx, eventInvoked, a)
	return e.drop(ctx, d)
}

// Token notes that a token has come. truecaller.ErrNotFound: it is not to be
// used.
func (e *Engine) Token(ctx context.Context, d truecaller.Delivery) error {
	a, err := e.attemptOf(ctx, d.Callback)
	if err == nil {
		err = a.expects(d.App, d.RequestID, time.Now())
	}
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrState):
		return truecaller.ErrNotFound
	case errors.Is(err, errMismatch):
		e.audit(ctx, eventMismatch, a)
		return truecaller.ErrNotFound
	case err != nil:
		return err
	}
	e.Store.NoteAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
		return Effects{}, a.tokenReceived(d, time.Now())
	})
	return nil
}

// numberOf is the number that the attempt is about: the one that was pushed, or
// for one-tap the profile's. Where that has several, the app's policy picks the
// first or none: the zero number (docs/truecaller.md section 4).
func (e *Engine) numberOf(a Attempt, p truecaller.Profile) phone.Number {
	if a.Method == Push {
		return a.Number
	}
	if dialog := e.Apps[a.App].OneTap; len(p.Numbers) == 1 || len(p.Numbers) > 1 && dialog != nil && dialog.FirstOfSeveral {
		return p.Numbers[0]
	}
	return phone.Number{}
}

// Profile approves the attempt, if the profile is that of the number that was
// asked (invariant 3), and decides whose sign-in it is.
func (e *Engine) Profile(ctx context.Context, d truecaller.Delivery, p truecaller.Profile) error {
	a, err := e.attemptOf(ctx, d.Callback)
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	var changedHands bool
	number := e.numberOf(a, p)
	decided, err := e.Store.ApproveAttempt(ctx, a.ID, number, func(a *Attempt, known *subject.Person) (subject.Person, Effects, error) {
		now := time.Now()
		if err := a.approve(d, p, number, now); err != nil {
			return subject.Person{}, Effects{}, err
		}
		if a.State != Approved {
			return subject.Person{}, Effects{Drop: d.ID, Unlock: a.answered()}, nil
		}
		person, isNew := e.Policy.Resolve(known, a.Number, p, now)
		changedHands = isNew && known != nil
		a.approvedBy(person)
		return person, Effects{Drop: d.ID, Unlock: true}, nil
	})
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	if decided.State != Approved {
		e.hub.settle(a)
		e.audit(ctx, eventFailed, decided)
		return nil
	}
	e.hub.wake(a)
	if changedHands {
		e.audit(ctx, eventChangedHands, decided)
	}
	e.audit(ctx, eventApproved, decided)
	return nil
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
	e.Log.WarnContext(ctx, "a token fetched no profile", "attempt", a.ID, "app", d.App, "reason", why, "error", cause)
	after, err := e.Store.UpdateAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
		if err := a.profileFailed(d, why, time.Now()); err != nil {
			return Effects{}, err
		}
		return Effects{Drop: d.ID, Unlock: a.State == Failed && a.answered()}, nil
	})
	if err != nil {
		return e.ignore(ctx, d, a, err)
	}
	if after.State == Failed {
		e.hub.settle(a)
		e.audit(ctx, eventFailed, after)
	}
	return nil
}

// attemptOf finds the attempt of a callback (invariant 6): that of a push by the
// state that we sent, which only Truecaller and we know; that of a one-tap link
// by its nonce, which comes back as requestId and without a state.
func (e *Engine) attemptOf(ctx context.Context, c truecaller.Callback) (Attempt, error) {
	correlation, method := c.State, Push
	if c.State == "" {
		correlation, method = c.RequestID, OneTap
	}
	a, err := e.Store.AttemptByCorrelation(ctx, sha256.Sum256([]byte(correlation)))
	if err == nil && a.Method != method {
		return Attempt{}, ErrNotFound
	}
	return a, err
}

// ignore forgets a delivery that changes nothing, because of err. Other errors
// are returned: the work on the delivery is done again.
func (e *Engine) ignore(ctx context.Context, d truecaller.Delivery, a Attempt, err error) error {
	switch {
	case errors.Is(err, errMismatch):
		e.audit(ctx, eventMismatch, a)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrState):
	default:
		return err
	}
	return e.drop(ctx, d)
}

func (e *Engine) drop(ctx context.Context, d truecaller.Delivery) error {
	return e.Inbox.DropDelivery(ctx, d.ID)
}
