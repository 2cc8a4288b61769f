// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// Effects are what a transition does besides changing the attempt, in the same
// transaction.
type Effects struct {
	// Unlock releases the lock of the attempt's number (invariant 7).
	Unlock bool
	// CoolDown, when not zero, keeps the lock of the number until then instead; and a
	// known browser's lane until Unsolved, unless it solves a challenge, if that is later.
	CoolDown, Unsolved time.Time
	// Approved, when not zero, keeps the lock until then for other browsers than the
	// attempt's, which is free to ask again (limit.State.Approved).
	Approved time.Time
	// Push is what becomes of the cool-down that the attempt's push has raised.
	Push limit.Ended
	// Drop is the inbox delivery whose work this finishes; "" for none. A step with it is
	// stored only if this process holds the delivery (truecaller.Inbox), or fails with
	// ErrNotHeld: another one decides.
	Drop string
}

// Release returns what the effects make of the locks of the attempt that by stands for,
// if they change them.
func (e Effects) Release(by limit.Holder) (r limit.Release, changes bool) {
	r.By = by
	switch {
	case !e.Approved.IsZero():
		r.Until, r.Approved = e.Approved, true
	case !e.CoolDown.IsZero():
		r.Until, r.Unsolved = e.CoolDown, e.Unsolved
	default:
		return r, e.Unlock
	}
	return r, true
}

// Update is what a step makes of an attempt.
type Update struct {
	Attempt Attempt
	Effects Effects
}

// Approval is what a step makes of an attempt whose profile has arrived.
type Approval struct {
	Attempt Attempt
	Effects Effects
	// Person is the user who signs in, to be stored. One without a Sub is none: the
	// attempt failed.
	Person subject.Person
	// ChangedHands says that the number was another user's before. It is for the
	// caller; a store finds out by itself whom the number was bound to.
	ChangedHands bool
}

// SignIn is what the use of an approved attempt gives its browser.
type SignIn struct {
	Attempt Attempt
	Session session.Session
	// Code is the authorization code. One without a grant's ID is none: the user has
	// to consent first.
	Code grant.Code
	// Replaces is the secret of a session that ends, zero for none: the one that the
	// browser had before. Its grants stay. Session continues one of the same user
	// (session.Session.Continues); the participants of another user's are told. There
	// need not be one.
	Replaces session.SecretHash
	// Others are the other attempts of the same browser that are live at Attempt.Ended, in
	// no particular order. The store finds them.
	Others []ID
}

// NativeSignIn is what the use of an approved native attempt gives the
// application: a grant and its tokens.
type NativeSignIn struct {
	Attempt    Attempt
	Redemption grant.Redemption
}

// Errors of the store and of the transitions.
var (
	ErrNotFound = errors.New("login: no such attempt")
	// ErrState says that the transition does not start at the attempt's state. The
	// attempt is left as it is.
	ErrState = errors.New("login: the attempt is not in a state for this")
	// ErrSignedOut says that the user has signed out everywhere since the approval: it
	// gives no session any more.
	ErrSignedOut = errors.New("login: the user has signed out everywhere since the approval")
	// ErrNotHeld says that this process does not hold the delivery that a step is about.
	// Nothing was stored.
	ErrNotHeld = errors.New("login: another server holds the delivery")
	// ErrExists says that there is an attempt with this ID or correlation, or a live one
	// that the same form has started.
	ErrExists = errors.New("login: an attempt with this ID, correlation or form exists")
)

