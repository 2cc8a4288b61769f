package truecaller

import (
	"context"
	"errors"
	"time"
)

// RequestObserver counts requests to Truecaller. It must be quick and safe for
// concurrent use.
type RequestObserver interface {
	// Asked is told of each request that was made, how it ended, and how long it
	// took.
	Asked(p Purpose, o Outcome, took time.Duration)
	// HeldBack is told of each request that was not made, because its host has not
	// been answering.
	HeldBack(p Purpose)
}

// CallbackObserver counts callbacks. It must be quick and safe for concurrent
// use.
type CallbackObserver interface {
	// Callback is told of each request at a callback path. app is "" when the path
	// is nobody's.
	Callback(app string, o CallbackOutcome)
}

type unobserved struct{}

func (unobserved) Asked(Purpose, Outcome, time.Duration)  {}
func (unobserved) HeldBack(Purpose)                       {}
func (unobserved) Callback(app string, o CallbackOutcome) {}

// Outcome says in a word how a request ended. Those of a push that was not
// accepted are PushFailure's.
type Outcome string

// The outcomes of other requests.
const (
	OutcomeOK          Outcome = "ok"          // answered, as documented
	OutcomeRefused     Outcome = "refused"     // the token or code is not accepted
	OutcomeRejectedID  Outcome = "id_rejected" // the OAuth client id is not accepted
	OutcomeUnusable    Outcome = "unusable"    // an answer that is not documented
	OutcomeUnavailable Outcome = "unavailable" // no answer, 408, 429, 5xx
	OutcomeInterrupted Outcome = "interrupted" // given up by ourselves
)

var outcomes = []struct {
	err error
	is  Outcome
}{
	{ErrUnauthorized, OutcomeRefused},
	{ErrCodeRefused, OutcomeRefused},
	{ErrClientIDRefused, OutcomeRejectedID},
	{ErrProfile, OutcomeUnusable},
	{ErrExchange, OutcomeUnusable},
	{ErrProfileUnavailable, OutcomeUnavailable},
	{ErrExchangeUnavailable, OutcomeUnavailable},
}

// admit is asked before a request. The error is an *Unavailable.
func (c *Client) admit(p Purpose, host string) (*Permit, error) {
	permit, err := c.breakers.admit(p, host)
	if err != nil {
		c.observer.HeldBack(p)
	}
	return permit, err
}

// asked is told of each request that had a permit, when it has ended with err.
func (c *Client) asked(ctx context.Context, p Purpose, permit *Permit, begun time.Time, err error) {
	verdict := verdictOf(ctx, err)
	permit.settle(verdict)
	c.observer.Asked(p, outcomeOf(verdict, err), time.Since(begun))
}

func outcomeOf(verdict, err error) Outcome {
	switch {
	case err == nil:
		return OutcomeOK
	case verdict == errUnused:
		return OutcomeInterrupted
	}
	if failed, ok := errors.AsType[*PushError](err); ok {
		return Outcome(failed.Kind)
	}
	for _, known := range outcomes {
		if errors.Is(err, known.err) {
			return known.is
		}
	}
	return OutcomeUnusable
}
