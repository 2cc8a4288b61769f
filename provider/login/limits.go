// SPDX-License-Identifier: Apache-2.0

package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/provider/clock"
	"calleridp/provider/limit"
	"calleridp/truecaller/phone"
)

// Limits are the budgets of attempts (invariant 7).
type Limits struct {
	// Of pushes. Network is that of an IPv4 address or an IPv6 /64; zero for the wider
	// networks of IPv6: four and sixteen times that.
	Number, Network, Network56, Network48, Client, Deployment limit.Rate

	// NumberNetwork is what one IPv4 address or IPv6 /64 may have of Number; an IPv4 /24
	// and an IPv6 /48 may have twice that. Zero: Number.Share.
	NumberNetwork limit.Rate

	// Of one-tap and native attempts, which ring no phone. Zero: as much as pushes
	// have. The wider networks of IPv6 have four and sixteen times SilentNetwork.
	SilentNetwork, SilentClient, SilentDeployment limit.Rate

	// Device is that of a browser that has signed in with the number before, for its
	// pushes to that number. Zero: twice Number.
	Device limit.Rate

	// Reserve is how many of Network's burst are for browsers that have solved a
	// challenge. The same share is reserved of every budget of pushes that users
	// have in common. Zero: none.
	Reserve int
}

// withDefaults returns the limits with what is zero set.
func (l Limits) withDefaults() Limits {
	l.Network56 = cmp.Or(l.Network56, l.Network.Times(4))
	l.Network48 = cmp.Or(l.Network48, l.Network.Times(16))
	l.NumberNetwork = cmp.Or(l.NumberNetwork, l.Number.Share())
	l.Device = cmp.Or(l.Device, l.Number.Times(2))
	l.SilentNetwork = cmp.Or(l.SilentNetwork, l.Network)
	l.SilentClient = cmp.Or(l.SilentClient, l.Client)
	l.SilentDeployment = cmp.Or(l.SilentDeployment, l.Deployment)
	return l
}

// check returns an error for limits that allow nothing.
func (l Limits) check() error {
	for _, budget := range []struct {
		name string
		rate limit.Rate
	}{
		{"Number", l.Number}, {"NumberNetwork", l.NumberNetwork}, {"Network", l.Network}, {"Network56", l.Network56}, {"Network48", l.Network48},
		{"Device", l.Device}, {"Client", l.Client}, {"Deployment", l.Deployment},
		{"SilentNetwork", l.SilentNetwork}, {"SilentClient", l.SilentClient}, {"SilentDeployment", l.SilentDeployment},
	} {
		if budget.rate.Burst <= 0 || budget.rate.Period <= 0 {
			return fmt.Errorf("login: the budget %s allows nothing: Burst and Period must be positive", budget.name)
		}
	}
	if l.Reserve < 0 || l.Reserve >= l.Network.Burst {
		return errors.New("login: the Reserve must leave something of the network budget to others")
	}
	return nil
}

// shared returns the charges of a push against the budgets that users have in
// common. Only one that solves a challenge, or comes from a known browser, may have the
// reserve.
func (l Limits) shared(network, clientID string, known, solved bool) []limit.Charge {
	charges := append(l.networks(network, known),
		limit.Charge{Key: limit.Key{Kind: limit.Client, ID: clientID}, Rate: l.Client}.AnyPart(),
		limit.Charge{Key: limit.Key{Kind: limit.Deployment}, Rate: l.Deployment}.AnyPart())
	if !known && !solved {
		l.leaveReserves(charges)
	}
	return charges
}

// leaveReserves makes charges leave what is reserved for browsers that have solved a
// challenge.
func (l Limits) leaveReserves(charges []limit.Charge) {
	for i, c := range charges {
		charges[i].Reserve = int(int64(l.Reserve) * int64(c.Rate.Burst) / int64(l.Network.Burst))
	}
}

