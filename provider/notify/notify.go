// SPDX-License-Identifier: Apache-2.0

// Package notify tells clients what has happened, in the background: a durable queue of
// notices, which the transaction of a fact writes, and what delivers them. It knows neither
// the form of a notice nor how it travels: a Sender of each Kind does.
//
//	notify.go    notices, receivers, and where they are kept
//	receiver.go  what a try makes of them: a pure decision
//	deliver.go   the worker
//	logout.go    the notices of a session's end
package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/keys"
)

// Kind is what a notice is about.
type Kind string

// The kinds.
const (
	// Logout says that a session has ended, to a client.
	Logout Kind = "logout"
	// Signal is an event of a client's stream (package signals).
	Signal Kind = "signal"
)

// Kinds are all kinds.
var Kinds = []Kind{Logout, Signal}

// Notice is a fact that a client is to be told. It has the user's and the session's own
// identifiers: those of the client are made at each delivery, as are its signature and
// times, because keys change.
type Notice struct {
	ID       string // stable over all tries, and in the order of At
	Receiver string // client_id, or the stream of one (signals.Lane)
	Kind     Kind
	Event    string // of a Signal: its type
	Sub      string
	SID      string // "" for all sessions of the user at the client
	At       time.Time
	Met      time.Time // when the client last got something there
	Tries    uint32    // that have failed
	Detail   string    // of a Signal: what its event says besides, without personal data
}

// NewID returns the ID of the nth notice of one moment.
func NewID(at time.Time, n int) string {
	return fmt.Sprintf("%016x%04x", at.UnixNano(), n) + keys.RandomText(16)
}

// Receiver is how the deliveries to a client stand. They go one after the other, in the
// order of the facts.
type Receiver struct {
	ID        string
	Failures  uint32    // in a row
	Next      time.Time // no try before; zero: at once
	Delivered time.Time // when the last one succeeded
	Failed    time.Time // when the last one failed
	Reason    string    // why it failed
}

// Standing is a receiver with what waits for it.
type Standing struct {
	Receiver
	Waiting int
	Oldest  time.Time // Notice.At of the first one; zero: none waits
}

// Bounds of the queue.
const (
	// Kept is for how long after its fact a logout notice is tried: longer than a session at
	// an application that a browser still has, usually.
	Kept = 24 * time.Hour
	// SignalsKept is the same for a signal: a receiver may be away for a week and more.
	SignalsKept = 14 * 24 * time.Hour
	// MaxWaiting is how many logout notices wait for one receiver. A further one is not kept:
	// a client that is gone must not fill the store.
	MaxWaiting = 1000
	// MaxSignals is the same for signals.
	MaxSignals = 20_000
	// ReceiverKept is how long it is known how the deliveries to a client went.
	ReceiverKept = 30 * 24 * time.Hour
	// Held is for how long a server holds a receiver after its last call about it. It is
	// longer than a try (backchannel.sendFor). With the two seconds between two looks, another
	// server goes on within ten after the first was killed.
	Held = 8 * time.Second
)

// Expires returns when a store may forget a notice that it could not be asked about.
func (n Notice) Expires() time.Time { return n.At.Add(n.Kind.Kept() + time.Hour) }

// Kept returns for how long after its fact a notice of this kind is tried.
func (k Kind) Kept() time.Duration {
	if k == Signal {
		return SignalsKept
	}
	return Kept
}

// MaxWaiting returns how many notices of this kind wait for one receiver.
func (k Kind) MaxWaiting() int {
	if k == Signal {
		return MaxSignals
	}
	return MaxWaiting
}

// Numbered returns notices of one moment with their IDs, in the order of which they are
// delivered. One that has an ID keeps it.
func Numbered(all []Notice) []Notice {
	numbered := slices.Clone(all)
	for i := range numbered {
		if numbered[i].ID == "" {
			numbered[i].ID = NewID(numbered[i].At, i)
		}
	}
	return numbered
}

// Errors of stores.
var (
	ErrNone     = errors.New("notify: no notice waits for the receiver")
	ErrNotHeld  = errors.New("notify: another server holds the receiver")
	ErrNotFound = errors.New("notify: no such receiver")
)

// Store keeps notices. They are written by the transaction of their fact: session.Store's
// EndSession, subject.RecordStore's EndSessions, RevokeClient and DeletePerson, and
// login.Store's FinishAttempt, where it replaces another user's session.
type Store interface {
	// TakeReceivers returns up to most receivers that have notices, are due and that no
	// server holds, those that are due the longest first. This server holds them then,
	// for Held after each call about them, until it leaves them.
	TakeReceivers(ctx context.Context, most int) ([]string, error)
	// NextNotice returns the first notice of a receiver that this server holds, or
	// ErrNone, or ErrNotHeld.
	NextNotice(ctx context.Context, receiver string) (Notice, error)
	// SettleNotice stores, durably, what a try has made of a notice and its receiver. settle
	// is pure. done deletes the notice. It leaves a receiver whose Next lies ahead.
	// ErrNotHeld: another server decides.
	SettleNotice(ctx context.Context, n Notice, settle func(Receiver, Notice) (_ Receiver, _ Notice, done bool)) error
	// LeaveReceiver lets any server take a receiver after a pause. It is no error if this
	// server no longer holds it.
	LeaveReceiver(ctx context.Context, receiver string, pause time.Duration) error
	// Noticed has a value when a transaction of this server has written notices.
	Noticed() <-chan struct{}

	Queue
}

// Queue is what operators see and do.
type Queue interface {
	// Receivers returns all receivers, ordered by ID.
	Receivers(ctx context.Context) ([]Standing, error)
	// RetryReceiver makes a receiver due at once, as if nothing had failed, or returns
	// ErrNotFound.
	RetryReceiver(ctx context.Context, receiver string) error
	// DropNotices deletes what waits for a receiver, and returns how many.
	DropNotices(ctx context.Context, receiver string) (int, error)
	// NoticesWaiting returns how many notices wait.
	NoticesWaiting(ctx context.Context) (int, error)
}
