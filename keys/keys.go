// SPDX-License-Identifier: Apache-2.0

// Package keys owns the program's own keys: the master key, which seals stored
// values, and the signing keys with their states (next, active, retired), their
// rotation and the JWKS. Private keys never leave it. It imports no other package
// of this module.
package keys

import (
	"context"
	"errors"
	"time"
)

// State is the state of a signing key.
type State string

// The states of a signing key, in order. The JWKS has the keys of all three.
const (
	Next    State = "next"    // published; does not sign yet
	Active  State = "active"  // signs
	Retired State = "retired" // no longer signs; published until every token it signed has expired
)

// Record is a signing key as a store holds it. This package seals the private key
// before it passes it to a store.
type Record struct {
	ID        string // kid
	Algorithm string // one of AllAlgorithms, like RS256
	State     State
	Created   time.Time
	Activated time.Time // zero until active
	Retired   time.Time // zero until retired
	Public    []byte    // the public JWK
	Sealed    []byte    // the private JWK, sealed under the master key
}

// ErrConflict is what a store returns if the set was changed concurrently.
var ErrConflict = errors.New("keys: the key set was changed concurrently")

// Store stores the set of signing keys.
type Store interface {
	// SigningKeys returns the whole set and its version. If no set was ever
	// stored, it returns no records and version 0.
	SigningKeys(ctx context.Context) (records []Record, version uint64, err error)

	// ReplaceSigningKeys stores the set if the stored version is still version;
	// otherwise it returns ErrConflict. The set is durable when it returns nil.
	ReplaceSigningKeys(ctx context.Context, records []Record, version uint64) error
}