// networks returns the charges of a push against its networks' budgets. Browsers that know
// the number have such budgets of their own, which those that do not cannot spend.
func (l Limits) networks(network string, known bool) []limit.Charge {
	kind := limit.Network
	if known {
		kind = limit.DeviceNetwork
	}
	return onNetworks(kind, network, l.Network, l.Network56, l.Network48)
}

// ShareOf returns the charges of a push against what its networks may have of a number:
// its own one first, then the widest around it, if there is one (limit.SharesOf).
func (l Limits) ShareOf(n phone.Number, network string) []limit.Charge {
	rates := [...]limit.Rate{l.NumberNetwork, l.NumberNetwork.Times(2)}
	var charges []limit.Charge
	for i, id := range limit.SharesOf(network) {
		key := limit.Key{Kind: limit.NumberNetwork, ID: n.Digits() + " " + id}
		charges = append(charges, limit.Charge{Key: key, Rate: rates[i]})
	}
	return charges
}

// silentNetworks is networks for an attempt that rings no phone.
func (l Limits) silentNetworks(network string) []limit.Charge {
	return onNetworks(limit.SilentNetwork, network, l.SilentNetwork, l.SilentNetwork.Times(4), l.SilentNetwork.Times(16))
}

// onNetworks returns a charge for each of the networks that an attempt spends, the
// narrowest first, as the rates are.
func onNetworks(kind limit.Kind, network string, rates ...limit.Rate) []limit.Charge {
	var charges []limit.Charge
	for i, id := range limit.NetworksOf(network) {
		charges = append(charges, limit.Charge{Key: limit.Key{Kind: kind, ID: id}, Rate: rates[i], Own: true})
	}
	return charges
}

