// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"time"
)

// Step is a part of a request whose duration operators may want to know.
type Step string

// The steps.
const (
	StepDecide Step = "authorize.decide" // from a valid authorization request to what it gets
	StepIssue  Step = "token.issue"      // the making of an ID token at the token endpoint
	StepSignIn Step = "sign_in"          // from the first sign-in page to the response to the client
)

// Steps is notified of a step that has ended. failed reports whether it ended with an error or a
// refusal. ctx is that of the request. It must be quick and safe for concurrent use. If
// nil, steps are not reported.
type Steps func(ctx context.Context, s Step, failed bool, took time.Duration)

// Ended reports a step that began at begun.
func (s Steps) Ended(ctx context.Context, step Step, begun time.Time, err error) {
	if s != nil {
		s(ctx, step, err != nil, time.Since(begun))
	}
}
