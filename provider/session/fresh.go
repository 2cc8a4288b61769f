package session

import (
	"crypto/sha256"
	"time"
)

// Hash is what a store keeps of a cookie's secret.
func Hash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// Fresh says whether the person signed in recently enough: no longer than
// maxAge before now (max_age, OpenID Connect Core §3.1.2.1). A maxAge of zero
// is never satisfied, as if prompt=login had been asked for.
func (s Session) Fresh(maxAge time.Duration, now time.Time) bool {
	// auth_time is told in whole seconds, and clients check with that.
	return maxAge > 0 && now.Sub(s.AuthTime.Truncate(time.Second)) <= maxAge
}

// Live says whether the session has not expired.
func (s Session) Live(now time.Time) bool { return now.Before(s.Expires) }
