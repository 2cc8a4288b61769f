// Package login is the centre of the program: the attempt, one try to prove
// possession of a phone number through Truecaller, as a state machine.
//
//	created --number accepted--> pushing --accepted by Truecaller--> waiting
//	created --link handed out (one-tap)------------------------------> waiting
//	   waiting --callback--> token_received --profile matches--> approved --used--> done
//	any of the first five --> rejected | expired | failed(reason)
//
// A native attempt goes from created to token_received: nobody has to be waited
// for.
//
// Each arrow is one method on Attempt, run by a store inside one transaction.
// The method checks the old state; repeating an arrow is harmless; terminal
// states never change. The stored record is the only memory of the flow. Waking
// a waiting page is only a hint: the record is the truth.
//
// It knows nothing of HTTP or OpenID Connect: the authorization request that an
// attempt serves is opaque bytes to it.
package login

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// State is where an attempt stands.
type State string

// The states, in the order of the diagram above.
const (
	Created       State = "created"
	Pushing       State = "pushing"
	Waiting       State = "waiting"
	TokenReceived State = "token_received"
	Approved      State = "approved"
	Done          State = "done"

	Rejected State = "rejected"
	Expired  State = "expired"
	Failed   State = "failed"
)

// Terminal says whether s never changes again.
func (s State) Terminal() bool {
	return s == Done || s == Rejected || s == Expired || s == Failed
}

// Reason says why an attempt ended without success. It is for the log, the
// audit and the choice of page; it is never shown as it is.
type Reason string

// The reasons.
const (
	NoReason        Reason = ""
	UserRejected    Reason = "user_rejected"      // declined on the phone
	AnotherNumber   Reason = "use_another_number" // chose another number on the phone
	Cancelled       Reason = "cancelled"          // cancelled in the browser
	PhoneMismatch   Reason = "phone_mismatch"     // the profile is another number's (invariant 3)
	Misconfigured   Reason = "misconfigured"      // Truecaller refused our appKey or OAuth client id
	Refused         Reason = "refused"            // Truecaller refused the push for another reason
	Unavailable     Reason = "unavailable"        // Truecaller did not take the push, or did not answer
	ProfileFailed   Reason = "profile_failed"     // the token fetched no profile
	ForeignEndpoint Reason = "foreign_endpoint"   // the callback named a host that is not ours (invariant 5)
	InactiveAccount Reason = "inactive_account"   // the profile says isActive false
	RequestMismatch Reason = "request_mismatch"   // state and requestId do not agree (invariant 6)
	SeveralNumbers  Reason = "several_numbers"    // one-tap: the profile has several numbers, and the app's policy picks none
	CodeRefused     Reason = "code_refused"       // native: Truecaller refused the authorization code or its verifier
	NotGranted      Reason = "not_granted"        // native: the person did not grant the scopes that tell the number
	Unverified      Reason = "unverified_number"  // native: Truecaller says that the number is not verified
)

// Method is how the attempt reaches the person.
type Method string

// The methods.
const (
	// Push: the person types a number and Truecaller asks their phone.
	Push Method = "push"
	// OneTap: a link opens Truecaller on the same Android phone. The number is
	// learnt from the profile.
	OneTap Method = "onetap"
	// Native: the SDK of an Android application has asked, and the application
	// brings Truecaller's authorization code. The number is learnt from the
	// profile. There is no browser, and nobody but the application's own request
	// has to do with the attempt.
	Native Method = "native"
)

// ID is the attempt's public handle: 22 characters of base64url. It names the
// attempt in our own URLs and opens nothing without the browser's secret.
type ID string

// Attempt is one try. It is a plain record; its methods are the arrows.
type Attempt struct {
	ID     ID
	Method Method
	State  State
	Reason Reason

	// Browser is the SHA-256 of the secret in the cookie of the browser that
	// started it (invariant 2); zero, which is nobody's, for native.
	Browser [32]byte

	// Correlation is the SHA-256 of what Truecaller brings back: the state that
	// was sent with a push, or the nonce in a one-tap link. Each is 32 random
	// bytes, single use (invariant 6). RequestID is Truecaller's own for a push,
	// "" until known; for one-tap it is the nonce, which Truecaller returns as
	// requestId.
	Correlation [32]byte
	RequestID   string

	App      string       // the Truecaller app
	Number   phone.Number // zero for one-tap and native until it is approved
	ClientID string
	Network  string // whose budget was spent, for the audit

	// Request is the authorization request that it serves, opaque here.
	Request []byte

	Created time.Time
	Expires time.Time // after this it is expired, whatever State says
	Ended   time.Time // when it became terminal

	// Undeliverable says that Truecaller knows no account for the number. It
	// changes nothing that a person sees (invariant 7).
	Undeliverable bool

	// Invoked is when Truecaller said that its dialog is open on the phone
	// (flow_invoked): progress, and the only proof that the app is there.
	Invoked time.Time

	// Tries are what the budgets of its number and network had left after it.
	Tries Tries

	// Trying are the IDs of the inbox deliveries whose tokens are being tried
	// for a profile. Usually one; more when a callback came more than once.
	Trying []string

	// Sub and AuthTime are set by the arrow to approved.
	Sub      string
	AuthTime time.Time
}

