// SPDX-License-Identifier: Apache-2.0

package login

import (
	"errors"
	"slices"
	"time"

	"calleridp/provider/clock"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Each method here is one transition of the diagram in the package comment. A
// transition that does not start at the attempt's state returns ErrState and
// changes nothing that counts; repeating one is harmless. Every transition looks
// at the time first: an attempt past its expiry is expired, whatever its State
// says. The time is an argument and never read.

// errMismatch says that a callback has our state and yet is not for this
// attempt: its requestId is another one, or it arrived at another Truecaller app's
// address (invariant 6). The callback is ignored and audited, and the attempt
// goes on. An attacker gains nothing by such a callback, because it is never used;
// ending the attempt would only let it do harm.
var errMismatch = errors.New("login: the callback does not agree with the attempt")

// Limits on what callbacks may put into an attempt.
const (
	maxRequestID = 256 // bytes (invariant 6)
	maxTrying    = 8   // deliveries; any more are still worked on, but not waited for
)

// push is created -> pushing: the user's number is known and will get a push.
func (a *Attempt) push(number phone.Number, now time.Time) error {
	if a.expire(now) || a.State != Created || number.IsZero() {
		return ErrState
	}
	a.Number = number
	a.State = Pushing
	return nil
}

// handOut is created -> waiting: the browser has the link that opens Truecaller
// on its phone. nonce is what Truecaller brings back as requestId.
func (a *Attempt) handOut(nonce redact.Text, now time.Time) error {
	if a.expire(now) || a.State != Created || nonce == "" {
		return ErrState
	}
	a.RequestID = nonce
	a.State = Waiting
	return nil
}

// invoked notes that the dialog is open on the phone: progress, not a result
// (invariant 4). After a token it says nothing new and is too late.
func (a *Attempt) invoked(n Note) error {
	if err := a.expects(n.App, n.RequestID, n.At); err != nil {
		return err
	}
	if a.State == TokenReceived || !a.Invoked.IsZero() {
		return ErrState
	}
	a.Invoked = n.At
	return nil
}

// accepted is pushing -> waiting: Truecaller took the push, or may have. A
// callback that overtook Truecaller's response keeps the state that it reached.
// Where the two name different requests the response is right, because it came to
// us over a connection that we made.
func (a *Attempt) accepted(n Note) error {
	if a.expire(n.At) || len(n.RequestID) > maxRequestID {
		return ErrState
	}
	switch a.State {
	case Pushing:
		a.State = Waiting
	case Waiting, TokenReceived:
	case Approved:
		return nil
	default:
		return ErrState
	}
	if n.RequestID != "" {
		a.RequestID = n.RequestID
	}
	a.Undeliverable = a.Undeliverable || n.Undeliverable
	return nil
}

// refused is pushing -> failed: Truecaller did not take the push. A callback
// that came all the same says more than the refusal, which is then too late.
func (a *Attempt) refused(why Reason, now time.Time) error {
	if a.expire(now) || a.State != Pushing {
		return ErrState
	}
	a.end(Failed, why, now)
	return nil
}

// expects returns nil when a callback like this may change the attempt: ErrState
// when it is too late, errMismatch when it is not the attempt's own (invariant 6:
// state and requestId must agree when both are known).
func (a *Attempt) expects(app string, requestID redact.Text, now time.Time) error {
	if a.over(now) {
		return ErrState
	}
	switch a.State {
	case Pushing, Waiting, TokenReceived:
	default:
		return ErrState
	}
	if app != a.App || len(requestID) > maxRequestID ||
		a.RequestID != "" && requestID != "" && a.RequestID != requestID {
		return errMismatch
	}
	return nil
}

// tokenReceived is waiting -> token_received: a callback has brought a token.
// In pushing, the callback has overtaken Truecaller's response to the push.
func (a *Attempt) tokenReceived(n Note) error {
	if err := a.expects(n.App, n.RequestID, n.At); err != nil {
		return err
	}
	if a.RequestID == "" {
		a.RequestID = n.RequestID
	}
	a.State = TokenReceived
	if !slices.Contains(a.Trying, n.Delivery) && len(a.Trying) < maxTrying {
		a.Trying = append(slices.Clone(a.Trying), n.Delivery)
	}
	return nil
}

// tokenNote is the note of a delivery that has brought a token.
func tokenNote(d truecaller.Delivery, now time.Time) Note {
	return Note{Kind: NoteToken, At: now, App: d.App, RequestID: redact.Text(d.RequestID), Delivery: d.ID}
}

// approve is token_received -> approved, if number is in the profile, else ->
// failed. number is the one that got the push (invariant 3), or the one that the
// profile of a one-tap attempt gave, zero for none that may be used. It makes the
// transition before it as well, which a crash may have lost. Failing is no error:
// the attempt says so.
func (a *Attempt) approve(d truecaller.Delivery, p truecaller.Profile, number phone.Number, now time.Time) error {
	if err := a.tokenReceived(tokenNote(d, now)); err != nil {
		return err
	}
	if a.Method == Push && number != a.Number {
		return ErrState // the caller has mixed up two attempts
	}
	switch {
	case number.IsZero():
		a.end(Failed, SeveralNumbers, now)
	case !p.Has(number):
		a.end(Failed, PhoneMismatch, now)
	case p.Inactive:
		a.end(Failed, InactiveAccount, now)
	default:
		a.Number = number
		a.State = Approved
		a.AuthTime = now
		a.Trying = nil
	}
	return nil
}

// exchanged is created -> token_received, for native: Truecaller has taken the
// application's code.
func (a *Attempt) exchanged(n Note) error {
	if a.expire(n.At) || a.Method != Native || a.State != Created {
		return ErrState
	}
	a.State = TokenReceived
	return nil
}

// approveNative is token_received -> approved, for native: number is the one in
// the profile that the application's code opened. It makes the transition before
// it as well, which may have been lost.
func (a *Attempt) approveNative(number phone.Number, now time.Time) error {
	if a.expire(now) || a.Method != Native || a.State != Created && a.State != TokenReceived || number.IsZero() {
		return ErrState
	}
	a.Number = number
	a.State = Approved
	a.AuthTime = now
	return nil
}

// nativeFailed is created, token_received or approved -> failed, for native.
func (a *Attempt) nativeFailed(why Reason, now time.Time) error {
	if a.expire(now) || a.Method != Native || a.State.Terminal() {
		return ErrState
	}
	a.end(Failed, why, now)
	return nil
}

// resume makes an attempt that waits for its user serve the request of another one of
// the same browser, app and number. Once it is approved, the request stays.
func (a *Attempt) resume(asked Attempt, now time.Time) error {
	if a.expire(now) || a.Method != Push || a.App != asked.App || a.Number != asked.Number {
		return ErrState
	}
	switch a.State {
	case Pushing, Waiting, TokenReceived:
	default:
		return ErrState
	}
	a.ClientID, a.Request, a.Form = asked.ClientID, asked.Request, asked.Form
	a.Network, a.Tries = asked.Network, asked.Tries
	return nil
}

// approvedBy makes the user the subject of an attempt that is being approved.
func (a *Attempt) approvedBy(person subject.Person) { a.Sub, a.SignOuts = person.Sub, person.SignOuts }

// profileFailed is token_received -> failed: the token fetched no profile. While
// another token of the attempt is being tried, it stays: a callback that came
// twice may bring a token that opens only once.
func (a *Attempt) profileFailed(d truecaller.Delivery, why Reason, now time.Time) error {
	if err := a.tokenReceived(tokenNote(d, now)); err != nil {
		return err
	}
	a.Trying = slices.DeleteFunc(slices.Clone(a.Trying), func(id string) bool { return id == d.ID })
	if len(a.Trying) > 0 && why != ForeignEndpoint {
		return nil
	}
	a.end(Failed, why, now)
	return nil
}

// decline is waiting -> rejected by the phone. It is final: should a token come
// after it, a new attempt must be started. It is too late once the attempt is
// approved.
func (a *Attempt) decline(d truecaller.Delivery, why Reason, now time.Time) error {
	if err := a.expects(d.App, redact.Text(d.RequestID), now); err != nil {
		return err
	}
	a.end(Rejected, why, now)
	return nil
}

// cancel is -> rejected from our side: by the user in the browser, or because
// the sign-in may not go on.
func (a *Attempt) cancel(why Reason, now time.Time) error {
	if a.expire(now) || a.State.Terminal() {
		return ErrState
	}
	a.end(Rejected, why, now)
	return nil
}

// use is approved -> done. It happens once: a second use is ErrState
// (invariant 9). grantID is that of the grant that the attempt gives.
func (a *Attempt) use(grantID string, now time.Time) error {
	if a.expire(now) || a.State != Approved {
		return ErrState
	}
	a.GrantID = grantID
	a.end(Done, NoReason, now)
	return nil
}

// expire is any live state -> expired, when the time is over. It reports whether
// the attempt is expired.
func (a *Attempt) expire(now time.Time) bool {
	if a.State.Terminal() {
		return a.State == Expired
	}
	if !a.over(now) {
		return false
	}
	ended := a.Expires
	if now.Before(ended) {
		ended = now
	}
	a.end(Expired, NoReason, ended)
	return true
}

// over reports whether the attempt's time is over. One that was created ahead of the
// clock would live for too long, and is over.
func (a *Attempt) over(now time.Time) bool {
	return !now.Before(a.Expires) || clock.Ahead(a.Created, now)
}

func (a *Attempt) end(s State, why Reason, at time.Time) {
	a.State, a.Reason, a.Ended, a.Trying = s, why, at, nil
}
