// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"io"
	"log/slog"

	"calleridp/provider/redact"
	"calleridp/truecaller/phone"
)

// Number is a phone number as the file has it. It prints masked (invariant 10), and as a
// mark alone if it is none.
type Number string

// String returns the masked number.
func (n Number) String() string {
	parsed, err := phone.Parse(string(n), "")
	if err != nil {
		return redact.Mark
	}
	return parsed.Masked()
}

// Format writes the masked number for every verb.
func (n Number) Format(f fmt.State, _ rune) { io.WriteString(f, n.String()) }

// LogValue implements slog.LogValuer.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalText implements encoding.TextMarshaler.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// MarshalBinary implements encoding.BinaryMarshaler.
func (n Number) MarshalBinary() ([]byte, error) { return n.MarshalText() }
