// SPDX-License-Identifier: Apache-2.0

// Package idempotency stores requests that are carried out once, however often they are sent:
// with an Idempotency-Key. It knows no HTTP.
package idempotency

import (
	"context"
	"time"

	"calleridp/provider/redact"
)

// Retention is how long a request is remembered.
const Retention = 24 * time.Hour

// Request is one that was sent with a key.
type Request struct {
	// Key is the SHA-256 of who sent it, what it does, and the key it was sent with: the
	// keys of two callers never meet.
	Key redact.Hash
	// Digest is the SHA-256 of all else of the request. It is compared with that of a
	// request with the same key, and says nothing of the request to others.
	Digest redact.Hash
	Began  time.Time
	// Response is what it was answered with, without any secret. Nil: it has not ended, or
	// its end is not known.
	Response []byte
}

// Expires returns when the request is forgotten.
func (r Request) Expires() time.Time { return r.Began.Add(Retention) }

// Store keeps requests. Writes are durable when they return.
type Store interface {
	// BeginRequest stores a request unless there is one with its key that has not expired.
	// It returns the one that is stored, and whether it is this one.
	BeginRequest(ctx context.Context, r Request) (stored Request, began bool, err error)
	// EndRequest stores the request with its response, in place of what BeginRequest stored.
	EndRequest(ctx context.Context, r Request) error
	// ForgetRequest deletes the request with this key, if there is one: nothing was done.
	ForgetRequest(ctx context.Context, key redact.Hash) error
}
