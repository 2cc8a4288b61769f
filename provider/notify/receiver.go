// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"math/rand/v2"
	"time"
)

// Outcome is what became of a try.
type Outcome string

// What becomes of a try.
const (
	Delivered Outcome = "delivered"
	Refused   Outcome = "refused"   // the receiver said that the notice is wrong: no other try
	Failed    Outcome = "failed"    // another try follows
	Abandoned Outcome = "abandoned" // it has failed for too long or too often
	Dropped   Outcome = "dropped"   // the receiver is gone, or wants no such notices any more

	// Later is no try: the receiver takes no notices now, by its own choice or an operator's.
	// It is asked for again after RetryAfter.
	Later Outcome = "later"
)

// Outcomes are all outcomes of tries.
var Outcomes = []Outcome{Delivered, Refused, Failed, Abandoned, Dropped}

// Result is what a Sender says of a try.
type Result struct {
	Outcome    Outcome
	Reason     string        // for operators, without a secret; "" for Delivered
	RetryAfter time.Duration // what the receiver asked for (RFC 9110 §10.2.3); 0: nothing
}

// The pauses between tries.
const (
	firstPause = 5 * time.Second
	factor     = 4
	maxPause   = time.Hour
	maxTries   = 10 // of one logout notice; a signal is tried as long as it is kept
	maxReason  = 200
)

// after returns how a receiver stands after a try, what becomes of the notice, and whether
// it is done with. jitter is between 0 and 1. A failure holds the receiver's other notices
// back too: they would fail likewise, and their order stays.
func after(r Receiver, n Notice, res Result, now time.Time, jitter float64) (_ Receiver, _ Notice, done bool) {
	switch res.Outcome {
	case Delivered:
		r.Failures, r.Next, r.Delivered = 0, time.Time{}, now
		return r, n, true
	case Refused: // it has answered
		r.Failures, r.Next, r.Failed, r.Reason = 0, time.Time{}, now, clipped(res.Reason)
		return r, n, true
	case Dropped, Abandoned:
		return r, n, true
	case Later:
		r.Next = now.Add(res.RetryAfter)
		return r, n, false
	}
	r.Failed, r.Reason = now, clipped(res.Reason)
	r.Next = now.Add(max(pause(r.Failures, jitter), min(res.RetryAfter, maxPause)))
	r.Failures++
	n.Tries++
	return r, n, n.Kind != Signal && n.Tries >= maxTries
}

// pause returns how long to wait after so many failures before this one, less up to a
// quarter: what failed together is not tried again together.
func pause(failures uint32, jitter float64) time.Duration {
	d := firstPause
	for range failures {
		if d *= factor; d >= maxPause {
			d = maxPause
			break
		}
	}
	return d - time.Duration(jitter*float64(d)/4)
}

// tooOld reports whether a notice is not tried any more.
func tooOld(n Notice, now time.Time) bool { return now.Sub(n.At) >= n.Kind.Kept() }

func clipped(reason string) string {
	if len(reason) > maxReason {
		return reason[:maxReason]
	}
	return reason
}

func jitter() float64 { return rand.Float64() }
