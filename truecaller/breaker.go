package truecaller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Purpose is what requests to Truecaller are for. A host that does not answer
// one kind of request may well answer another, so each has its own breakers.
type Purpose string

// The purposes.
const (
	ForPush    Purpose = "push"
	ForProfile Purpose = "profile"
	ForToken   Purpose = "token" // the exchange of a native application's code
)

// When a breaker opens, and for how long. Only what was not answered counts: no
// connection, no answer in time, 408, 429, 5xx.
const (
	openAfter   = 5                // failures in a row
	openWindow  = time.Minute      // or at least half of at least openAtLeast requests in this time
	openAtLeast = 20               //
	windowStep  = 10 * time.Second // how finely the window slides
	pushPause   = 30 * time.Second // people are told to come back in a minute
	shortPause  = 10 * time.Second // for all else people are waiting, at a page or an application that is open
	probePause  = 2 * time.Second  // while somebody's request finds out whether the host is back
)

// Unavailable says that a request was not made, because the host has not been
// answering. Nothing was sent.
type Unavailable struct {
	Purpose Purpose
	Host    string
	RetryAt time.Time // when the next request is let through
}

func (e *Unavailable) Error() string {
	return fmt.Sprintf("truecaller: %s has not been answering, so that no %s request is made until %s",
		e.Host, e.Purpose, e.RetryAt.UTC().Format(time.RFC3339))
}

// Permit lets one request through a breaker. Whoever has one either makes the
// request or gives the permit back: one of them may be all that a host gets
// until its outcome is known. The zero Permit belongs to no breaker.
type Permit struct {
	once sync.Once
	done func(error)
}

// Return gives back a permit that was not used. It does nothing to one that was.
func (p *Permit) Return() { p.settle(errUnused) }

// settle tells the breaker the verdict: nil, errUnanswered or errUnused.
func (p *Permit) settle(verdict error) {
	p.once.Do(func() {
		if p.done != nil { // the zero Permit is nobody's
			p.done(verdict)
		}
	})
}

// Verdicts about a request, as far as a breaker cares. An answer is nil, whatever
// it says.
var (
	errUnanswered = errors.New("not answered")
	errUnused     = errors.New("not asked")
)

// breakers are the circuit breakers of a client, one for each host and purpose.
// All hosts come from the configuration, so that there are few.
type breakers struct {
	log  *slog.Logger
	trip func(gobreaker.Counts) bool

	mu  sync.Mutex
	all map[breakerKey]*breaker
}

type breakerKey struct {
	purpose Purpose
	host    string
}

// breaker is closed, and requests go through; after failures it is open, and
// none does; after a pause it is half open, and one goes through, whose outcome
// closes it or opens it again.
type breaker struct {
	gate *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex
	retryAt time.Time // while it is open
}

func newBreakers(log *slog.Logger) *breakers {
	return &breakers{log: log, trip: hasFailed, all: map[breakerKey]*breaker{}}
}

// hasFailed says whether a closed breaker opens.
func hasFailed(c gobreaker.Counts) bool {
	ended := c.TotalSuccesses + c.TotalFailures
	return c.ConsecutiveFailures >= openAfter || ended >= openAtLeast && 2*c.TotalFailures >= ended
}

// admit is asked before a request. The error is an *Unavailable.
func (b *breakers) admit(purpose Purpose, host string) (*Permit, error) {
	br := b.at(breakerKey{purpose, host})
	done, err := br.gate.Allow()
	if err == nil {
		return &Permit{done: done}, nil
	}
	at := time.Now().Add(probePause)
	if errors.Is(err, gobreaker.ErrOpenState) {
		at = br.until()
	}
	return nil, &Unavailable{Purpose: purpose, Host: host, RetryAt: at}
}

func (b *breakers) at(key breakerKey) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	br := b.all[key]
	if br == nil {
		br = b.make(key)
		b.all[key] = br
	}
	return br
}

func (b *breakers) make(key breakerKey) *breaker {
	pause := pushPause
	if key.purpose != ForPush {
		pause = shortPause
	}
	br := new(breaker)
	br.gate = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Interval:     openWindow,
		BucketPeriod: windowStep,
		Timeout:      pause,
		ReadyToTrip:  b.trip,
		IsExcluded:   func(err error) bool { return errors.Is(err, errUnused) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			log := b.log.With("purpose", key.purpose, "host", key.host)
			switch to {
			case gobreaker.StateOpen:
				// The library lets the next request through after the pause, not at its
				// end, hence the moment more.
				at := time.Now().Add(pause + time.Millisecond)
				br.opened(at)
				log.Warn("Truecaller does not answer: no requests for a while", "retry_at", at.UTC().Format(time.RFC3339))
			case gobreaker.StateClosed:
				log.Info("Truecaller answers again")
			}
		},
	})
	return br
}

func (br *breaker) opened(retryAt time.Time) {
	br.mu.Lock()
	defer br.mu.Unlock()
	br.retryAt = retryAt
}

func (br *breaker) until() time.Time {
	br.mu.Lock()
	defer br.mu.Unlock()
	return br.retryAt
}

// BreakerState is where a breaker stands.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // requests go through
	BreakerOpen     BreakerState = "open"      // none does
	BreakerHalfOpen BreakerState = "half_open" // one does, to find out
)

// Breaker is the state of one breaker.
type Breaker struct {
	Purpose Purpose
	Host    string
	State   BreakerState
}

// Breakers are the breakers of the hosts that were asked for something so far,
// in no order.
func (c *Client) Breakers() []Breaker {
	b := c.breakers
	b.mu.Lock()
	defer b.mu.Unlock()
	states := make([]Breaker, 0, len(b.all))
	for key, br := range b.all {
		state := BreakerClosed
		switch br.gate.State() {
		case gobreaker.StateOpen:
			state = BreakerOpen
		case gobreaker.StateHalfOpen:
			state = BreakerHalfOpen
		}
		states = append(states, Breaker{Purpose: key.purpose, Host: key.host, State: state})
	}
	return states
}

// verdictOf is what a breaker is told of a request that ended with err. ctx is
// the caller's, whose end is not the host's fault.
func verdictOf(ctx context.Context, err error) error {
	failed, _ := errors.AsType[*PushError](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, failed != nil && failed.Kind == PushRefused && failed.Status == 0:
		return errUnused
	case failed != nil && (failed.Kind == PushUnavailable || failed.Kind == PushUnknown && failed.Status == 0),
		errors.Is(err, ErrProfileUnavailable), errors.Is(err, ErrExchangeUnavailable):
		return errUnanswered
	}
	return nil
}
