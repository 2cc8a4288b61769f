// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"calleridp/provider/limit"
)

// A browser that asks again for a number, while its own attempt holds the number's lock,
// gets that attempt: the prompt on the phone is its own. The attempt serves the request
// that came last, of whatever client, because that is the one whose page the user sees.

// OtherApp is the error for a number whose lock a live attempt of the same browser
// holds at another Truecaller app: the prompt on the phone has another name than the
// page that asks.
type OtherApp struct {
	Attempt ID
	App     string    // of the attempt
	RetryAt time.Time // when the lock expires
}

func (e *OtherApp) Error() string {
	return fmt.Sprintf("login: attempt %s of the same browser is open at app %q", e.Attempt, e.App)
}

// overtaken says that the attempt to resume was approved, has ended or serves another
// client meanwhile. refused is what has refused a new one.
type overtaken struct{ refused error }

func (e *overtaken) Error() string { return "login: the attempt has changed meanwhile" }

// mostOvertaken is how often a request may be overtaken before it is refused.
const mostOvertaken = 3

// ownLocked returns the live attempt that refuses another one because it holds the
// number's lock, and when the lock expires, if the browser that asks has started it; the
// zero Attempt for any other refusal.
func (e *Engine) ownLocked(ctx context.Context, refused error, now time.Time) (Attempt, time.Time, error) {
	exceeded, ok := errors.AsType[*limit.Exceeded](refused)
	if !ok || exceeded.Holder == "" {
		return Attempt{}, time.Time{}, nil
	}
	a, err := e.cfg.Store.Attempt(ctx, ID(exceeded.Holder))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Attempt{}, time.Time{}, err
	}
	if err != nil || !a.Live(now) { // it was cancelled, for example
		return Attempt{}, time.Time{}, nil
	}
	return a, exceeded.RetryAt, nil
}

// resume makes a browser's live attempt serve the request of the one that asked for it,
// which was not created. asker is what a push costs the one who asks. It pays for its
// own budgets, and for those of the client and of the deployment if the client is
// another one: the phone does not ring, and yet each client's budget bounds its sign-ins.
// ErrState if the attempt cannot be resumed any more.
func (e *Engine) resume(ctx context.Context, own, asked Attempt, asker []limit.Charge, now time.Time) (Attempt, error) {
	spend := limit.Spend{Asker: asker}
	if own.ClientID == asked.ClientID {
		spend.Asker = slices.DeleteFunc(slices.Clone(asker), func(c limit.Charge) bool { return !c.Own })
	}
	after, err := e.cfg.Store.ResumeAttempt(ctx, own.ID, asked.Form, spend, now, func(a Attempt) (Attempt, error) {
		if a.serves(asked) {
			return a, nil
		}
		if a.ClientID != own.ClientID { // the spend is for a switch from another client
			return Attempt{}, ErrState
		}
		err := a.resume(asked, now)
		return a, err
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrState
	}
	if err != nil {
		e.recordLimited(ctx, asked, err)
		return Attempt{}, err
	}
	e.hub.wake(after)
	e.record(ctx, eventResumed, after)
	return after, nil
}

// triesAfterResume returns what is left after an attempt was resumed: it costs its networks
// a try, and the number nothing.
func (e *Engine) triesAfterResume(ctx context.Context, now time.Time, networks, number []limit.Charge) (Tries, error) {
	untils, err := e.untils(ctx, slices.Concat(networks, number))
	if err != nil {
		return Tries{}, err
	}
	for i, c := range networks {
		untils[i] = c.Rate.Take(untils[i], now).TAT
	}
	return tightest(slices.Concat(networks, number), untils, now), nil
}

// serves reports whether the attempt serves the same request as another one.
func (a *Attempt) serves(b Attempt) bool {
	return a.ClientID == b.ClientID && a.App == b.App && bytes.Equal(a.Request, b.Request)
}
