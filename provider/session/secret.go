// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"fmt"
	"log/slog"

	"calleridp/keys"
	"calleridp/provider/redact"
)

// Secret is the value of a session's cookie. It opens the session, and is never
// stored as it is.
type Secret string

// NewSecret returns 32 random bytes as 43 characters of base64url.
func NewSecret() Secret { return Secret(keys.RandomText(32)) }

// SecretHash is the SHA-256 of a Secret, by which its session is stored.
type SecretHash [sha256.Size]byte

// Hash returns what a store keeps of the secret.
func (s Secret) Hash() SecretHash { return sha256.Sum256([]byte(s)) }

// The methods of package redact keep secrets out of logs (invariant 10).
func (Secret) String() string                 { return redact.Mark }
func (Secret) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (Secret) LogValue() slog.Value           { return redact.Value() }
func (Secret) MarshalText() ([]byte, error)   { return redact.Encode() }
func (Secret) MarshalBinary() ([]byte, error) { return redact.Encode() }

// The methods of package redact keep hashes out of logs (invariant 10).
func (SecretHash) String() string                 { return redact.Mark }
func (SecretHash) Format(f fmt.State, _ rune)     { redact.Format(f) }
func (SecretHash) LogValue() slog.Value           { return redact.Value() }
func (SecretHash) MarshalText() ([]byte, error)   { return redact.Encode() }
func (SecretHash) MarshalBinary() ([]byte, error) { return redact.Encode() }
