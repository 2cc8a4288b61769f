// SPDX-License-Identifier: Apache-2.0

package truecaller

import "strings"

// FieldError says why the value of one field is refused. Reason does not repeat
// the field's name and carries no advice about commands: a caller that knows how
// the field is configured adds both. It never holds a secret.
//
// The type stands here because this package may import nothing of ours, and all
// others that validate what an operator writes may import this one.
type FieldError struct {
	Field  string // "Key", "Profiles[1]", "OneTap.TTL"
	Reason string // "missing", "must be between 8s and 10m"
}

func (e FieldError) Error() string { return e.Field + ": " + e.Reason }

// FieldErrors joins the errors of several fields. It is nil for a valid value.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}