// silent returns the charges of an attempt that rings no phone, beside those of its
// networks.
func (l Limits) silent(clientID string) []limit.Charge {
	return []limit.Charge{
		limit.Charge{Key: limit.Key{Kind: limit.SilentClient, ID: clientID}, Rate: l.SilentClient}.AnyPart(),
		limit.Charge{Key: limit.Key{Kind: limit.SilentDeployment}, Rate: l.SilentDeployment}.AnyPart(),
	}
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
func (e *Engine) pushSpend(a Attempt, r PushRequest, now time.Time) limit.Spend {
	solved := r.Solved
	spend := limit.Spend{
		LockFor:    e.cfg.Lock,
		LockAtMost: e.LongestLock(),
	}
	spend.Share, spend.Number = e.ofPhone(r)
	spend.Shown = slices.Concat(e.cfg.Limits.networks(r.Network, r.Device != ""), spend.Share, spend.Number) // without reserves
	lock := limit.Key{Kind: limit.Lock, ID: a.Number.Digits()}
	if e.cfg.CoolDown > 0 {
		spend.Cooling = limit.Cooling{
			Key:    limit.Key{Kind: limit.CoolingOff, ID: a.Number.Digits()},
			Rule:   e.CoolDown(),
			Solved: solved.ID != "",
			Lane:   r.Device != "",
		}
	}
	if r.Device == "" {
		spend.Lock = lock
		if solved.ID == "" {
			e.cfg.Limits.leaveReserves(spend.Share)
			e.cfg.Limits.leaveReserves(spend.Number)
		}
	} else {
		spend.Lock = limit.Key{Kind: limit.DeviceLock, ID: spend.Number[0].Key.ID}
		spend.Block = lock
	}
	for _, secret := range r.Before {
		spend.Before = append(spend.Before, hashOf(secret))
	}
	if solved.ID != "" {
		spend.Asker = []limit.Charge{ofChallenge(solved, now)}
	}
	spend.Asker = append(spend.Asker, e.cfg.Limits.shared(a.Network, a.ClientID, r.Device != "", solved.ID != "")...)
	return spend
}

// oneTapSpend is what a one-tap link costs: nothing that pushes need.
func (e *Engine) oneTapSpend(r OneTapRequest) limit.Spend {
	l := e.cfg.Limits
	return limit.Spend{Asker: append(l.silentNetworks(r.Network), l.silent(r.ClientID)...), Shown: l.silentNetworks(r.Network)}
}

// nativeSpend is what a native sign-in costs: nothing that pushes need. A server's
// address spends no network's budget.
func (e *Engine) nativeSpend(r NativeRequest) limit.Spend {
	l := e.cfg.Limits
	if r.Server {
		return limit.Spend{Asker: l.silent(r.ClientID)}
	}
	return limit.Spend{Asker: append(l.silentNetworks(r.Network), l.silent(r.ClientID)...)}
}

// ofPhone returns the charges for ringing the phone: against the budget of the number,
// and what the browser's networks may have of it; or against the browser's own lane, if
// it has one for the number.
func (e *Engine) ofPhone(r PushRequest) (share, number []limit.Charge) {
	if r.Device == "" {
		key := limit.Key{Kind: limit.Number, ID: r.Number.Digits()}
		return e.cfg.Limits.ShareOf(r.Number, r.Network), []limit.Charge{{Key: key, Rate: e.cfg.Limits.Number}}
	}
	key := limit.Key{Kind: limit.Device, ID: r.Number.Digits() + " " + r.Device}
	return nil, []limit.Charge{{Key: key, Rate: e.cfg.Limits.Device}}
}

// LongestLock returns how long a number may be locked at most: what is stored for
// longer was stored by a wrong clock.
func (e *Engine) LongestLock() time.Duration {
	return max(e.cfg.Lock, e.cfg.AfterDecline, e.cfg.CoolDown, e.cfg.AfterApproval)
}

// CoolDown returns the rule by which a number cools down.
func (e *Engine) CoolDown() limit.CoolDown {
	return limit.CoolDown{First: e.cfg.CoolDown, Longest: e.cfg.LongestCoolDown}
}

// ended returns the end of a push.
func (e *Engine) ended(how limit.PushEnd, now time.Time) limit.Ended {
	return limit.Ended{How: how, Rule: e.CoolDown(), At: now}
}

// afterDecline returns how long a decline keeps the lock, for all browsers.
func (e *Engine) afterDecline() time.Duration {
	if e.cfg.CoolDown == 0 {
		return 0
	}
	return e.cfg.AfterDecline
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

// NetworkTries returns what a network's budgets have left for attempts by a method,
// Push or OneTap; for pushes with what only browsers get that solve a challenge. It
// only reads (invariant 1).
func (e *Engine) NetworkTries(ctx context.Context, network string, method Method) (Tries, error) {
	if method == Push {
		return e.tries(ctx, time.Now(), e.cfg.Limits.networks(network, false)...)
	}
	return e.tries(ctx, time.Now(), e.cfg.Limits.silentNetworks(network)...)
}

// UnsolvedTries returns how many pushes a browser may ask for that has solved no
// challenge, by every budget that users have in common. It only reads (invariant
// 1).
func (e *Engine) UnsolvedTries(ctx context.Context, network, clientID string) (Tries, error) {
	return e.tries(ctx, time.Now(), e.cfg.Limits.shared(network, clientID, false, false)...)
}

// tries returns what the tightest of these budgets has left.
func (e *Engine) tries(ctx context.Context, now time.Time, charges ...limit.Charge) (Tries, error) {
	untils, err := e.untils(ctx, charges)
	if err != nil {
		return Tries{}, err
	}
	return tightest(charges, untils, now), nil
}

// untils returns the states of budgets.
func (e *Engine) untils(ctx context.Context, charges []limit.Charge) ([]time.Time, error) {
	keys := make([]limit.Key, len(charges))
	for i, c := range charges {
		keys[i] = c.Key
	}
	states, err := e.cfg.Store.LimitStates(ctx, keys...)
	if err != nil {
		return nil, err
	}
	untils := make([]time.Time, len(charges))
	for i := range charges {
		untils[i] = states[i].Until
	}
	return untils, nil
}

// tightest returns what the tightest of these budgets has left, whose states are these.
func tightest(charges []limit.Charge, states []time.Time, now time.Time) Tries {
	var all Tries
	for i, c := range charges {
		left, next := c.Left(states[i], now)
		if i == 0 || left < all.Left {
			all.Left = left
		}
		if next.After(all.Next) {
			all.Next = next
		}
	}
	return all
}

// Charged returns an attempt that is being created as its spend leaves it: with what the
// budgets have left that users see, and how many pushes the number's cool-down remembers.
// stored are the states that limit.Decide got, in the time of the process.
func (a Attempt) Charged(spend limit.Spend, stored limit.States, now time.Time) Attempt {
	if len(spend.Shown) == 0 {
		return a
	}
	untils := make([]time.Time, len(spend.Shown))
	for i, c := range spend.Shown {
		untils[i] = c.Rate.Take(stored[c.Key].Until, now).TAT
	}
	a.Tries = tightest(spend.Shown, untils, now)
	if c := spend.Cooling; c.Key != (limit.Key{}) && !c.Lane {
		a.Pushes = c.Rule.Next(stored[c.Key], 1, now)
	}
	return a
}

// AgainAt returns when another push to the attempt's number is possible, as far as the attempt
// can tell: when the lock that it took has expired (invariant 7), and its budgets have room
// again, of which a push that was approved has spent none. What others have done since does not
// change it: a browser that once sent a push learns nothing from it about what happens to that
// number later.
func (e *Engine) AgainAt(a Attempt) time.Time {
	if now := time.Now(); clock.Ahead(a.Created, now) {
		return now
	}
	at := a.lockEnds(e.cfg.Lock, e.afterDecline())
	if a.Tries.Next.After(at) && !a.released() {
		return a.Tries.Next
	}
	return at
}

// UnsolvedAt returns when the number's cool-down ends, as far as the attempt can
// tell: until then, another push to it takes a solved challenge. Like AgainAt, it
// knows nothing of what others have done since.
func (e *Engine) UnsolvedAt(a Attempt) time.Time {
	switch {
	case clock.Ahead(a.Created, time.Now()), a.released():
		return time.Time{}
	case a.Pushes == 0 && a.Method == Push && a.declined() && e.cfg.CoolDown > 0:
		return a.Ended.Add(e.cfg.CoolDown) // of a known browser's lane
	case a.Pushes == 0:
		return time.Time{}
	case a.declined():
		return a.Ended.Add(e.CoolDown().After(a.Pushes + 1))
	}
	return a.Created.Add(e.CoolDown().After(a.Pushes))
}

// declined reports whether the user declined on the phone.
func (a *Attempt) declined() bool {
	return a.State == Rejected && (a.Reason == UserRejected || a.Reason == AnotherNumber)
}

// lockEnds returns when the lock that the attempt took expires. Truecaller's
// response has released it; a decline keeps it for as long as afterDecline.
func (a *Attempt) lockEnds(lock, afterDecline time.Duration) time.Time {
	switch {
	case a.Method != Push: // it has locked no number
		return a.Created
	case a.declined():
		return a.Ended.Add(afterDecline)
	case !a.AuthTime.IsZero():
		return a.AuthTime
	case a.State == Failed && a.answered():
		return a.Ended
	}
	return a.Created.Add(lock)
}

// released reports whether Truecaller has released the number: the user has approved, or
// was not asked. The number's budget has got back then what the push had paid.
func (a *Attempt) released() bool {
	return !a.AuthTime.IsZero() || a.State == Failed && a.answered()
}

// answered reports whether a failure was Truecaller's response for the number. The
// phone that got the push has not responded when the profile is another's, and a
// foreign endpoint is not Truecaller's.
func (a *Attempt) answered() bool {
	return a.Reason != PhoneMismatch && a.Reason != ForeignEndpoint
}
