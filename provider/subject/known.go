// SPDX-License-Identifier: Apache-2.0

package subject

import "time"

// Known says that a client with a stream has got something of a user: a code, or tokens. It
// outlives sessions and grants, because a number is recycled when its user has not signed in
// for months. It ends when the user takes the client's access away, or is deleted.
type Known struct {
	Sub      string
	ClientID string
	Phone    bool // the user's number was among it; what was not is another record
	At       time.Time
}
