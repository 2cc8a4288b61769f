package login

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"calleridp/provider/subject"
	"calleridp/truecaller"
)

// The Engine is the truecaller.Recipient: it decides what callbacks mean. All
// of this may be repeated, late, out of order, or about nothing.
var _ truecaller.Recipient = (*Engine)(nil)

// Expects says whether a live attempt waits for the callback: found by the state
// that we sent, which only Truecaller and we know (invariant 6).
func (e *Engine) Expects(ctx context.Context, c truecaller.Callback) (bool, error) {
	a, err := e.attemptOf(ctx, c)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := time.Now()
	if !a.expects(c.RequestID, now) {
		if a.live(now) == nil {
			e.Audit.Warn("callback with our state and another requestId", "attempt", a.ID)
		}
		return false, nil
	}
	return true, nil
}

// Progress takes an event or a refusal.
func (e *Engine) Progress(ctx context.Context, d truecaller.Delivery) error {
	why := NoReason
	switch d.Status {
	case "user_rejected", "flow_cancelled":
		why = UserRejected
	case "use_another_number":
		why = AnotherNumber
	case "flow_invoked":
		// The dialog is open; nothing is decided (invariant 4).
	default:
		e.Log.InfoContext(ctx, "callback with a status that is not known; waiting goes on", "app", d.App)
	}
	if why == NoReason {
		return e.drop(ctx, d)
	}
	a, err := e.attemptOf(ctx, d.Callback)
	if errors.Is(err, ErrNotFound) {
		return e.drop(ctx, d)
	}
	if err != nil {
		return err
	}
	a, err = e.update(ctx, a.ID, func(a *Attempt) (Effects, error) {
		if !a.expects(d.RequestID, time.Now()) {
			return Effects{}, ErrState
		}
		return Effects{Unlock: true, Drop: d.ID}, a.reject(why, time.Now())
	})
	if errors.Is(err, ErrState) || errors.Is(err, ErrNotFound) {
		return e.drop(ctx, d)
	}
	if err == nil {
		e.audit("sign-in declined", a)
	}
	return err
}

// Token notes that the token has come.
func (e *Engine) Token(ctx context.Context, d truecaller.Delivery) error {
	a, err := e.attemptOf(ctx, d.Callback)
	if errors.Is(err, ErrNotFound) {
		return truecaller.ErrNotFound
	}
	if err != nil {
		return err
	}
	if !a.expects(d.RequestID, time.Now()) {
		return truecaller.ErrNotFound
	}
	e.Store.NoteAttempt(ctx, a.ID, func(a *Attempt) (Effects, error) {
		return Effects{}, a.tokenReceived(d.RequestID, time.Now())
	})
	return nil
}

// Profile approves the attempt, if the profile is that of the number that was
// asked (invariant 3).
func (e *Engine) Profile(ctx context.Context, d truecaller.Delivery, p truecaller.Profile) error {
	a, err := e.attemptOf(ctx, d.Callback)
	if errors.Is(err, ErrNotFound) {
		return e.drop(ctx, d)
	}
	if err != nil {
		return err
	}
	var changedHands bool
	a, err = e.Store.ApproveAttempt(ctx, a.ID, func(a *Attempt, known *subject.Person) (subject.Person, Effects, error) {
		now := time.Now()
		changedHands = false
		if err := a.approve(d.RequestID, p, now); err != nil {
			return subject.Person{}, Effects{}, err
		}
		effects := Effects{Unlock: true, Drop: d.ID}
		if a.State != Approved {
			return subject.Person{}, effects, nil
		}
		person, isNew := e.Policy.Resolve(known, a.Number, p, now)
		changedHands = isNew && known != nil
		a.approvedBy(person)
		return person, effects, nil
	})
	if errors.Is(err, ErrState) || errors.Is(err, ErrNotFound) {
		return e.drop(ctx, d)
	}
	if err != nil {
		return err
	}
	e.hub.wake(a.ID)
	switch {
	case a.State != Approved:
		e.Audit.Warn("sign-in failed", "attempt", a.ID, "reason", a.Reason, "number", a.Number, "client", a.ClientID, "network", a.Network)
	case changedHands:
		e.audit("number changed hands", a)
	default:
		e.audit("approved", a)
	}
	return nil
}

// Failed ends the attempt whose token fetched no profile.
func (e *Engine) Failed(ctx context.Context, d truecaller.Delivery, cause error) error {
	why := ProfileFailed
	if errors.Is(cause, truecaller.ErrForeignEndpoint) {
		why = ForeignEndpoint
	}
	e.Log.WarnContext(ctx, "no profile for a token", "app", d.App, "reason", why, "error", cause)
	a, err := e.attemptOf(ctx, d.Callback)
	if errors.Is(err, ErrNotFound) {
		return e.drop(ctx, d)
	}
	if err != nil {
		return err
	}
	a, err = e.update(ctx, a.ID, func(a *Attempt) (Effects, error) {
		if !a.expects(d.RequestID, time.Now()) {
			return Effects{}, ErrState
		}
		return Effects{Unlock: true, Drop: d.ID}, a.fail(why, time.Now())
	})
	if errors.Is(err, ErrState) || errors.Is(err, ErrNotFound) {
		return e.drop(ctx, d)
	}
	if err == nil {
		e.Audit.Warn("sign-in failed", "attempt", a.ID, "reason", a.Reason, "number", a.Number, "client", a.ClientID, "network", a.Network)
	}
	return err
}

func (e *Engine) attemptOf(ctx context.Context, c truecaller.Callback) (Attempt, error) {
	if c.State == "" {
		return Attempt{}, ErrNotFound
	}
	return e.Store.AttemptByCorrelation(ctx, sha256.Sum256([]byte(c.State)))
}

// drop forgets a delivery that nobody waits for.
func (e *Engine) drop(ctx context.Context, d truecaller.Delivery) error {
	return e.Inbox.DropDelivery(ctx, d.ID)
}
