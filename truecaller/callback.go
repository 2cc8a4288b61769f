// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Callback is a decoded callback. Its form has been checked, its truth has not: an
// attacker who knows the callback address can post one. It prints without its token
// and ids.
type Callback struct {
	RequestID   string // Truecaller's request id (push), or our own nonce (one-tap)
	State       string // the state we sent with a push; "" when absent
	AccessToken string // a bearer for the profile; "" when Status says why not
	Endpoint    string // the profile address it names; only ever selects a configured host
	Status      string // flow_invoked, user_rejected, use_another_number, or one we do not know
}

// Format writes the kind of callback, for every verb (invariant 10).
func (c Callback) Format(f fmt.State, _ rune) { io.WriteString(f, c.kind()) }

// LogValue returns the kind of callback (invariant 10).
func (c Callback) LogValue() slog.Value { return slog.StringValue(c.kind()) }

// MarshalText and MarshalBinary keep token and ids out of what is encoded. An inbox
// stores the fields.
func (c Callback) MarshalText() ([]byte, error)   { return []byte(c.kind()), nil }
func (c Callback) MarshalBinary() ([]byte, error) { return c.MarshalText() }

// Correlation returns the SHA-256 of what leads to the attempt: the state that was sent
// with a push, or for one-tap our nonce, which comes back as the request id.
func (c Callback) Correlation() [32]byte {
	if c.State == "" {
		return sha256.Sum256([]byte(c.RequestID))
	}
	return sha256.Sum256([]byte(c.State))
}

func (c Callback) kind() string {
	if c.AccessToken != "" {
		return "callback with a token"
	}
	return "callback with a status"
}

// Delivery is a callback in the inbox.
type Delivery struct {
	ID       string // the same for equal callbacks, so that a repeated one is one delivery
	App      string // the Truecaller app at whose path it arrived
	Received time.Time
	Callback
}

// ErrNotFound is returned by stores for a missing record.
var ErrNotFound = errors.New("truecaller: not found")

// Inbox holds deliveries from the response to Truecaller until they are processed, so
// that a crash between callback and profile loses nothing (invariants 4 and 8). It
// encrypts access tokens.
//
// A delivery is held by one process at a time, which alone works on it: a token may open
// its profile only once. A process holds what it puts first, and what it takes because
// no process holds it any more, until it has dropped it or has ended. One that is cut off
// from the store, or stands still, loses what it holds after some seconds.
type Inbox interface {
	// PutDelivery stores a delivery durably, and reports whether this process holds it.
	// The same ID twice is one delivery, the first. One that was dropped may be put
	// again: the attempt knows that it is late (Recipient.Token).
	PutDelivery(ctx context.Context, d Delivery) (held bool, err error)

	// Deliveries returns up to max deliveries that this process holds, oldest first. It
	// takes those that no process holds. One that cannot be read hides no other.
	Deliveries(ctx context.Context, max int) ([]Delivery, error)

	// HoldDelivery reports whether this process still holds a delivery, and if so, for
	// some seconds more.
	HoldDelivery(ctx context.Context, id string) (held bool, err error)

	// DropDelivery deletes a delivery, if this process holds it. Deleting another's or a
	// missing one is no error. It need not be durable when it returns: a delivery may be
	// processed again.
	DropDelivery(ctx context.Context, id string) error
}

// Recipient decides what callbacks mean. The attempt engine implements it.
type Recipient interface {
	// Expects reports whether a live attempt waits for this callback at this app's address. An
	// unexpected callback gets the same response as any other and is not stored.
	Expects(ctx context.Context, app string, c Callback) (bool, error)

	// Progress takes a delivery without a token: an event or a refusal. It may be
	// repeated.
	Progress(ctx context.Context, d Delivery) error

	// Token takes a delivery with a token, before its profile is fetched.
	// If it returns ErrNotFound, no attempt waits for the delivery: its token is not
	// used and the delivery is dropped.
	Token(ctx context.Context, d Delivery) error

	// Profile takes the profile that the delivery's token fetched. It deletes the
	// delivery in the transaction that uses the profile. Where this process does not
	// hold the delivery any more, it does nothing.
	Profile(ctx context.Context, d Delivery, p Profile) error

	// Failed takes the final failure to fetch the profile, and deletes the delivery in
	// the same transaction; or nothing, as for Profile. cause is one of the errors of
	// this package.
	Failed(ctx context.Context, d Delivery, cause error) error
}
