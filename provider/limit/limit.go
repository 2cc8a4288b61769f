// SPDX-License-Identifier: Apache-2.0

// Package limit decides how often something may happen. Its decisions are pure
// functions of the stored state and the time (GCRA); stores apply them inside
// the transaction that does the limited thing (invariant 7).
package limit

import (
	"fmt"
	"slices"
	"time"

	"calleridp/provider/redact"
)

// Kind says what a key counts.
type Kind string

// The kinds of keys. A lock is not a budget: the attempt that took it holds it
// until it expires.
const (
	Lock       Kind = "lock"      // a phone number while a push to it is open
	CoolingOff Kind = "cool_down" // a phone number after pushes that were not approved, see CoolDown
	Number     Kind = "number"    // pushes to one phone number
	// NumberNetwork is a network's share of a number's budget, see SharesOf.
	NumberNetwork Kind = "number_network"
	Network       Kind = "network"    // pushes from one network, see NetworksOf
	Client        Kind = "client"     // pushes through one client
	Deployment    Kind = "deployment" // all pushes
	Challenge     Kind = "challenge"  // one that a browser has solved

	// The lane of a browser that has signed in with the number before.
	DeviceLock Kind = "device_lock" // while its push is open
	Device     Kind = "device"      // its pushes
	// DeviceNetwork is Network for these browsers: their neighbours spend nothing of it.
	DeviceNetwork Kind = "device_network"

	// Attempts that ring no phone: what they spend is not missing for pushes.
	SilentNetwork    Kind = "silent_network"
	SilentClient     Kind = "silent_client"
	SilentDeployment Kind = "silent_deployment"

	// Clients that register themselves (RFC 7591).
	RegistrationNetwork    Kind = "registration_network"    // tries from one network
	RegistrationDeployment Kind = "registration_deployment" // all that were registered

	// Devices that ask for a sign-in (RFC 8628).
	DeviceFlowNetwork    Kind = "device_flow_network"    // requests from one network
	DeviceFlowClient     Kind = "device_flow_client"     // requests of one client's devices
	DeviceFlowDeployment Kind = "device_flow_deployment" // all requests
	UserCodeNetwork      Kind = "user_code_network"      // user codes that were tried from one network
)

// Key names one lock or budget. Engines store keys as keyed hashes, because an
// ID may be a phone number.
type Key struct {
	Kind Kind
	ID   string
}

// Rate is a budget: Burst events at once, and Burst more in each Period.
type Rate struct {
	Burst  int
	Period time.Duration
}

// Times returns the rate that allows n times as much.
func (r Rate) Times(n int) Rate { return Rate{Burst: n * r.Burst, Period: r.Period} }

// Share returns what one network may have of a number's budget unless something else is
// configured: three tenths, or three if that is more and there are so many.
func (r Rate) Share() Rate {
	return Rate{Burst: min(max(3*r.Burst/10, 3), r.Burst), Period: r.Period}
}

// each returns how long an event is remembered.
func (r Rate) each() time.Duration { return max(r.Period/time.Duration(max(r.Burst, 1)), 1) }

// Charge is one event against one budget.
type Charge struct {
	Key  Key
	Rate Rate
	// Reserve is how many of a burst are for others: the charge is refused when
	// it would leave fewer.
	Reserve int
	// Own says that the budget is the asker's own: it pays also for a try that the
	// number's lock or budget refuses.
	Own bool
}

// Left says how many such events a budget in the state tat would take at once,
// and when it takes the next: now, or later when it takes none.
func (c Charge) Left(tat, now time.Time) (left int, next time.Time) {
	d := c.Take(tat, now)
	if !d.Allowed {
		return 0, d.RetryAt
	}
	return d.Remaining + 1, now
}

// Holder is who holds a lock.
type Holder struct {
	Attempt string
	Browser redact.Hash // the hash by which the attempt knows its browser; zero: none
}

// by reports whether the holder is one of the browsers.
func (h Holder) by(browsers []redact.Hash) bool {
	return h.Browser != redact.Hash{} && slices.Contains(browsers, h.Browser)
}

// Spend is everything that creating an attempt costs. It is taken whole, or
// refused; see Decide for what a refused one costs.
type Spend struct {
	// Asker is what the one who asks may spend. It is decided first.
	Asker []Charge

	Lock    Key           // zero Key: no lock is needed
	LockFor time.Duration // how long the lock is held unless it is released
	// LockAtMost is how long any lock can last. One that is stored for longer is of a
	// wrong clock: see Held. Zero: none is.
	LockAtMost time.Duration
	// Before are other hashes by which attempts know the browser that asks: its secret
	// changes from one attempt to the next.
	Before []redact.Hash
	// Block is a lock that refuses nothing and is taken as well: by a push that the
	// number's lock does not stop. Others must not push while it is open. zero Key: none.
	Block Key
	// Share is what the asker's networks may have of the number. It is decided after Asker
	// and before the number's own state.
	Share []Charge
	// Number is what the number itself may be spent on.
	Number []Charge
	// Cooling is the number's cool-down, for a browser that the number does not know.
	Cooling Cooling
	// Shown are those of the charges whose budgets users see. They charge nothing.
	Shown []Charge
}

// Returned are the charges of a push that come back if its user approves it, or if it
// rang no phone: see Ended.GivesBack.
func (s Spend) Returned() []Paid {
	paid := make([]Paid, 0, len(s.Share)+len(s.Number))
	for _, c := range slices.Concat(s.Share, s.Number) {
		paid = append(paid, Paid{Key: c.Key, Each: c.Rate.each()})
	}
	return paid
}

// Paid is a charge that was taken: of Key, and for how long it was to be remembered.
type Paid struct {
	Key  Key
	Each time.Duration
}

// Exceeded is the error for a spend that was refused.
type Exceeded struct {
	Kind    Kind
	RetryAt time.Time // when the same spend may be tried again
	// Reserved says that nothing refuses it but a Reserve or a cool-down: a browser
	// that had solved a challenge could take it now.
	Reserved bool
	// Holder is the attempt that holds the lock, if the browser that asks has
	// started it; "" if another one has, or if no lock refuses.
	Holder string
}

func (e *Exceeded) Error() string {
	return fmt.Sprintf("limit: %s budget exceeded until %s", e.Kind, e.RetryAt.UTC().Format(time.RFC3339))
}
