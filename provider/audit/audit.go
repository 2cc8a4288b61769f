// SPDX-License-Identifier: Apache-2.0

// Package audit is the account of who tried to sign in where, and who changed
// what. An event never holds a secret or a whole phone number (invariant 10).
//
//	events.go  what the catalogue says of an event; its entries, by noun:
//	           attempts.go, clients.go, devices.go, sessions.go, operators.go, trailevents.go
//	log.go     a DurableRecorder that makes lines of them
//	change.go  a change that does not happen unless its line is kept
//	read.go    what readers of the audit ask for and get
//	sums.go    Sums, which keeps an attacker from filling the log: one line for many
//	lines.go   Sums for callbacks, and for all warnings and errors
package audit

import (
	"context"

	"calleridp/truecaller/phone"
)

// Event is one line of the account. The catalogue says which fields an event of
// each name has.
type Event struct {
	Name Name

	Attempt string // ID of the sign-in attempt
	Method  string // how the attempt reaches the user: push, onetap or native
	Number  phone.Number
	Network string // whose budget was spent, see limit.NetworkOf
	App     string // the Truecaller app

	Client  string // client_id
	Subject string // the user's own sub, also for pairwise clients
	Session string // sid of the session that the event is about
	Actor   string // sid of the session in which the user acted
	Grant   string // ID of the grant
	Scope   string // space-separated

	Reason string // why an attempt ended, or a grant was refused
	Err    error  // what was wrong with a solution; the OAuth error code of a client that did not authenticate; why a response was withheld

	Endpoint string // at which a client did not authenticate

	Limit    string // kind of the lock or budget that refused an attempt
	Reserved bool   // the refusal leaves room for browsers that solve a challenge
	Kind     string // kind of the credential or of the limit
	Of       string // whose limit it is; a masked number, a network, a client; the ID of an initial access token
	Key      string // kid of a signing key
	Alg      string // of the signing keys that were rotated
	Force    bool   // an operator skipped the waiting time

	Fields string // what an operator changed of a client, see the event
	Change Name   // the event whose change failed

	operator string // see WithOperator
}

// Recorder keeps events. It must be safe for concurrent use and quick: the
// caller waits for it.
type Recorder interface {
	Record(ctx context.Context, e Event)
}

// DurableRecorder is a Recorder that also makes events durable before what they announce
// happens. It must be safe for concurrent use.
type DurableRecorder interface {
	Recorder
	// RecordDurable returns nil once the event is durable, as far as its destination can
	// tell. On an error, the event may have been recorded or not, and what it announces must
	// not happen.
	RecordDurable(ctx context.Context, e Event) error
}

// Discard is a DurableRecorder that keeps nothing.
var Discard DurableRecorder = discard{}

type discard struct{}

func (discard) Record(context.Context, Event) {}

func (discard) RecordDurable(context.Context, Event) error { return nil }

type operatorKey struct{}

// WithOperator returns a context for what an operator does. Each event that is recorded in
// it names them, under the key operator: the name of an API key, the sub of a user of the
// console, or the user of the system who has opened the admin socket.
func WithOperator(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, operatorKey{}, who)
}

// Operator returns the operator of the context, "" if there is none.
func Operator(ctx context.Context) string {
	who, _ := ctx.Value(operatorKey{}).(string)
	return who
}