// Store keeps attempts, for a while after they expire; then it deletes them.
//
// A step decides inside the transaction: it gets the stored attempt and returns
// everything that is to be stored. When it returns an error, nothing is stored and
// the error is returned as it is. A store may run a step more than once, when the
// transaction has to be repeated, and returns the value of the run that was
// committed. A step must be pure: it depends on its arguments and on values that
// were fixed before, such as the time and new secrets, and changes nothing.
//
// What a method has stored is durable when the method returns nil.
type Store interface {
	// CreateAttempt spends the budgets for Attempt.Holder (see limit.Decide) and stores the
	// attempt as Attempt.Charged returns it, in one transaction. A refused spend is a
	// *limit.Exceeded: the attempt is not stored, and the states that limit.Decide returns with
	// the error are (invariants 1 and 7). ErrExists when the ID or the correlation was used
	// before: both are single use (invariant 6); and when an attempt with the same
	// Attempt.Form, if that is not zero, is live at now.
	CreateAttempt(ctx context.Context, a Attempt, spend limit.Spend, now time.Time) error

	// LimitStates returns the state of each key, the zero State if nothing is stored.
	// It only reads.
	LimitStates(ctx context.Context, keys ...limit.Key) ([]limit.State, error)

	// Attempt returns the attempt, or ErrNotFound.
	Attempt(ctx context.Context, id ID) (Attempt, error)

	// AttemptByCorrelation finds the attempt by the SHA-256 of the state that was
	// sent to Truecaller.
	AttemptByCorrelation(ctx context.Context, correlation [32]byte) (Attempt, error)

	// RecallAttempt and RecallByCorrelation are Attempt and AttemptByCorrelation, perhaps
	// out of date: as the process has last seen the attempt. They are for what never
	// changes, and for what a step decides again.
	RecallAttempt(ctx context.Context, id ID) (Attempt, error)
	RecallByCorrelation(ctx context.Context, correlation [32]byte) (Attempt, error)

	// HeardAttempt is Attempt, perhaps without a change of which the process has not heard
	// yet (Engine.Changed). It is for a page that is notified of the change later.
	HeardAttempt(ctx context.Context, id ID) (Attempt, error)

	// OpenAttempt is HeardAttempt for the first page of an attempt that this server has just
	// created, and Attempt for any other.
	OpenAttempt(ctx context.Context, id ID) (Attempt, error)

	// AttemptByForm finds the latest attempt that has this Attempt.Form, or ErrNotFound.
	AttemptByForm(ctx context.Context, form [32]byte) (Attempt, error)

	// LiveAttempts returns the attempts of a browser (Attempt.Browser) that are live at
	// now (Attempt.Live), in no particular order. It only reads.
	LiveAttempts(ctx context.Context, browser [32]byte, now time.Time) ([]ID, error)

	// UpdateAttempt runs step and stores what it returns. Nothing is written when
	// step leaves the attempt as it was and returns no effects.
	UpdateAttempt(ctx context.Context, id ID, step func(Attempt) (Update, error)) (Attempt, error)

	// ResumeAttempt runs step, spends the budgets of the asker (see limit.Decide) and
	// stores what step returns, in one transaction. form is the Attempt.Form that step
	// may give the attempt: it finds the attempt then, and the form before does not.
	// Nothing is spent or stored when step leaves the attempt as it was, or when the
	// spend is refused, which is a *limit.Exceeded.
	ResumeAttempt(
		ctx context.Context, id ID, form [32]byte, spend limit.Spend, now time.Time, step func(Attempt) (Attempt, error),
	) (Attempt, error)

	// NoteAttempt applies a note (Attempt.Apply), in order with all other changes.
	// Every later read has it. It becomes durable with the next durable change, or
	// soon by itself; a crash before that loses it. A note that does not apply is
	// dropped. NoteAttempt does not wait, and reports nothing.
	NoteAttempt(ctx context.Context, id ID, n Note)

	// ApproveAttempt runs step with the user to whom number is bound now, nil for
	// none, and stores the attempt and the user that step returns. It binds number
	// to that user; the user who had it before has lost it (Person.NumberLost). All
	// spellings of a line are one number (phone.SameLine). A zero number is bound to
	// no user.
	ApproveAttempt(
		ctx context.Context, id ID, number phone.Number,
		step func(a Attempt, known *subject.Person) (Approval, error),
	) (Approval, error)

	// FinishAttempt runs step with what the attempt's user allows its client, nil for
	// nothing, and stores the attempt with the session and the code that step returns, in
	// one transaction (invariant 9). ErrSignedOut if the session's user has another
	// Person.SignOuts than the attempt: nothing is stored.
	FinishAttempt(ctx context.Context, id ID, step func(a Attempt, allowed *consent.Consent) (SignIn, error)) (SignIn, error)

	// RedeemAttempt is FinishAttempt where there is no browser: it stores the attempt
	// with the grant and the access token that step returns (invariant 9).
	RedeemAttempt(ctx context.Context, id ID, step func(Attempt) (NativeSignIn, error)) (NativeSignIn, error)
}
