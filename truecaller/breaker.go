// SPDX-License-Identifier: Apache-2.0

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

// Purpose is the purpose of a request to Truecaller. A host that fails to respond to
// one kind of request may respond to another, so each purpose has its own breakers.
type Purpose string

// The purposes.
const (
	ForPush    Purpose = "push"
	ForProfile Purpose = "profile"
	ForToken   Purpose = "token" // the exchange of a native application's code
)

// When a breaker opens, and for how long. Only a missing response counts as a
// failure: no connection, a timeout, 408, 429 or 5xx.
const (
	openAfter   = 5                // failures in a row
	openWindow  = time.Minute      // or at least half of at least openAtLeast requests in this time
	openAtLeast = 20               //
	windowStep  = 10 * time.Second // how finely the window slides
	pushPause   = 30 * time.Second // the page asks the user to come back in a minute
	shortPause  = 10 * time.Second // for other requests a user waits, at a page or in an application
	probePause  = 2 * time.Second  // while one request probes the host
)

// Unavailable is the error of a request that was not made because its host has not
// been responding. Nothing was sent.
type Unavailable struct {
	Purpose Purpose
	Host    string
	RetryAt time.Time // when the next request is let through
}

func (e *Unavailable) Error() string {
	return fmt.Sprintf("truecaller: %s has not been answering, so that no %s request is made until %s",
		e.Host, e.Purpose, e.RetryAt.UTC().Format(time.RFC3339))
}

// Permit lets one request through a breaker. Its holder makes the request or returns
// the permit: a half-open breaker gives out only one until the outcome is known. The
// zero Permit belongs to no breaker.
type Permit struct {
	once sync.Once
	done func(error)
}

// Return returns an unused permit. It has no effect on a used one.
func (p *Permit) Return() { p.settle(errUnused) }

// settle reports the verdict to the breaker: nil, errUnanswered or errUnused.
func (p *Permit) settle(verdict error) {
	p.once.Do(func() {
		if p.done != nil { // the zero Permit has no breaker
			p.done(verdict)
		}
	})
}

// Verdicts on a request. The verdict on any response, whatever its content, is nil.
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

// breaker is closed while requests go through. After failures it is open and admits
// none. After a pause it is half open and admits one, whose outcome closes it or opens
// it again.
type breaker struct {
	gate *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex
	retryAt time.Time // while it is open
}

func newBreakers(log *slog.Logger) *breakers {
	return &breakers{log: log, trip: hasFailed, all: map[breakerKey]*breaker{}}
}

// hasFailed reports whether a closed breaker opens.
func hasFailed(c gobreaker.Counts) bool {
	ended := c.TotalSuccesses + c.TotalFailures
	return c.ConsecutiveFailures >= openAfter || ended >= openAtLeast && 2*c.TotalFailures >= ended
}

// admit returns a permit for one request, or an *Unavailable.
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
				// The library admits the next request only after the pause has ended, so
				// retry_at is a moment later.
				at := time.Now().Add(pause + time.Millisecond)
				br.opened(at)
				log.Warn("Truecaller does not answer: no requests for a while", "retry_at", at.UTC().Format(time.RFC3339))
			case gobreaker.StateClosed:
				log.Info("Truecaller responds again")
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

// BreakerState is the state of a breaker.
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

// Breakers returns the breakers of all hosts that have had a request, in no order.
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

// verdictOf returns the verdict on a request that ended with err. ctx is the caller's:
// if it is done, the host has not failed.
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
