// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"calleridp/provider/clock"
)

// Fresh reports whether the user signed in recently enough: no longer than maxAge
// before now (max_age, OpenID Connect Core §3.1.2.1). A maxAge of zero is never
// satisfied, as if prompt=login had been requested.
func (s Session) Fresh(maxAge time.Duration, now time.Time) bool {
	// auth_time has whole seconds, and clients check with that. One that is ahead
	// was written by a wrong clock, and says nothing of how long ago it was.
	age := now.Sub(s.AuthTime.Truncate(time.Second))
	return maxAge > 0 && age >= 0 && age <= maxAge
}

// Live reports whether the session has not expired. One that was created ahead of
// the clock would live for too long, and counts as expired.
func (s Session) Live(now time.Time) bool {
	return !s.Expired(now) && !clock.Ahead(s.Created, now)
}

// Expired reports whether the session has expired by its own record.
func (s Session) Expired(now time.Time) bool { return !now.Before(s.Expires) }
