// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"errors"
	"time"
)

// ErrVerifiedSince says that Truecaller has vouched for a number after the day on which it is
// said to have been given to another person: it stays its user's.
var ErrVerifiedSince = errors.New("subject: the number was verified since")

// Recycled decides whether a user loses a number of which a source says that it was recycled
// on a day: nil, or ErrVerifiedSince. What was verified on that day or later stands: a source
// is about days, and a verification about the number itself.
func Recycled(p Person, since time.Time) error {
	if p.VerifiedAt.Before(since) {
		return nil
	}
	return ErrVerifiedSince
}
