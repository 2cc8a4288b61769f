package session

import "time"

// Fresh reports whether the user signed in recently enough: no longer than maxAge
// before now (max_age, OpenID Connect Core §3.1.2.1). A maxAge of zero is never
// satisfied, as if prompt=login had been requested.
func (s Session) Fresh(maxAge time.Duration, now time.Time) bool {
	// auth_time has whole seconds, and clients check with that.
	return maxAge > 0 && now.Sub(s.AuthTime.Truncate(time.Second)) <= maxAge
}

// Live reports whether the session has not expired.
func (s Session) Live(now time.Time) bool { return now.Before(s.Expires) }
