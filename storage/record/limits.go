package record

import (
	"time"

	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// Limits are found by Sealer.LimitKey.
var Limits = Kind{Name: "limits", purpose: keys.PurposeLimitRecord, version: 2, expires: true}

// LimitKey returns the key of a lock or a budget: a keyed hash, because its ID
// may be a phone number.
func (s Sealer) LimitKey(k limit.Key) [32]byte {
	return s.master.MAC(keys.PurposeLimitHash, []byte(k.Kind), []byte(k.ID))
}

// Limit is a lock or a budget. It expires when the lock does, or at the budget's
// theoretical arrival time: after it, a budget is as good as never used. Its fields
// are a lock's, and empty in a budget.
type Limit struct {
	Holder   login.ID // the attempt that has the lock
	Browser  [32]byte // that attempt's (login.Attempt.Browser)
	Approved bool     // limit.State.Approved
}

func (l *Limit) fields(c *codec, version byte) {
	text(c, &l.Holder)
	if version >= 2 {
		hash(c, &l.Browser)
		c.flag(&l.Approved)
	}
}

// LimitOf returns what is stored of a lock or a budget beside its expiry.
func LimitOf(s limit.State) Limit {
	return Limit{Holder: login.ID(s.Holder.Attempt), Browser: s.Holder.Browser, Approved: s.Approved}
}

// State returns the lock or budget that expires at until.
func (l *Limit) State(until time.Time) limit.State {
	return limit.State{
		Until:    until,
		Holder:   limit.Holder{Attempt: string(l.Holder), Browser: l.Browser},
		Approved: l.Approved,
	}
}
