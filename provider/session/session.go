// SPDX-License-Identifier: Apache-2.0

// Package session owns browser sessions: a browser in which a user has signed in.
// A session lets a second client sign the same user in without another push, until
// it ends or expires.
package session

import (
	"context"
	"errors"
	"time"
)

// Session is a signed-in browser. The cookie carries a secret; only its
// SHA-256 is kept. ID is the public sid claim and opens nothing.
type Session struct {
	ID       string
	Secret   SecretHash
	Sub      string
	AuthTime time.Time // when the user approved (auth_time, OpenID Connect Core §2)
	ACR      string
	AMR      []string
	Created  time.Time
	Expires  time.Time
	LastUsed time.Time // when it last signed the user in to a client
	Device   Device
	Country  string // of the network at the sign-in, ISO 3166-1 alpha-2; "" when it is not known

	// Participants are the clients that got something in it, the latest last. The step that
	// makes a code adds its client (grant.Store, login.Store, consent.Store).
	Participants []Participant
}

// ErrNotFound is returned by stores for a session that is not there, has ended
// or has expired.
var ErrNotFound = errors.New("session: not found")

// Store keeps sessions. They are created by the transaction that finishes an
// attempt (login.Store).
type Store interface {
	// SessionBySecret finds the session whose cookie's secret has this hash.
	SessionBySecret(ctx context.Context, secret SecretHash) (Session, error)

	// RecallBySecret is SessionBySecret, perhaps out of date: as this server has last seen
	// the session. It is for what never changes, whose it is, and for what a transaction
	// with its sid decides again.
	RecallBySecret(ctx context.Context, secret SecretHash) (Session, error)

	// Session finds a session by its sid.
	Session(ctx context.Context, id string) (Session, error)

	// EndSession deletes the session and, in the same transaction, revokes its
	// grants, except those with offline access, and voids its unused codes
	// (grant.Code.Voided). It is durable when it returns. ended is the session as it was,
	// with everyone who took part in it until then; zero if it was absent, had expired or
	// cannot be read, which is no error.
	EndSession(ctx context.Context, id string) (ended Session, err error)
}
