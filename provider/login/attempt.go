// SPDX-License-Identifier: Apache-2.0

// Package login is the centre of the program: the attempt, one try to prove
// possession of a phone number through Truecaller, as a state machine.
//
//	created --number accepted--> pushing --accepted by Truecaller--> waiting
//	created --link handed out (one-tap)------------------------------> waiting
//	   waiting --callback--> token_received --profile matches--> approved --used--> done
//	any of the first five --> rejected | expired | failed(reason)
//
// A native attempt goes from created to token_received: there is no push and no
// callback.
//
//	attempt.go      the attempt
//	transitions.go  what may happen to it: one method a state transition
//	note.go         transitions that a crash may lose, as values
//	outcome.go      the secrets that a finished attempt gives its browser
//	store.go        what a storage engine keeps, and in which transactions
//	engine.go       starting attempts; native.go for native ones
//	resume.go       an attempt that serves another request of its browser
//	recipient.go    what callbacks do
//	browser.go      what a browser may do
//	hub.go          waking the pages that wait
//
// A store runs each transition inside one transaction. The transition checks the
// old state; repeating it is harmless; terminal states never change. The stored
// record is the only memory of the flow. Waking a waiting page is only a hint: the
// record is the truth.
//
// The package knows nothing of HTTP or OpenID Connect: the authorization request
// that an attempt serves is opaque bytes to it.
package login

import (
	"time"

	"calleridp/provider/redact"
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

// Terminal reports whether s never changes again.
func (s State) Terminal() bool {
	return s == Done || s == Rejected || s == Expired || s == Failed
}

// Live reports whether the attempt may still succeed, or has succeeded and was not
// used.
func (a Attempt) Live(now time.Time) bool { return !a.expire(now) && !a.State.Terminal() }

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
	SeveralNumbers  Reason = "several_numbers"    // one-tap: the profile has several numbers, and the app's policy picks none
	CodeRefused     Reason = "code_refused"       // native: Truecaller refused the authorization code or its verifier
	NotGranted      Reason = "not_granted"        // native: the user did not grant the scopes that tell the number
	CodeReused      Reason = "code_reused"        // native: the authorization code was presented again meanwhile
	NotIssued       Reason = "not_issued"         // native: no tokens could be made, or the user may have none
	Unverified      Reason = "unverified_number"  // native: Truecaller says that the number is not verified
)

// Method is how the attempt reaches the user.
type Method string

// The methods.
const (
	// Push: the user types a number and Truecaller sends a push to their phone.
	Push Method = "push"
	// OneTap: a link opens Truecaller on the same Android phone. The number is
	// learnt from the profile.
	OneTap Method = "onetap"
	// Native: the SDK of an Android application has shown Truecaller's dialog, and
	// the application brings Truecaller's authorization code. The number is learnt
	// from the profile. There is no browser: only the application's own request has
	// to do with the attempt.
	Native Method = "native"
)

// ID is the attempt's public handle: 22 characters of base64url. It names the
// attempt in our own URLs and opens nothing without the browser's secret.
type ID string

// Attempt is one try. It is a plain record; its methods are the state transitions.
type Attempt struct {
	ID     ID
	Method Method
	State  State
	Reason Reason

	// Browser is the SHA-256 of the secret in the cookie of the browser that
	// started it (invariant 2); zero, which no browser has, for native.
	Browser redact.Hash

	// Form is a hash of the form that started a push, of its number and of its browser's
	// secret: the same form sent again finds the attempt. Zero for other methods.
	Form redact.Hash

	// Correlation is the SHA-256 of what Truecaller brings back: the state that
	// was sent with a push, or the nonce in a one-tap link. Each is 32 random
	// bytes, single use (invariant 6). RequestID is Truecaller's own for a push,
	// "" until known; for one-tap it is the nonce, which Truecaller returns as
	// requestId.
	Correlation redact.Hash
	RequestID   redact.Text

	App      string       // the Truecaller app
	Number   phone.Number // zero for one-tap and native until it is approved
	ClientID string
	Network  string // whose budget was spent, for the audit

	// Request is the authorization request that it serves, opaque here. Until the user
	// has approved, the same browser may replace it by another, with ClientID, Network
	// and Form.
	Request []byte

	Created time.Time
	Expires time.Time // after this it is expired, whatever State says
	Ended   time.Time // when it became terminal

	// Undeliverable says that Truecaller knows no account for the number. It
	// changes nothing that a user sees (invariant 7).
	Undeliverable bool

	// Invoked is when Truecaller said that its dialog is open on the phone
	// (flow_invoked): progress, and the only proof that the app is there.
	Invoked time.Time

	// Pushes is how many pushes to its number that were not approved the number's
	// cool-down remembered, this one included; 0 if it raised none (limit.CoolDown).
	Pushes int

	// Tries are what the budgets of its number and network had left after it.
	Tries Tries

	// Trying are the IDs of the inbox deliveries whose tokens are being tried
	// for a profile. Usually one; more when a callback came more than once. A step of
	// UpdateAttempt sees those that other processes hold, too.
	Trying []string

	// Sub, AuthTime and SignOuts, which is that of the user (subject.Person), are set by the
	// transition to approved.
	Sub      string
	AuthTime time.Time
	SignOuts uint32

	// GrantID is the ID of the grant that the attempt gives, set by the transition
	// to done. The grant itself is created later: when the code is redeemed.
	GrantID string
	// Outcome is the Outcome of a finished attempt, sealed for the browser that
	// started it; nil for native. See Attempt.OutcomeFor.
	Outcome []byte
}
