package login

import (
	"context"
	"time"

	"calleridp/provider/limit"
	"calleridp/truecaller/phone"
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
// there. The package that makes challenges checks the solution.
type Solved struct {
	ID    string    // unique
	Until time.Time // when the challenge expires
}

// Holder is the attempt as the holder of its number's lock.
func (a *Attempt) Holder() limit.Holder {
	return limit.Holder{Attempt: string(a.ID), Browser: a.Browser}
}

// pushSpend is what a push for the attempt costs. Its browser pays for a refused
// try too: with the challenge that it has solved, and with its network's budget.
func (e *Engine) pushSpend(a Attempt, solved Solved, now time.Time) limit.Spend {
	reserve := e.cfg.Limits.Reserve
	spend := limit.Spend{
		Lock:    limit.Key{Kind: limit.Lock, ID: a.Number.Digits()},
		LockFor: e.cfg.Lock,
		Number:  []limit.Charge{e.ofNumber(a.Number)},
	}
	if solved.ID != "" {
		reserve = 0
		spend.Asker = []limit.Charge{ofChallenge(solved, now)}
	}
	spend.Asker = append(spend.Asker, e.ofNetwork(a.Network, reserve), e.ofClient(a.ClientID), e.ofDeployment())
	return spend
}

// oneTapSpend is what a one-tap link costs. It leaves the reserve of the network's
// budget alone: what has no challenge must not take it from browsers that solve
// one.
func (e *Engine) oneTapSpend(r OneTapRequest) limit.Spend {
	return limit.Spend{Asker: []limit.Charge{
		e.ofNetwork(r.Network, e.cfg.Limits.Reserve),
		e.ofClient(r.ClientID),
		e.ofDeployment(),
	}}
}

// nativeSpend is what a native sign-in costs. It leaves the reserve alone, as
// one-tap does; a server's address spends no network's budget.
func (e *Engine) nativeSpend(r NativeRequest) limit.Spend {
	if r.Server {
		return limit.Spend{Asker: []limit.Charge{
			e.ofClient(r.ClientID),
			e.ofDeployment(),
		}}
	}
	return limit.Spend{Asker: []limit.Charge{
		e.ofNetwork(r.Network, e.cfg.Limits.Reserve),
		e.ofClient(r.ClientID),
		e.ofDeployment(),
	}}
}

func (e *Engine) ofNumber(n phone.Number) limit.Charge {
	return limit.Charge{
		Key:  limit.Key{Kind: limit.Number, ID: n.Digits()},
		Rate: e.cfg.Limits.Number,
	}
}

func (e *Engine) ofNetwork(network string, reserve int) limit.Charge {
	return limit.Charge{
		Key:     limit.Key{Kind: limit.Network, ID: network},
		Rate:    e.cfg.Limits.Network,
		Reserve: reserve,
		Own:     true,
	}
}

func (e *Engine) ofClient(id string) limit.Charge {
	return limit.Charge{
		Key:  limit.Key{Kind: limit.Client, ID: id},
		Rate: e.cfg.Limits.Client,
	}
}

func (e *Engine) ofDeployment() limit.Charge {
	return limit.Charge{
		Key:  limit.Key{Kind: limit.Deployment},
		Rate: e.cfg.Limits.Deployment,
	}
}

// ofChallenge uses a challenge up, for as long as it is good.
func ofChallenge(solved Solved, now time.Time) limit.Charge {
	return limit.Charge{
		Key:  limit.Key{Kind: limit.Challenge, ID: solved.ID},
		Rate: limit.Rate{Burst: 1, Period: solved.Until.Sub(now)},
		Own:  true,
	}
}

// Tries is what budgets have left: how many more attempts at once, and when the
// next is possible.
type Tries struct {
	Left int
	Next time.Time
}

// NetworkTries returns what the network's budget has left, for a browser that has
// solved a challenge or for one that has not. It only reads (invariant 1).
func (e *Engine) NetworkTries(ctx context.Context, network string, solved bool) (Tries, error) {
	reserve := e.cfg.Limits.Reserve
	if solved {
		reserve = 0
	}
	return e.tries(ctx, time.Now(), false, e.ofNetwork(network, reserve))
}

// tries returns what the tightest of these budgets has left, after they were
// charged once more if spent says so.
func (e *Engine) tries(ctx context.Context, now time.Time, spent bool, charges ...limit.Charge) (Tries, error) {
	keys := make([]limit.Key, len(charges))
	for i, c := range charges {
		keys[i] = c.Key
	}
	states, err := e.cfg.Store.LimitStates(ctx, keys...)
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

// AgainAt returns when another push to the attempt's number is possible, as far as
// the attempt can tell: when the lock that it took has expired (invariant 7), and
// its budgets have room again. What others have done since does not change it: a
// browser that once sent a push learns nothing from it about what happens to that
// number later.
func (e *Engine) AgainAt(a Attempt) time.Time {
	at := a.lockEnds(e.cfg.Lock, e.cfg.CoolDown)
	if a.Tries.Next.After(at) {
		return a.Tries.Next
	}
	return at
}

// lockEnds returns when the lock that the attempt took expires. Truecaller's
// response has released it; a decline has put the cool-down in its place.
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

// answered reports whether a failure was Truecaller's response for the number. The
// phone that got the push has not responded when the profile is another's, and a
// foreign endpoint is not Truecaller's.
func (a *Attempt) answered() bool {
	return a.Reason != PhoneMismatch && a.Reason != ForeignEndpoint
}
