// SPDX-License-Identifier: Apache-2.0

package record

import (
	"time"

	"calleridp/keys"
	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// Attempts are found by their id.
var Attempts = Kind{Name: "attempts", purpose: keys.PurposeAttemptRecord, version: 4, expires: true, empty: empty[Attempt]}

// AttemptKept is how long an attempt stays after it expires, so that late callbacks and
// the back button find it.
const AttemptKept = time.Hour

// Correlations lead from the SHA-256 of a state to the id of its attempt (Text).
var Correlations = Kind{Name: "correlations", purpose: keys.PurposeCorrelationRecord, version: 1, empty: empty[Text], follows: true}

// Forms lead from login.Attempt.Form to the id of the latest attempt that has it
// (Text).
var Forms = Kind{Name: "forms", purpose: keys.PurposeFormRecord, version: 1, empty: empty[Text]}

// Attempt is an attempt and the lock that it took.
type Attempt struct {
	login.Attempt
	Lock [32]byte // its key in limits; zero: it took none
	// Block is the key of the lock that it took as well (limit.Spend.Block); zero: none.
	Block [32]byte
	// Cooling is the key of the cool-down that its push has raised; zero: none.
	Cooling [32]byte
	// Paid are the charges that come back if its push has cost nothing in the end
	// (limit.Ended.GivesBack); none once they have.
	Paid []Paid
}

// Paid is a limit.Paid.
type Paid struct {
	Key  [32]byte // in limits
	Each time.Duration
}

// AttemptOf returns a new attempt, with what it has spent.
func (s Sealer) AttemptOf(a login.Attempt, spend limit.Spend) Attempt {
	stored := Attempt{Attempt: a}
	for key, of := range map[*[32]byte]limit.Key{&stored.Lock: spend.Lock, &stored.Block: spend.Block, &stored.Cooling: spend.Cooling.Key} {
		if of != (limit.Key{}) {
			*key = s.LimitKey(of)
		}
	}
	for _, p := range spend.Returned() {
		stored.Paid = append(stored.Paid, Paid{Key: s.LimitKey(p.Key), Each: p.Each})
	}
	return stored
}

// Becomes returns the attempt after a step, and what it gets back.
func (a *Attempt) Becomes(u login.Update) (after Attempt, back []Paid) {
	after = *a
	after.Attempt = u.Attempt
	if u.Effects.Push.GivesBack() {
		after.Paid, back = nil, a.Paid
	}
	return after, back
}

func (a *Attempt) fields(c *codec, version byte) {
	text(c, &a.ID)
	text(c, &a.Method)
	text(c, &a.State)
	text(c, &a.Reason)
	hash(c, &a.Browser)
	hash(c, &a.Correlation)
	text(c, &a.RequestID)
	text(c, &a.App)
	c.phone(&a.Number)
	text(c, &a.ClientID)
	text(c, &a.Network)
	c.bytes(&a.Request)
	c.time(&a.Created)
	c.time(&a.Expires)
	c.time(&a.Ended)
	c.flag(&a.Undeliverable)
	texts(c, &a.Trying)
	text(c, &a.Sub)
	c.time(&a.AuthTime)
	c.time(&a.Invoked)
	hash(c, &a.Lock)
	left := int64(a.Tries.Left)
	c.int64(&left)
	a.Tries.Left = int(left)
	c.time(&a.Tries.Next)
	text(c, &a.GrantID)
	c.bytes(&a.Outcome)
	if version >= 2 {
		hash(c, &a.Form)
		hash(c, &a.Block)
	}
	if version >= 3 {
		hash(c, &a.Cooling)
		pushes := int64(a.Pushes)
		c.int64(&pushes)
		a.Pushes = int(pushes)
	}
	if version >= 4 {
		list(c, &a.Paid, func(c *codec, p *Paid) {
			hash(c, &p.Key)
			each := int64(p.Each)
			c.int64(&each)
			p.Each = time.Duration(each)
		})
		number(c, &a.SignOuts)
	}
}
