package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/limit"
	"calleridp/truecaller/phone"
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

func (h *handler) showLimits(r *http.Request) (int, any, error) {
	s, err := h.whose(r)
	if err != nil {
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), s.event(audit.LimitShown))
	return h.limits(r.Context(), s)
}

func (h *handler) clearLimits(r *http.Request) (int, any, error) {
	s, err := h.whose(r)
	if err != nil {
		return 0, nil, err
	}
	if err := h.Budgets.ClearLimits(r.Context(), append(s.keys(), s.also...)...); err != nil {
		return 0, nil, err
	}
	h.Audit.Record(r.Context(), s.event(audit.LimitCleared))
	return h.limits(r.Context(), s)
}

func (h *handler) limits(ctx context.Context, s limited) (int, any, error) {
	now := time.Now()
	states, err := h.Budgets.LimitStates(ctx, s.keys()...)
	if err != nil {
		return 0, nil, err
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
		if until := limit.Held(states[1].Until, h.LongestLock, now); until.After(now) {
			out.LockedUntil = until.UTC()
		}
		if until := limit.Held(states[2].Free, h.CoolDown.Longest, now); until.After(now) {
			out.CoolUntil = until.UTC()
		}
	}
	return http.StatusOK, out, nil
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
func (h *handler) whose(r *http.Request) (limited, error) {
	var in LimitsOf
	if err := readBody(r, &in); err != nil {
		return limited{}, err
	}
	switch in {
	case LimitsOf{Number: in.Number}:
		return h.ofNumber(in.Number)
	case LimitsOf{Network: in.Network}:
		return h.ofNetwork(in.Network)
	case LimitsOf{Number: in.Number, Network: in.Network}:
		return h.ofShare(in.Number, in.Network)
	case LimitsOf{Client: in.Client}:
		c, err := h.Clients.Client(r.Context(), in.Client)
		if err != nil {
			return limited{}, clientError(in.Client, err)
		}
		return sharedOf(c.ID, limit.Key{Kind: limit.Client, ID: c.ID}, h.Limits.Client, limit.SilentClient), nil
	case LimitsOf{Deployment: true}:
		return sharedOf("all", limit.Key{Kind: limit.Deployment}, h.Limits.Deployment, limit.SilentDeployment), nil
	}
	return limited{}, refused{http.StatusUnprocessableEntity, "say one of number, network, client and deployment, or a number and a network"}
}

func (h *handler) ofNumber(text string) (limited, error) {
	n, err := h.number(text)
	if err != nil {
		return limited{}, err
	}
	s := budgetOf(n.Masked(), limit.Key{Kind: limit.Number, ID: n.Digits()}, h.Limits.Number)
	s.lock = limit.Key{Kind: limit.Lock, ID: n.Digits()}
	s.cool = limit.Key{Kind: limit.CoolingOff, ID: n.Digits()}
	return s, nil
}

// ofShare is what a network and the widest one around it may have of a number.
func (h *handler) ofShare(number, from string) (limited, error) {
	n, err := h.number(number)
	if err != nil {
		return limited{}, err
	}
	of, err := network(from)
	if err != nil {
		return limited{}, err
	}
	shares := h.Limits.ShareOf(n, of)
	s := limited{shown: n.Masked() + " from " + of, budget: shares[0]}
	if len(shares) > 1 {
		s.wider = shares[1]
	}
	return s, nil
}

// number reads a number that an operator gave.
func (h *handler) number(text string) (phone.Number, error) {
	n, err := phone.Parse(text, h.Region)
	if mistake, ok := errors.AsType[*phone.ParseError](err); ok {
		if mistake.Kind == phone.Confirm && !mistake.Several {
			return mistake.Number, nil // a landline's, or of a newer plan: it may be in the store
		}
		return n, refused{http.StatusUnprocessableEntity, "the number " + numberMistakes[mistake.Kind]}
	}
	return n, err
}

// readBody reads the one JSON value of a request.
func readBody(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return refused{http.StatusBadRequest, "the request is not readable: " + strings.TrimPrefix(err.Error(), "json: ")}
	}
	if _, err := d.Token(); err != io.EOF {
		return refused{http.StatusBadRequest, "the request is not readable: there is more than one JSON value"}
	}
	return nil
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
			const wanted = "%q is not an address like 192.0.2.7 or 2001:db8::1, or a network of the audit like 192.0.2.7/32"
			return "", refused{http.StatusUnprocessableEntity, fmt.Sprintf(wanted, text)}
		}
		address = network.Addr()
	}
	return limit.NetworkOf(address), nil
}

func (h *handler) ofNetwork(text string) (limited, error) {
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
	return budgetOf(networks[0], also[0], h.Limits.Network, also[1:]...), nil
}
