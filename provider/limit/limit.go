// Package limit decides how often something may happen. Its decisions are pure
// functions of the stored state and the time (GCRA); stores apply them inside
// the transaction that does the limited thing (invariant 7).
package limit

import (
	"fmt"
	"time"
)

// Kind says what a key counts.
type Kind string

// The kinds of keys. A lock is not a budget: the attempt that took it holds it
// until it expires.
const (
	Lock       Kind = "lock"       // a phone number while a push to it is open
	Number     Kind = "number"     // pushes to one phone number
	Network    Kind = "network"    // attempts from one IPv4 /32 or IPv6 /64
	Client     Kind = "client"     // attempts through one client
	Deployment Kind = "deployment" // all attempts
	Challenge  Kind = "challenge"  // one that a browser has solved
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

// Charge is one event against one budget.
type Charge struct {
	Key  Key
	Rate Rate
	// Reserve is how many of a burst are for others: the charge is refused when
	// it would leave fewer.
	Reserve int
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

// Spend is everything that creating an attempt costs. It is taken whole or not
// at all.
type Spend struct {
	Lock    Key           // zero Key: no lock is needed
	LockFor time.Duration // how long the lock is held unless it is released
	// LockAtMost is how long any lock of that key can last. One that is stored for
	// longer is of a wrong clock: see Held. Zero: none is.
	LockAtMost time.Duration
	Charges    []Charge
}

// Exceeded is the error for a spend that was refused; nothing was taken.
type Exceeded struct {
	Kind    Kind
	RetryAt time.Time // when the same spend may be tried again
	// Reserved says that nothing refuses it but a Reserve: without that, it could
	// be taken now.
	Reserved bool
}

func (e *Exceeded) Error() string {
	return fmt.Sprintf("limit: %s budget exceeded until %s", e.Kind, e.RetryAt.UTC().Format(time.RFC3339))
}
