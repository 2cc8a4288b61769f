// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/audit"
	"calleridp/provider/limit"
	"calleridp/truecaller/phone"

	"github.com/danielgtaylor/huma/v2"
)

// Budgets is where locks and budgets are kept. *bolt.Store is one.
type Budgets interface {
	// LimitStates is that of login.Store.
	LimitStates(ctx context.Context, keys ...limit.Key) ([]limit.State, error)
	// ClearLimits forgets what is kept of these keys; durable when it returns nil.
	// Keys of which nothing is kept are no error.
	ClearLimits(ctx context.Context, keys ...limit.Key) error
}

// LimitsOf says whose lock and budget is meant: one of the fields, or Number and Network
// for what that network may have of the number. It travels in
// the body, because a phone number has no place in an address (invariant 10).
type LimitsOf struct {
	Number     string `json:"number,omitempty"`     // as people write it
	Network    string `json:"network,omitempty"`    // an IP address, or a network as the audit names it
	Client     string `json:"client,omitempty"`     // client_id
	Deployment bool   `json:"deployment,omitempty"` // that of all together
}

// LimitsQuery is a request to show limits.
type LimitsQuery struct{ Body LimitsOf }

// LimitsClearing is a request to clear limits.
type LimitsClearing struct {
	Once
	Body LimitsOf
}

// Limits is how a lock and a budget stand.
type Limits struct {
	Of          string    `json:"of"`                    // the number, masked; the network; the client
	LockedUntil time.Time `json:"locked_until,omitzero"` // of a number; zero: not locked
	CoolUntil   time.Time `json:"cool_until,omitzero"`   // until when a number asks unknown browsers for a solved challenge; zero: not now
	Burst       int       `json:"burst"`                 // so many at once, and so many more in each Period
	Period      string    `json:"period"`
	Used        int       `json:"used"`
	Left        int       `json:"left"`
	Next        time.Time `json:"next"`             // when the next is possible; now, if one is left
	Full        time.Time `json:"full_at,omitzero"` // when all are back; zero: all are there
}

// limited is what a request about limits means.
type limited struct {
	shown  string // fit for a log (invariant 10)
	lock   limit.Key
	cool   limit.Key
	budget limit.Charge
	wider  limit.Charge   // shown instead if less of it is left; its Key may be zero
	parts  []limit.Charge // of a budget that many share
	also   []limit.Key    // what is cleared with it
}

func budgetOf(shown string, key limit.Key, rate limit.Rate, also ...limit.Key) limited {
	return limited{shown: shown, budget: limit.Charge{Key: key, Rate: rate}, also: also}
}

// sharedOf is a budget that many share, in parts. silent is the one of attempts that ring
// no phone, which is cleared with it.
func sharedOf(shown string, key limit.Key, rate limit.Rate, silent limit.Kind) limited {
	s := budgetOf(shown, key, rate, slices.Concat(key.Parts(), limit.Key{Kind: silent, ID: key.ID}.Parts())...)
	s.parts = s.budget.Parts()
	return s
}

// keys returns the budget's key, and those of the lock and the cool-down if there are any;
// or those of its parts.
func (s limited) keys() []limit.Key {
	switch {
	case len(s.parts) > 0:
		keys := make([]limit.Key, len(s.parts))
		for i, c := range s.parts {
			keys[i] = c.Key
		}
		return keys
	case s.wider.Key != (limit.Key{}):
		return []limit.Key{s.budget.Key, s.wider.Key}
	case s.lock == (limit.Key{}):
		return []limit.Key{s.budget.Key}
	}
	return []limit.Key{s.budget.Key, s.lock, s.cool}
}

func (s limited) event(name audit.Name) audit.Event {
	return audit.Event{Name: name, Kind: string(s.budget.Key.Kind), Of: s.shown}
}

func (a *API) limits() {
	tags := []string{"Limits"}
	const of = "Of a number, of a network, of a client, of the deployment, or of what a network may have of a number. " +
		"It is a POST, because a phone number has no place in an address."
	register(a, huma.Operation{
		OperationID: "show-limits", Method: http.MethodPost, Path: "/v1/limits/show", Tags: tags,
		Summary: "Show a lock and a budget", Description: of, Errors: []int{http.StatusNotFound},
	}, apikey.LimitsRead, a.ShowLimits)
	register(a, huma.Operation{
		OperationID: "clear-limits", Method: http.MethodPost, Path: "/v1/limits/clear", Tags: tags,
		Summary: "Release a lock and refill its budget", Description: of, Errors: []int{http.StatusNotFound},
	}, apikey.LimitsWrite, a.ClearLimits)
}

