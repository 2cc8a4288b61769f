// SPDX-License-Identifier: Apache-2.0

// Package redact is how a secret prints: as a mark that says that something was
// left out (invariant 10). Text and Hash print so. A type of a secret that must not
// be confused with another one has methods of its own that call this package:
//
//	func (Secret) String() string                 { return redact.Mark }
//	func (Secret) Format(f fmt.State, _ rune)     { redact.Format(f) }
//	func (Secret) LogValue() slog.Value           { return redact.Value() }
//	func (Secret) MarshalText() ([]byte, error)   { return redact.Encode() }
//	func (Secret) MarshalBinary() ([]byte, error) { return redact.Encode() }
//
// That covers slog, the encoders of JSON, XML and gob, and the verbs of package fmt that
// print values. What is stored or sent on purpose is copied to plain strings first. It
// does not cover what asks no methods:
//
//   - the verbs %p and %w, which vet refuses for such values
//   - reflection, and fmt on an unexported field
//   - fmt on a pointer inside a value, under a verb that is wrong for pointers: %s prints
//     such a pointer as an error, with all that it points to. The struct that holds the
//     pointer, or the one behind it, needs a Format method.
package redact

import (
	"fmt"
	"io"
	"log/slog"
)

// Mark is printed instead of a secret.
const Mark = "[redacted]"

// Format writes Mark, whatever the verb and its flags.
func Format(f fmt.State) { io.WriteString(f, Mark) }

// Value returns Mark for a log.
func Value() slog.Value { return slog.StringValue(Mark) }

// Encode returns Mark for an encoder.
func Encode() ([]byte, error) { return []byte(Mark), nil }

// Text is a secret such as a code, a token or a verifier.
type Text string

// String, Format and LogValue keep secrets out of logs, MarshalText and MarshalBinary
// out of what is encoded.
func (Text) String() string                 { return Mark }
func (Text) Format(f fmt.State, _ rune)     { Format(f) }
func (Text) LogValue() slog.Value           { return Value() }
func (Text) MarshalText() ([]byte, error)   { return Encode() }
func (Text) MarshalBinary() ([]byte, error) { return Encode() }

// Hash is the SHA-256 by which a store finds a secret.
type Hash [32]byte

// The methods of Hash are those of Text.
func (Hash) String() string                 { return Mark }
func (Hash) Format(f fmt.State, _ rune)     { Format(f) }
func (Hash) LogValue() slog.Value           { return Value() }
func (Hash) MarshalText() ([]byte, error)   { return Encode() }
func (Hash) MarshalBinary() ([]byte, error) { return Encode() }
