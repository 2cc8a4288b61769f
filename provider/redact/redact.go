// Package redact is how a secret prints: as a mark that says that something was
// left out (invariant 10). The types of secrets, and of the hashes by which stores
// find them, have String, Format and LogValue methods that call it.
//
//	func (Secret) String() string                { return redact.Mark }
//	func (Secret) Format(f fmt.State, _ rune)    { redact.Format(f) }
//	func (Secret) LogValue() slog.Value          { return redact.Value() }
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
