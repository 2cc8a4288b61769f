// SPDX-License-Identifier: Apache-2.0

package signals

import (
	"context"
	"errors"

	"calleridp/provider/notify"
)

// Errors of stores.
var (
	ErrNotFound = errors.New("signals: the client has no stream")
	ErrTooMany  = errors.New("signals: too many subjects were removed from the stream")
)

// Update is what a change makes of a client's stream. The zero value deletes it.
type Update struct {
	Stream *Stream // nil: there is none any more
	// Drop deletes what waits for it, and which subjects were removed if there is none any more.
	Drop bool
	// Tell is written with the change, and goes to the receiver.
	Tell []notify.Notice
}

// Store keeps streams, and what clients know of users. Writes are durable when they return.
// The transaction of a fact writes its notices: see notify.Store.
type Store interface {
	// Stream returns the stream of a client, or ErrNotFound.
	Stream(ctx context.Context, clientID string) (Stream, error)
	// Streams returns all streams, ordered by client.
	Streams(ctx context.Context) ([]Stream, error)
	// ChangeStream replaces a client's stream by what change returns, inside the
	// transaction; known is nil for none. Then deliveries to it are due at once. change is
	// pure. Its error is returned, and nothing stored.
	ChangeStream(ctx context.Context, clientID string, change func(known *Stream) (Update, error)) (Update, error)
	// PollNotices deletes the notices of a client's stream with the IDs in done, and
	// returns the first ones of those that are left, in order, and how many are left.
	PollNotices(ctx context.Context, clientID string, done []string, most int) (first []notify.Notice, waiting int, err error)

	// RemoveSubject stores that a client wants nothing of a subject, and AddSubject that it
	// does, which is so at first. subject is a keyed hash. RemoveSubject returns ErrTooMany
	// at MaxRemoved.
	RemoveSubject(ctx context.Context, clientID string, subject [32]byte) error
	AddSubject(ctx context.Context, clientID string, subject [32]byte) error
	// SubjectRemoved reports whether RemoveSubject was the last of the two.
	SubjectRemoved(ctx context.Context, clientID string, subject [32]byte) (bool, error)
}
