package record

import (
	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// Limits are found by Sealer.LimitKey.
var Limits = Kind{Name: "limits", purpose: keys.PurposeLimitRecord, version: 1, expires: true}

// LimitKey returns the key of a lock or a budget: a keyed hash, because its ID
// may be a phone number.
func (s Sealer) LimitKey(k limit.Key) [32]byte {
	return s.master.MAC(keys.PurposeLimitHash, []byte(k.Kind), []byte(k.ID))
}

// Limit is a lock or a budget. It expires when the lock does, or at the budget's
// theoretical arrival time: after it, a budget is as good as never used.
type Limit struct {
	Holder login.ID // the attempt that has the lock; "" in a budget
}

func (l *Limit) fields(c *codec, _ byte) { text(c, &l.Holder) }
