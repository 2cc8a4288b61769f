// Package keys owns secrets that the program makes for itself: the master key
// that seals what is stored, and the signing keys with their life cycle (next,
// active, retired), rotation and JWKS. Private parts never leave it. It imports
// nothing of ours.
package keys

import (
	"context"
	"errors"
	"time"
)

// State is where a signing key stands in its life.
type State string

// The states of a signing key, in the order it passes them. A key is published
// in the JWKS in all three.
const (
	Next    State = "next"    // published, does not sign yet
	Active  State = "active"  // signs
	Retired State = "retired" // no longer signs; published until every token it signed has expired
)

// Record is a signing key as stores keep it. The private part is sealed by this
// package before a store sees it.
type Record struct {
	ID        string // kid
	Algorithm string // RS256, ES256 or EdDSA
	State     State
	Created   time.Time
	Activated time.Time // zero until active
	Retired   time.Time // zero until retired
	Public    []byte    // the public JWK
	Sealed    []byte    // the private JWK, sealed under the master key
}

// ErrConflict is returned by a store when somebody else changed the set first.
var ErrConflict = errors.New("keys: the key set was changed by somebody else")

// Store keeps the set of signing keys and the master key's fingerprint.
type Store interface {
	// SigningKeys returns the whole set and its version; no records and version
	// 0 when none was ever stored.
	SigningKeys(ctx context.Context) (records []Record, version uint64, err error)

	// ReplaceSigningKeys stores the set if the stored version is still version,
	// else ErrConflict. It is durable when it returns nil.
	ReplaceSigningKeys(ctx context.Context, records []Record, version uint64) error
}
