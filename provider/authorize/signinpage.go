// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"

	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/login"
	"calleridp/truecaller/phone"
)

// signInForm makes the sign-in page of a request.
type signInForm struct {
	sealer     sealer
	clients    clients
	links      links
	challenges challenges
	tries      triesLeft
	views      views

	region    string   // for phone numbers, ISO 3166-1 alpha-2; "" for none
	countries []string // regions that the list of countries starts with
}

// triesLeft knows what rate limits have left. *login.Engine does.
type triesLeft interface {
	NetworkTries(ctx context.Context, network string, method login.Method) (login.Tries, error)
	UnsolvedTries(ctx context.Context, network, clientID string) (login.Tries, error)
}

// view returns the sign-in page for a request that comes from network. typed is
// what its number field starts with. The page expires; showing it stores nothing
// (invariant 1).
func (f signInForm) view(ctx context.Context, q *request, c client.Client, typed, network string) (SignInView, error) {
	sealed, err := f.sealer.seal(q)
	if err != nil {
		return SignInView{}, err
	}
	app, err := f.clients.appFor(c, q)
	if err != nil {
		return SignInView{}, err
	}
	oneTap, err := f.links.sealed(c, app, q.Until)
	if err != nil {
		return SignInView{}, err
	}
	method := login.Push
	if app.WithoutPush {
		method = login.OneTap
	}
	tries, err := f.tries.NetworkTries(ctx, network, method)
	if err != nil {
		return SignInView{}, err
	}
	typed = clip(typed)
	var challenge *ChallengeView
	if !app.WithoutPush {
		if challenge, err = f.challenges.forNetwork(ctx, network, c.ID, q.Until); err != nil {
			return SignInView{}, err
		}
	}
	return SignInView{
		Client:      f.views.of(c, q),
		App:         app.Name,
		Request:     sealed,
		Phone:       typed,
		Region:      f.regionOf(typed, c),
		Countries:   f.countriesOf(c),
		UILocales:   q.UILocales,
		FormAction:  endpoint.FormAction(q.RedirectURI),
		Tries:       fewLeft(tries),
		Challenge:   challenge,
		WithoutPush: app.WithoutPush,
		OneTap:      oneTap,
	}, nil
}

// maxTyped is how many characters the number field takes.
const maxTyped = 64

// clip returns what fits into the number field. A page that repeated all of what a
// form sent could not be submitted.
func clip(typed string) string {
	n := 0
	for i := range typed {
		if n++; n > maxTyped {
			return typed[:i]
		}
	}
	return typed
}

// views makes the views of clients. *endpoint.Browser does, which knows nothing of the
// account page's client.
type views struct {
	browser interface {
		ViewFor(c client.Client, redirectURI string) endpoint.ClientView
	}
}

func (v views) of(c client.Client, q *request) endpoint.ClientView {
	if c.ID == endpoint.AccountClientID {
		return endpoint.ClientView{Own: true}
	}
	return v.browser.ViewFor(c, q.destination())
}

// refused returns the refusal that shows the sign-in page again.
func (f signInForm) refused(ctx context.Context, q *request, c client.Client, typed, network string, problem Problem) error {
	v, err := f.view(ctx, q, c, typed, network)
	if err != nil {
		return err
	}
	if err := f.explain(&v, q, network, &problem); err != nil {
		return err
	}
	return &Refusal{Problem: problem, View: v}
}

// explain adds a problem to the page. One that a challenge solves brings it along,
// whatever the mode: it may be the number that asks for it, of which the page knows
// nothing.
func (f signInForm) explain(v *SignInView, q *request, network string, problem *Problem) (err error) {
	v.Problem = problem
	if problem != nil && problem.Kind == Unsolved && v.Challenge == nil && !v.WithoutPush {
		v.Challenge, err = f.challenges.make(network, q.Until, problem.RetryAt)
	}
	return err
}

// prefill returns what the number field starts with: the login_hint, if it is a
// number. It is untrusted, and nothing is sent because of it.
func (f signInForm) prefill(q *request, c client.Client) string {
	_, err := phone.Parse(q.LoginHint, f.defaultRegion(c))
	if doubt, ok := errors.AsType[*phone.ParseError](err); ok && doubt.Kind != phone.Confirm {
		return ""
	}
	return q.LoginHint
}

// defaultRegion returns the country in which a number without a country code is
// read.
func (f signInForm) defaultRegion(c client.Client) string {
	if c.Region != "" {
		return c.Region
	}
	return f.region
}

// regionOf returns the country of the number that the page starts with, else the
// default region.
func (f signInForm) regionOf(typed string, c client.Client) string {
	region := f.defaultRegion(c)
	if n, err := phone.Parse(typed, region); err == nil && n.Region() != "" {
		return n.Region()
	}
	return region
}

// countriesOf returns the countries from which most of the client's users come.
func (f signInForm) countriesOf(c client.Client) []string {
	if len(c.Countries) > 0 {
		return c.Countries
	}
	return f.countries
}

// few is the number of tries from which on a page says how many are left.
const few = 3

// fewLeft returns what a page says of the tries that are left: nil while there
// are plenty.
func fewLeft(t login.Tries) *login.Tries {
	if t.Left > few || t.Next.IsZero() {
		return nil
	}
	return &t
}
