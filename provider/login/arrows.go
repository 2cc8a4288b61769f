package login

import (
	"time"

	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Each method here is one arrow of the diagram in the package comment. An arrow
// that does not start at the attempt's state returns ErrState and changes
// nothing; one that has already been taken is nil and changes nothing. Every
// arrow looks at the time first: an attempt past its end is expired.

// push is created -> pushing: the person's number is known and will be asked.
func (a *Attempt) push(number phone.Number, now time.Time) error {
	if a.expire(now) || a.State != Created || number.IsZero() {
		return ErrState
	}
	a.Number = number
	a.State = Pushing
	return nil
}

// accepted is pushing -> waiting: Truecaller took the push. requestID is "" when
// Truecaller's answer did not arrive; undeliverable says that it knows no
// account for the number. A callback that overtook the answer wins.
func (a *Attempt) accepted(requestID string, undeliverable bool, now time.Time) error {
	if a.expire(now) {
		return ErrState
	}
	switch a.State {
	case Pushing:
		a.State = Waiting
	case Waiting, TokenReceived, Approved:
		// Repeated, or overtaken: what is new is kept, the state stays.
	default:
		return ErrState
	}
	if a.RequestID == "" {
		a.RequestID = requestID
	}
	a.Undeliverable = a.Undeliverable || undeliverable
	return nil
}

// expects says whether a callback with this requestId may belong to the attempt
// (invariant 6: state and requestId agree when both are known). A disagreement
// does not end the attempt: the callback is not ours, and the right one may
// still come.
func (a *Attempt) expects(requestID string, now time.Time) bool {
	if a.live(now) != nil {
		return false
	}
	return a.RequestID == "" || requestID == "" || a.RequestID == requestID
}

// live is nil while the attempt can still be approved.
func (a *Attempt) live(now time.Time) error {
	if !now.Before(a.Expires) {
		return ErrState
	}
	switch a.State {
	case Pushing, Waiting, TokenReceived:
		return nil
	}
	return ErrState
}

// tokenReceived is waiting -> token_received: the callback has brought a token.
func (a *Attempt) tokenReceived(requestID string, now time.Time) error {
	if a.expire(now) || !a.expects(requestID, now) {
		return ErrState
	}
	if a.RequestID == "" {
		a.RequestID = requestID
	}
	a.State = TokenReceived
	return nil
}

// approve is token_received -> approved, if the number that was pushed is in
// the profile (invariant 3), else -> failed. The arrow before it is taken with
// it when it was only noted. A failed approval is not an error: the attempt
// says what happened.
func (a *Attempt) approve(requestID string, p truecaller.Profile, now time.Time) error {
	if err := a.tokenReceived(requestID, now); err != nil {
		return err
	}
	switch {
	case !p.Has(a.Number):
		a.end(Failed, PhoneMismatch, now)
	case p.Inactive:
		a.end(Failed, InactiveAccount, now)
	default:
		a.State = Approved
		a.AuthTime = now
	}
	return nil
}

// use is approved -> done. It happens once: a second use is ErrState.
func (a *Attempt) use(now time.Time) error {
	if a.expire(now) || a.State != Approved {
		return ErrState
	}
	a.end(Done, NoReason, now)
	return nil
}

// reject ends the attempt because the person said no, on the phone or in the
// browser.
func (a *Attempt) reject(why Reason, now time.Time) error {
	return a.stop(Rejected, why, now)
}

// fail ends the attempt because something else went wrong.
func (a *Attempt) fail(why Reason, now time.Time) error {
	return a.stop(Failed, why, now)
}

func (a *Attempt) stop(s State, why Reason, now time.Time) error {
	if a.State == s && a.Reason == why {
		return nil
	}
	if a.expire(now) || a.State.Terminal() {
		return ErrState
	}
	a.end(s, why, now)
	return nil
}

// expire is any live state -> expired, when the time is over. It says whether
// the attempt is expired.
func (a *Attempt) expire(now time.Time) bool {
	if a.State.Terminal() {
		return a.State == Expired
	}
	if now.Before(a.Expires) {
		return false
	}
	a.end(Expired, NoReason, a.Expires)
	return true
}

func (a *Attempt) end(s State, why Reason, at time.Time) {
	a.State, a.Reason, a.Ended = s, why, at
}

// approvedBy makes the person of an approved attempt its subject.
func (a *Attempt) approvedBy(person subject.Person) { a.Sub = person.Sub }