// Effects are what an arrow does beside changing the attempt, in the same
// transaction.
type Effects struct {
	// Unlock releases the lock of the attempt's number (invariant 7).
	Unlock bool
	// CoolDown, when not zero, keeps the lock of the number until then instead.
	CoolDown time.Time
	// Drop is the inbox delivery whose work this finishes; "" for none.
	Drop string
}

// Errors of the store and of the arrows.
var (
	ErrNotFound = errors.New("login: no such attempt")
	// ErrState says that the arrow does not start at the attempt's state. The
	// attempt is left as it is.
	ErrState = errors.New("login: the attempt is not in a state for this")
	// ErrExists says that there is an attempt with this ID or correlation.
	ErrExists = errors.New("login: an attempt with this ID or correlation exists")
)

// Store keeps attempts. A step function runs inside the transaction, may run
// more than once, and has no effects of its own; when it returns an error
// nothing is written and the error is returned as it is. Attempts are kept for
// a while after Expires, then swept.
type Store interface {
	// CreateAttempt spends the budgets and keeps the attempt, in one
	// transaction, durable when it returns nil. A refused spend is a
	// *limit.Exceeded and nothing is written (invariants 1 and 7). ErrExists when
	// the ID or the correlation was used before: both are single use (invariant 6).
	CreateAttempt(ctx context.Context, a Attempt, spend limit.Spend, now time.Time) error

	// LimitStates returns how each key stands: the end of a lock, the theoretical
	// arrival time of a budget, the zero time where nothing is kept. It only
	// reads.
	LimitStates(ctx context.Context, keys ...limit.Key) ([]time.Time, error)

	// Attempt returns the attempt, or ErrNotFound.
	Attempt(ctx context.Context, id ID) (Attempt, error)

	// AttemptByCorrelation finds it by the SHA-256 of the state that was sent
	// to Truecaller.
	AttemptByCorrelation(ctx context.Context, correlation [32]byte) (Attempt, error)

	// UpdateAttempt runs step and keeps the result; durable when it returns nil.
	// Nothing is written when step leaves the attempt as it was and asks for no
	// effects.
	UpdateAttempt(ctx context.Context, id ID, step func(*Attempt) (Effects, error)) (Attempt, error)

	// NoteAttempt is UpdateAttempt for a change that a crash may lose: it is
	// applied in order with the other updates, and becomes durable with the
	// next of them. It does not wait, and reports nothing.
	NoteAttempt(ctx context.Context, id ID, step func(*Attempt) (Effects, error))

	// ApproveAttempt runs step with the person to whom number is bound now, nil
	// if none, and keeps the attempt and the person that step returns, binding
	// number to that person; who had it before has lost it (Person.NumberLost). A
	// zero number is bound to nobody. A Person without a
	// Sub is nobody: the attempt failed, and no person is kept. Durable when it
	// returns nil.
	ApproveAttempt(ctx context.Context, id ID, number phone.Number, step func(a *Attempt, known *subject.Person) (subject.Person, Effects, error)) (Attempt, error)

	// FinishAttempt runs step, and keeps the attempt with the session and the
	// code that it returns, in one transaction (invariant 9). A Code without a
	// grant's ID is none: the person has to consent before there is one.
	// replaces is the ID of a session that ends without a trace, "" for none:
	// the one that the browser had before. Its grants stay.
	FinishAttempt(ctx context.Context, id ID, replaces string, step func(*Attempt) (session.Session, grant.Code, error)) (Attempt, error)

	// RedeemAttempt is FinishAttempt where there is no browser: it keeps the
	// attempt with the grant and the access token that step returns (invariant 9).
	RedeemAttempt(ctx context.Context, id ID, step func(*Attempt) (grant.Redemption, error)) (Attempt, error)
}
