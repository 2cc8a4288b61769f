// SPDX-License-Identifier: Apache-2.0

package record

import (
	"time"

	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// Limits are found by Sealer.LimitKey.
var Limits = Kind{Name: "limits", purpose: keys.PurposeLimitRecord, version: 3, expires: true, empty: empty[Limit]}

// LimitKey returns the key of a lock or a budget: a keyed hash, because its ID
// may be a phone number.
func (s Sealer) LimitKey(k limit.Key) [32]byte {
	return s.master.MAC(keys.PurposeLimitHash, []byte(k.Kind), []byte(k.ID))
}

// Limit is a lock, a budget or a cool-down. It expires when the lock does, or at the budget's
// theoretical arrival time, or when a cool-down is forgotten: after it, they are as good
// as never used. Its fields are empty in a budget.
type Limit struct {
	Holder   login.ID  // the attempt that has the lock
	Browser  [32]byte  // that attempt's (login.Attempt.Browser)
	Approved bool      // limit.State.Approved
	Free     time.Time // limit.State.Free
}

func (l *Limit) fields(c *codec, version byte) {
	text(c, &l.Holder)
	if version >= 2 {
		hash(c, &l.Browser)
		c.flag(&l.Approved)
	}
	if version >= 3 {
		c.time(&l.Free)
	}
}

// LimitOf returns what is stored of a lock or a budget beside its expiry.
func LimitOf(s limit.State) Limit {
	return Limit{Holder: login.ID(s.Holder.Attempt), Browser: s.Holder.Browser, Approved: s.Approved, Free: s.Free}
}

// State returns the lock or budget that expires at until.
func (l *Limit) State(until time.Time) limit.State {
	return limit.State{
		Until:    until,
		Holder:   limit.Holder{Attempt: string(l.Holder), Browser: l.Browser},
		Approved: l.Approved,
		Free:     l.Free,
	}
}
