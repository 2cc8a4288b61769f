package login

import (
	"context"
	"time"

	"calleridp/provider/limit"
)

// Limits are the budgets of pushes (invariant 7).
type Limits struct {
	Number, Network, Client, Deployment limit.Rate

	// Reserve is how many of Network's burst are for browsers that have solved a
	// challenge. Zero: none.
	Reserve int
}

// Solved is a challenge that a browser has solved. It buys one push, from the
// reserve of the network's budget if need be; the zero Solved buys none from
// there. Who makes challenges checks the solution.
type Solved struct {
	ID    string    // one of a kind
	Until time.Time // when the challenge ends
}

func (e *Engine) spend(s Start, now time.Time) limit.Spend {
	spend := limit.Spend{
		Lock:    limit.Key{Kind: limit.Lock, ID: s.Number.Digits()},
		LockFor: e.Lock,
		Charges: append([]limit.Charge{e.ofNumber(s)}, e.shared(s.Network, s.ClientID)...),
	}
	if s.Solved.ID == "" {
		return spend
	}
	for i := range spend.Charges {
		spend.Charges[i].Reserve = 0
	}
	// As long as the challenge is good, it is used up.
	spend.Charges = append(spend.Charges, limit.Charge{
		Key: limit.Key{Kind: limit.Challenge, ID: s.Solved.ID}, Rate: limit.Rate{Burst: 1, Period: s.Solved.Until.Sub(now)},
	})
	return spend
}

// shared are the budgets that every method spends. The reserve of the network's is
// left alone: what has no challenge must not take it from those who solve one.
func (e *Engine) shared(network, clientID string) []limit.Charge {
	return []limit.Charge{
		e.ofNetwork(network, e.Limits.Reserve),
		{Key: limit.Key{Kind: limit.Client, ID: clientID}, Rate: e.Limits.Client},
		{Key: limit.Key{Kind: limit.Deployment}, Rate: e.Limits.Deployment},
	}
}

func (e *Engine) ofNumber(s Start) limit.Charge {
	return limit.Charge{Key: limit.Key{Kind: limit.Number, ID: s.Number.Digits()}, Rate: e.Limits.Number}
}

func (e *Engine) ofNetwork(network string, reserve int) limit.Charge {
	return limit.Charge{Key: limit.Key{Kind: limit.Network, ID: network}, Rate: e.Limits.Network, Reserve: reserve}
}

// Tries is what budgets have left: how many more attempts at once, and when the
// next is possible.
type Tries struct {
	Left int
	Next time.Time
}

// NetworkTries is what the network's budget has left, for who solves a challenge
// or for who does not. It only reads (invariant 1).
func (e *Engine) NetworkTries(ctx context.Context, network string, solved bool) (Tries, error) {
	reserve := e.Limits.Reserve
	if solved {
		reserve = 0
	}
	return e.tries(ctx, time.Now(), false, e.ofNetwork(network, reserve))
}

// tries is what the tightest of these budgets has left, after they were charged
// once more if spent says so.
func (e *Engine) tries(ctx context.Context, now time.Time, spent bool, charges ...limit.Charge) (Tries, error) {
	keys := make([]limit.Key, len(charges))
	for i, c := range charges {
		keys[i] = c.Key
	}
	states, err := e.Store.LimitStates(ctx, keys...)
	if err != nil {
		return Tries{}, err
	}
	var all Tries
	for i, c := range charges {
		state := states[i]
		if spent {
			state = c.Rate.Take(state, now).TAT
		}
		left, next := c.Left(state, now)
		if i == 0 || left < all.Left {
			all.Left = left
		}
		if next.After(all.Next) {
			all.Next = next
		}
	}
	return all, nil
}

// AgainAt is when another push to the attempt's number is possible, as far as
// the attempt can tell: when the lock ends that it took (invariant 7), and its
// budgets have room again. What others have done since does not change it: who
// once asked a number learns nothing from it about what happens to that number
// later.
func (e *Engine) AgainAt(a Attempt) time.Time {
	at := a.lockEnds(e.Lock, e.CoolDown)
	if a.Tries.Next.After(at) {
		return a.Tries.Next
	}
	return at
}

// lockEnds is when the lock ends that the attempt took. Truecaller's answer has
// ended it; a decline has put the cool-down in its place.
func (a *Attempt) lockEnds(lock, coolDown time.Duration) time.Time {
	switch {
	case a.Method != Push: // it has locked no number
		return a.Created
	case a.State == Rejected && (a.Reason == UserRejected || a.Reason == AnotherNumber):
		return a.Ended.Add(coolDown)
	case !a.AuthTime.IsZero():
		return a.AuthTime
	case a.State == Failed && a.answered():
		return a.Ended
	}
	return a.Created.Add(lock)
}

// answered says whether a failure was Truecaller's answer for the number. The
// phone that was asked has not answered when the profile is another's, and a
// foreign endpoint is not Truecaller's.
func (a *Attempt) answered() bool {
	return a.Reason != PhoneMismatch && a.Reason != ForeignEndpoint
}