// ShowLimits returns how a lock and a budget stand.
func (a *API) ShowLimits(ctx context.Context, in *LimitsQuery) (*Reply[Limits], error) {
	if err := allowed(ctx, apikey.LimitsRead); err != nil {
		return nil, err
	}
	s, err := a.whose(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	a.Audit.Record(ctx, s.event(audit.LimitShown))
	return a.limitsOf(ctx, s)
}

// ClearLimits releases a lock and refills its budget.
func (a *API) ClearLimits(ctx context.Context, in *LimitsClearing) (*Reply[Limits], error) {
	if err := allowed(ctx, apikey.LimitsWrite); err != nil {
		return nil, err
	}
	s, err := a.whose(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, s.event(audit.LimitCleared), func(ctx context.Context) error {
		return a.Budgets.ClearLimits(ctx, append(s.keys(), s.also...)...)
	})
	if err != nil {
		return nil, err
	}
	return a.limitsOf(ctx, s)
}

func (a *API) limitsOf(ctx context.Context, s limited) (*Reply[Limits], error) {
	now := time.Now()
	states, err := a.Budgets.LimitStates(ctx, s.keys()...)
	if err != nil {
		return nil, err
	}
	budget := s.budget
	parts := s.parts
	if len(parts) == 0 {
		parts = []limit.Charge{budget}
	}
	left, next, tat := limit.LeftOf(parts, states, now)
	if s.wider.Key != (limit.Key{}) {
		until := s.wider.Believable(states[1].Until, now)
		if l, n := s.wider.Left(until, now); l < left {
			budget, tat, left, next = s.wider, until, l, n
		}
	}
	rate := budget.Rate
	out := Limits{
		Of:     s.shown,
		Burst:  rate.Burst,
		Period: plainly(rate.Period),
		Used:   rate.Burst - left,
		Left:   left,
		Next:   next.UTC(),
	}
	if tat.After(now) {
		out.Full = tat.UTC()
	}
	if s.lock != (limit.Key{}) {
		if until := limit.Held(states[1].Until, a.LongestLock, now); until.After(now) {
			out.LockedUntil = until.UTC()
		}
		if until := limit.Held(states[2].Free, a.CoolDown.Longest, now); until.After(now) {
			out.CoolUntil = until.UTC()
		}
	}
	return reply(out), nil
}

// plainly writes a period as the configuration does: 24h, not 24h0m0s.
func plainly(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// whose reads whose limits a request is about.
func (a *API) whose(ctx context.Context, in LimitsOf) (limited, error) {
	switch in {
	case LimitsOf{Number: in.Number}:
		return a.ofNumber(in.Number)
	case LimitsOf{Network: in.Network}:
		return a.ofNetwork(in.Network)
	case LimitsOf{Number: in.Number, Network: in.Network}:
		return a.ofShare(in.Number, in.Network)
	case LimitsOf{Client: in.Client}:
		c, err := a.Clients.Client(ctx, in.Client)
		if err != nil {
			return limited{}, clientError(in.Client, err)
		}
		return sharedOf(c.ID, limit.Key{Kind: limit.Client, ID: c.ID}, a.Limits.Client, limit.SilentClient), nil
	case LimitsOf{Deployment: true}:
		return sharedOf("all", limit.Key{Kind: limit.Deployment}, a.Limits.Deployment, limit.SilentDeployment), nil
	}
	return limited{}, refused(http.StatusUnprocessableEntity, "say one of number, network, client and deployment, or a number and a network")
}

func (a *API) ofNumber(text string) (limited, error) {
	n, err := a.number(text)
	if err != nil {
		return limited{}, err
	}
	s := budgetOf(n.Masked(), limit.Key{Kind: limit.Number, ID: n.Digits()}, a.Limits.Number)
	s.lock = limit.Key{Kind: limit.Lock, ID: n.Digits()}
	s.cool = limit.Key{Kind: limit.CoolingOff, ID: n.Digits()}
	return s, nil
}

// ofShare is what a network and the widest one around it may have of a number.
func (a *API) ofShare(number, from string) (limited, error) {
	n, err := a.number(number)
	if err != nil {
		return limited{}, err
	}
	of, err := network(from)
	if err != nil {
		return limited{}, err
	}
	shares := a.Limits.ShareOf(n, of)
	s := limited{shown: n.Masked() + " from " + of, budget: shares[0]}
	if len(shares) > 1 {
		s.wider = shares[1]
	}
	return s, nil
}

// number reads a number that an operator gave.
func (a *API) number(text string) (phone.Number, error) {
	n, err := phone.Parse(text, a.Region)
	if mistake, ok := errors.AsType[*phone.ParseError](err); ok {
		if mistake.Kind == phone.Confirm && !mistake.Several {
			return mistake.Number, nil // a landline's, or of a newer plan: it may be in the store
		}
		return n, refused(http.StatusUnprocessableEntity, "the number %s", numberMistakes[mistake.Kind])
	}
	return n, err
}

// numberMistakes are what operators are told of a number that is none. The
// number itself is not repeated.
var numberMistakes = map[phone.Kind]string{
	phone.Empty:       "is missing",
	phone.NotANumber:  "is not a phone number; write it with digits",
	phone.TooShort:    "is too short",
	phone.TooLong:     "is too long",
	phone.BadCountry:  "has a country code that no country has",
	phone.Invalid:     "does not exist in its country",
	phone.Landline:    "is not that of a phone, but of a service",
	phone.Confirm:     "may be read in several ways; start it with + and the country code",
	phone.NeedsRegion: "has no country code; start it with +, or set default_region",
}

// network reads a network that an operator gave: an address, or the network of one as
// the audit names it.
func network(text string) (string, error) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		network, err := netip.ParsePrefix(text)
		if err != nil || limit.NetworkOf(network.Addr()) != network.Masked().String() {
			// What it is instead may be a number, and is not repeated.
			return "", refused(http.StatusUnprocessableEntity, "network is not an address like 192.0.2.7 or 2001:db8::1, or a network of the audit like 192.0.2.7/32")
		}
		address = network.Addr()
	}
	return limit.NetworkOf(address), nil
}

func (a *API) ofNetwork(text string) (limited, error) {
	narrow, err := network(text)
	if err != nil {
		return limited{}, err
	}
	// With the wider networks of IPv6: one of them may be what refuses the user.
	var also []limit.Key
	networks := limit.NetworksOf(narrow)
	for _, network := range networks {
		for _, kind := range []limit.Kind{limit.Network, limit.DeviceNetwork, limit.SilentNetwork} {
			also = append(also, limit.Key{Kind: kind, ID: network})
		}
	}
	return budgetOf(networks[0], also[0], a.Limits.Network, also[1:]...), nil
}
