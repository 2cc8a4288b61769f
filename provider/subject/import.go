// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrConflict is returned for a user from elsewhere who cannot be added. The error that
// wraps it names no number.
var ErrConflict = errors.New("subject: the user cannot be imported")

// Import decides whether a user from elsewhere is added, who has the sub and the number that
// bySub and byNumber have here, nil for no user. An existing user is left unchanged:
// what is known here is newer. Anything else would give a sub or a number to another user.
func Import(p Person, bySub, byNumber *Person) (add bool, err error) {
	switch {
	case bySub == nil && byNumber == nil:
		return true, nil
	case byNumber == nil:
		return false, fmt.Errorf("%w: a user with this sub is here, with another number", ErrConflict)
	case byNumber.Sub != p.Sub:
		return false, fmt.Errorf("%w: the number belongs to %s here", ErrConflict, byNumber.Sub)
	}
	return false, nil
}

// IsSub reports whether a text could be from NewSub.
func IsSub(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == 16
}
