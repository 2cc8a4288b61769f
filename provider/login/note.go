// SPDX-License-Identifier: Apache-2.0

package login

import (
	"fmt"
	"time"

	"calleridp/provider/redact"
)

// Note is a state transition that a crash may lose, as a value: a store applies
// it in order with all other changes, and makes it durable with the next of them.
// Losing a note is harmless: an attempt that is found in pushing waits for its
// callback like any other, and a callback is in the inbox until its work is done.
type Note struct {
	Kind NoteKind
	At   time.Time // when it happened

	// RequestID is Truecaller's own ID of the request, of one-tap the nonce; "" if it did
	// not say.
	RequestID redact.Text
	// Undeliverable says that Truecaller knows no account for the number
	// (NoteAccepted).
	Undeliverable bool

	// App is the Truecaller app at whose address the callback arrived, and Delivery
	// its ID in the inbox (NoteInvoked, NoteToken).
	App      string
	Delivery string
}

// NoteKind says what happened.
type NoteKind string

// The kinds of notes.
const (
	NoteAccepted  NoteKind = "accepted"  // Truecaller took the push, or may have
	NoteInvoked   NoteKind = "invoked"   // its dialog is open on the phone
	NoteToken     NoteKind = "token"     // a callback has brought a token, which is being tried
	NoteExchanged NoteKind = "exchanged" // native: Truecaller took the application's code
)

// Apply makes the transition that the note describes. If it returns an error, the
// attempt is as it was.
func (a *Attempt) Apply(n Note) error {
	next := *a
	if err := next.apply(n); err != nil {
		return err
	}
	*a = next
	return nil
}

func (a *Attempt) apply(n Note) error {
	switch n.Kind {
	case NoteAccepted:
		return a.accepted(n)
	case NoteInvoked:
		return a.invoked(n)
	case NoteToken:
		return a.tokenReceived(n)
	case NoteExchanged:
		return a.exchanged(n)
	}
	return fmt.Errorf("login: no kind of note %q", n.Kind)
}
