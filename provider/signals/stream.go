// SPDX-License-Identifier: Apache-2.0

package signals

import (
	"slices"
	"time"

	"calleridp/provider/redact"
)

// Method is how a stream's events reach its receiver, as a URI (SSF §6.1).
type Method string

// The methods.
const (
	Push Method = "urn:ietf:rfc:8935"
	Poll Method = "urn:ietf:rfc:8936"
)

// Methods are all methods.
var Methods = []Method{Push, Poll}

// Status is what becomes of a stream's events (SSF §8.1.2.1).
type Status string

// The statuses.
const (
	Enabled  Status = "enabled"
	Paused   Status = "paused"   // events are held, for as long as notify.Kept says
	Disabled Status = "disabled" // events are dropped
)

// Actor is who has set a stream's status.
type Actor string

// The actors.
const (
	ByReceiver    Actor = "receiver"
	ByOperator    Actor = "operator"    // whose pause the receiver cannot end
	ByTransmitter Actor = "transmitter" // this program, because the receiver does not come back
)

// Stream is the event stream of a client. A client has one at most.
type Stream struct {
	ID       string // 22 characters of base64url
	ClientID string
	Method   Method
	// Endpoint is where events are pushed to, and Authorization the value of the header of
	// that name, "" for none. Both are empty for Poll.
	Endpoint      string
	Authorization redact.Text
	// Requested are the URIs that the receiver has asked for, also those that mean nothing
	// here. AllRequested says that it has named none: then it gets all.
	Requested    []string
	AllRequested bool
	Description  string
	Status       Status
	Reason       string // why it has the status; "" for none
	By           Actor
	Created      time.Time
	Changed      time.Time // of the status
	Verified     time.Time // when the last verification was requested; zero: never
}

// HeldByOperator reports whether an operator has paused the stream: its receiver cannot end that.
func (s Stream) HeldByOperator() bool { return s.By == ByOperator && s.Status != Enabled }

// Delivered returns the events that the stream carries (events_delivered).
func (s Stream) Delivered() []Event {
	if s.AllRequested {
		return slices.Clone(Supported)
	}
	return Understood(s.Requested)
}

// Takes reports whether an event is kept for the stream when it happens.
func (s Stream) Takes(e Event) bool {
	if e.AboutStream() {
		return true
	}
	return s.Status != Disabled && slices.Contains(s.Delivered(), e)
}

// Bounds of a stream's configuration.
const (
	MaxRequested   = 64   // URIs
	MaxText        = 512  // bytes of a description, a reason or one URI
	MaxState       = 1024 // bytes of the state of a verification
	MaxHeader      = 4096 // bytes of Authorization
	VerifyEvery    = 10 * time.Second
	MaxRemoved     = 10_000             // subjects that a receiver may have removed
	PausedAfter    = 8 * 24 * time.Hour // that the first event waits
	NeverComesBack = "the receiver has not taken events for eight days"
)
