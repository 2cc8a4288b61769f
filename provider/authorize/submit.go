// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"calleridp/provider/audit"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Submit starts an attempt for a submitted number and asks Truecaller to push. A
// *Refusal shows the page again with what was typed;
// endpoint.ErrRequestExpired and endpoint.ErrBadRequest are error pages.
func (f *Flow) Submit(ctx context.Context, s Submission) (login.ID, error) {
	q, c, err := f.form.submitted(ctx, s.Request)
	if err != nil {
		return "", err
	}
	app, err := f.clients.appFor(c, q)
	if err != nil {
		return "", err
	}
	if app.WithoutPush {
		return "", endpoint.ErrBadRequest // its page has no number field
	}
	region := strings.ToUpper(s.Region)
	if !phone.IsRegion(region) {
		region = f.form.defaultRegion(c)
	}
	refused := func(problem Problem, typed string) error {
		err := f.form.refused(ctx, q, c, typed, s.Network, problem)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			refusal.View.Region = region
		}
		return err
	}

	number, err := f.numberOf(ctx, s, region)
	if mistake, ok := errors.AsType[*phone.ParseError](err); ok {
		return "", showing(mistake.Number, refused(Problem{Kind: ProblemKind(mistake.Kind)}, s.Phone))
	}
	if err != nil {
		return "", err
	}
	known, err := f.devices.known(ctx, s.Devices, number)
	if err != nil {
		return "", err
	}
	solved, unsolved := f.form.challenges.solved(s, time.Now())
	if known == "" && unsolved != nil && f.form.challenges.mode == ChallengeAlways {
		f.audit.Record(ctx, audit.Event{Name: audit.ChallengeUnsolved, Client: c.ID, Network: s.Network, Err: unsolved})
		return "", refused(Problem{Kind: Unsolved}, s.Phone)
	}

	kept, err := f.keep(q, s.UserAgent, s.Network)
	if err != nil {
		return "", err
	}
	a, err := f.attempts.Start(ctx, login.PushRequest{
		Number:   number,
		App:      app.ID,
		ClientID: c.ID,
		Browser:  s.Browser,
		Before:   s.Before,
		Device:   known,
		Network:  s.Network,
		Solved:   solved,
		Request:  kept,
		Form:     redact.Text(s.Request),
	})
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); ok {
		problem, typed := problemOf(exceeded), s.Phone
		if problem.Kind == Locked {
			typed = "" // only another number works now, and the page leads with that
		}
		return "", refused(problem, typed)
	}
	if open, ok := errors.AsType[*login.OtherApp](err); ok {
		return "", refused(f.otherApp(open), s.Phone)
	}
	if down, ok := errors.AsType[*truecaller.Unavailable](err); ok {
		return "", refused(Problem{Kind: Unavailable, RetryAt: down.RetryAt}, s.Phone)
	}
	return a.ID, err
}

// numberOf returns the number that a form is about: what was typed, or that of the user whom
// the page greeted. It returns a *phone.ParseError if there is none.
func (f *Flow) numberOf(ctx context.Context, s Submission, region string) (phone.Number, error) {
	if !s.Known {
		return s.number(region)
	}
	n, _, err := f.greetings.number(ctx, s.Devices)
	if err == nil && n.IsZero() { // the greeting has ended since
		err = &phone.ParseError{Kind: phone.Empty}
	}
	return n, err
}

// otherApp returns the problem of a number for which the browser has an open attempt at
// another Truecaller app.
func (f *Flow) otherApp(open *login.OtherApp) Problem {
	p := Problem{Kind: OtherApp, RetryAt: open.RetryAt, Attempt: open.Attempt}
	if app, err := f.clients.apps.Of(open.App); err == nil {
		p.App = app.Name
	}
	return p
}

// keep returns a submitted request as its attempt keeps it, with the browser that
// submitted it.
func (f *Flow) keep(q *request, userAgent, network string) ([]byte, error) {
	q.From = &origin{Device: session.DeviceOf(userAgent)}
	if f.country != nil {
		q.From.Country = f.country(network)
	}
	return endpoint.Encode(q)
}

// common are the budgets that all users of a client or of the deployment share.
var common = []limit.Kind{limit.Client, limit.Deployment, limit.SilentClient, limit.SilentDeployment}

// problemOf returns the sentence for an exceeded rate limit. That of the client
// or of the whole deployment is not the user's doing.
func problemOf(exceeded *limit.Exceeded) Problem {
	switch {
	case exceeded.Kind == limit.Challenge: // it was used before: another one will do
		return Problem{Kind: Unsolved}
	case exceeded.Reserved:
		return Problem{Kind: Unsolved, RetryAt: exceeded.RetryAt}
	case exceeded.Kind == limit.Lock && exceeded.Holder == "":
		return Problem{Kind: LockedElsewhere, RetryAt: exceeded.RetryAt}
	case exceeded.Kind == limit.Lock, exceeded.Kind == limit.DeviceLock:
		return Problem{Kind: Locked, RetryAt: exceeded.RetryAt}
	case slices.Contains(common, exceeded.Kind):
		return Problem{Kind: Unavailable, RetryAt: exceeded.RetryAt}
	}
	return Problem{Kind: Limited, RetryAt: exceeded.RetryAt}
}

// attemptOf finds this browser's attempt, with the request that it serves:
// endpoint.ErrBadRequest if that cannot be read.
func (f *Flow) attemptOf(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, *request, error) {
	return f.attemptBy(ctx, id, browser, f.attempts.Get)
}

func (f *Flow) attemptBy(ctx context.Context, id login.ID, browser login.BrowserSecret, get getAttempt) (login.Attempt, *request, error) {
	a, err := get(ctx, id, browser)
	if err != nil {
		return login.Attempt{}, nil, err
	}
	q := new(request)
	if json.Unmarshal(a.Request, q) != nil { // another version of the program has written it
		return login.Attempt{}, nil, endpoint.ErrBadRequest
	}
	return a, q, nil
}

// clientOf returns the client of a request for display, also one that is not
// registered any more.
func (f *Flow) clientOf(ctx context.Context, q *request) (client.Client, error) {
	c, err := f.clients.registry.Client(ctx, q.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{ID: q.ClientID}, nil
	}
	return c, err
}
