// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"errors"
	"time"
)

// RequestObserver counts requests to Truecaller. It must be quick and safe for
// concurrent use.
type RequestObserver interface {
	// Asked counts a request that was made, with its outcome and duration. ctx is that of
	// the push, the delivery or the native sign-in that made it.
	Asked(ctx context.Context, p Purpose, o Outcome, took time.Duration)
	// HeldBack counts a request that was not made because its host has not been
	// responding.
	HeldBack(p Purpose)
}

// CallbackObserver counts callbacks. It must be quick and safe for concurrent
// use.
type CallbackObserver interface {
	// Callback counts a request at a callback path. app is "" if the path is no app's. ctx
	// is that of ReceiverConfig.Trace if an attempt waits for the callback.
	Callback(ctx context.Context, app string, o CallbackOutcome, took time.Duration)
	// Delivered counts a delivery that the worker is done with, or failed with; took is the
	// time since it was received.
	Delivered(ctx context.Context, app string, failed bool, took time.Duration)
}

type unobserved struct{}

func (unobserved) Asked(context.Context, Purpose, Outcome, time.Duration)           {}
func (unobserved) HeldBack(Purpose)                                                 {}
func (unobserved) Callback(context.Context, string, CallbackOutcome, time.Duration) {}
func (unobserved) Delivered(context.Context, string, bool, time.Duration)           {}

// Outcome is how a request ended. The outcomes of a push that was not accepted are
// those of PushFailure.
type Outcome string

// The outcomes of other requests.
const (
	OutcomeOK          Outcome = "ok"          // a documented response
	OutcomeRefused     Outcome = "refused"     // the token or code was rejected
	OutcomeRejectedID  Outcome = "id_rejected" // the OAuth client id was rejected
	OutcomeUnusable    Outcome = "unusable"    // an undocumented response
	OutcomeUnavailable Outcome = "unavailable" // no response, 408, 429, 5xx
	OutcomeInterrupted Outcome = "interrupted" // the caller gave up
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

// admit returns a permit for one request, or an *Unavailable.
func (c *Client) admit(p Purpose, host string) (*Permit, error) {
	permit, err := c.breakers.admit(p, host)
	if err != nil {
		c.observer.HeldBack(p)
	}
	return permit, err
}

// asked settles the permit of a request that ended with err, and counts the request.
func (c *Client) asked(ctx context.Context, p Purpose, permit *Permit, begun time.Time, err error) {
	verdict := verdictOf(ctx, err)
	permit.settle(verdict)
	c.observer.Asked(ctx, p, outcomeOf(verdict, err), time.Since(begun))
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
