// SPDX-License-Identifier: Apache-2.0

// Package signals owns what applications are told of their users beside sign-ins: which
// events there are, which stream takes which of them, and which facts become which events
// (OpenID Shared Signals Framework 1.0, CAEP 1.0, RISC 1.0). It knows no HTTP and no form of
// a token: package transmitter does.
//
//	signals.go  the events
//	stream.go   a client's stream, and what its receiver may ask of it
//	facts.go    the notices of a fact: pure functions, which stores call
//	known.go    which clients know a user
//	store.go    where streams are kept
package signals

import (
	"slices"
	"strings"
)

// Event is a type of event, by the last part of its URI.
type Event string

// The events. IdentifierChanged of RISC is none of them: we are not the authority on a number.
const (
	SessionRevoked     Event = "session-revoked"     // CAEP §3.1
	TokenClaimsChange  Event = "token-claims-change" // CAEP §3.2
	SessionEstablished Event = "session-established" // CAEP §3.6
	IdentifierRecycled Event = "identifier-recycled" // RISC §2.6
	AccountPurged      Event = "account-purged"      // RISC §2.2
	Verification       Event = "verification"        // SSF §8.1.4.1
	StreamUpdated      Event = "stream-updated"      // SSF §8.1.5
)

// Supported are the events that a receiver may request. The other two are about the stream
// itself, and every receiver gets them.
var Supported = []Event{SessionRevoked, TokenClaimsChange, SessionEstablished, IdentifierRecycled, AccountPurged}

const base = "https://schemas.openid.net/secevent/"

// URI returns the URI of an event type.
func (e Event) URI() string {
	switch e {
	case IdentifierRecycled, AccountPurged:
		return base + "risc/event-type/" + string(e)
	case Verification, StreamUpdated:
		return base + "ssf/event-type/" + string(e)
	}
	return base + "caep/event-type/" + string(e)
}

// AboutStream reports whether an event is about the stream itself, not about a user.
func (e Event) AboutStream() bool { return e == Verification || e == StreamUpdated }

// URIs returns the URIs of events, in their order.
func URIs(events []Event) []string {
	uris := make([]string, len(events))
	for i, e := range events {
		uris[i] = e.URI()
	}
	return uris
}

// Understood returns the supported events that are among the URIs, in the order of Supported.
func Understood(uris []string) (events []Event) {
	for _, e := range Supported {
		if slices.Contains(uris, e.URI()) {
			events = append(events, e)
		}
	}
	return events
}

// lane is what the receiver of a stream's notices begins with. No client_id has a colon.
const lane = "stream:"

// Lane returns the receiver (notify.Notice) of what a client's stream carries. It is another
// one than that of the client's logout tokens: neither waits for the other.
func Lane(clientID string) string { return lane + clientID }

// ClientOf returns the client whose stream a receiver is, and false for any other receiver.
func ClientOf(receiver string) (clientID string, is bool) { return strings.CutPrefix(receiver, lane) }
