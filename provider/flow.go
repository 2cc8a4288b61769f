package provider

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// Submit implements Flow.
func (p *Provider) Submit(ctx context.Context, s Submission) (login.ID, error) {
	q, c, err := p.submitted(ctx, s.Request)
	if err != nil {
		return "", err
	}
	app, err := p.appOf(c)
	if err != nil {
		return "", err
	}
	if app.WithoutPush {
		return "", ErrBadRequest
	}
	region := strings.ToUpper(s.Region)
	if !phone.IsRegion(region) {
		region = p.region(c)
	}
	again := func(problem Problem) error {
		err := p.again(ctx, q, c, s.Phone, s.Network, problem)
		if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			refusal.View.Region = region
		}
		return err
	}
	number, err := phone.Parse(s.Phone, region)
	if mistake := (*phone.ParseError)(nil); errors.As(err, &mistake) {
		return "", again(Problem{Kind: ProblemKind(mistake.Kind)})
	}
	if err != nil {
		return "", err
	}
	if s.Guessed && isNational(s.Phone) {
		// The same digits may be a stranger's number in another country.
		err := again(Problem{Kind: PhoneConfirm})
		if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			refusal.View.Phone = number.International()
		}
		return "", err
	}
	kept, err := p.kept(q, s.UserAgent, s.Network)
	if err != nil {
		return "", err
	}
	solved, why := p.solved(s, time.Now())
	if why != nil && p.Challenge == ChallengeAlways {
		p.Audit.LogAttrs(ctx, slog.LevelInfo, "challenge.unsolved", slog.String("client", c.ID), slog.String("network", s.Network), slog.Any("error", why))
		return "", again(Problem{Kind: Unsolved})
	}
	a, err := p.Engine.Start(ctx, login.PushRequest{
		Number:   number,
		App:      app.ID,
		ClientID: c.ID,
		Browser:  login.BrowserSecret(s.Browser),
		Network:  s.Network,
		Solved:   solved,
		Request:  kept,
	})
	if full := (*limit.Exceeded)(nil); errors.As(err, &full) {
		return "", again(problemOf(full))
	}
	if down := (*truecaller.Unavailable)(nil); errors.As(err, &down) {
		return "", again(Problem{Kind: Unavailable, RetryAt: down.RetryAt})
	}
	return a.ID, err
}

// kept is a submitted request as its attempt keeps it.
func (p *Provider) kept(q *authRequest, userAgent, network string) ([]byte, error) {
	q.From = &origin{Device: session.DeviceOf(userAgent)}
	if p.Country != nil {
		q.From.Country = p.Country(network)
	}
	return json.Marshal(q)
}

// isNational says that a number that can be read has no country code.
func isNational(typed string) bool {
	_, err := phone.Parse(typed, "")
	return err != nil
}

// problemOf says which sentence a refused budget gets. That of the client or of
// the whole deployment is not the person's doing.
func problemOf(full *limit.Exceeded) Problem {
	problem := Problem{Kind: Limited, RetryAt: full.RetryAt}
	switch {
	case full.Kind == limit.Challenge: // it was used before: another will do
		problem = Problem{Kind: Unsolved}
	case full.Reserved:
		problem.Kind = Unsolved
	case full.Kind == limit.Lock:
		problem.Kind = Locked
	case full.Kind == limit.Client, full.Kind == limit.Deployment:
		problem.Kind = Unavailable
	}
	return problem
}

// recheck finds the client of a request again, which may have changed since:
// ErrBadRequest when it may not have the response any more.
func (p *Provider) recheck(ctx context.Context, q *authRequest) (client.Client, error) {
	if q.own() {
		return p.ownClient(), nil
	}
	c, err := p.Clients.Client(ctx, q.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{}, ErrBadRequest
	}
	if err != nil {
		return client.Client{}, err
	}
	if !c.RedirectAllowed(q.RedirectURI) {
		return client.Client{}, ErrBadRequest
	}
	return c, nil
}

// attempt finds the attempt of this browser, with the request that it serves.
func (p *Provider) attempt(ctx context.Context, id login.ID, browser string) (login.Attempt, *authRequest, error) {
	a, err := p.Engine.Get(ctx, id, login.BrowserSecret(browser))
	if err != nil {
		return login.Attempt{}, nil, yours(err)
	}
	q := new(authRequest)
	return a, q, json.Unmarshal(a.Request, q)
}

// yours gives the engine's errors the names that pages know.
func yours(err error) error {
	if errors.Is(err, login.ErrNotYours) {
		return ErrNotYours
	}
	return err
}

// View implements Flow.
func (p *Provider) View(ctx context.Context, id login.ID, browser string) (AttemptView, error) {
	a, q, err := p.attempt(ctx, id, browser)
	if err != nil {
		return AttemptView{}, err
	}
	c, err := p.Clients.Client(ctx, q.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		c, err = client.Client{ID: q.ClientID}, nil
	}
	if err != nil {
		return AttemptView{}, err
	}
	if a.State == login.Done {
		// The answer may have got lost on the way to the browser. As long as
		// nobody has used it, Continue gives it again.
		switch _, err := p.answerAgain(ctx, q, c, a, browser); {
		case err == nil:
			a.State = login.Approved
		case !errors.Is(err, login.ErrState):
			return AttemptView{}, err
		}
	}
	v := AttemptView{
		ID: a.ID, Method: a.Method, State: a.State, Reason: a.Reason, Client: clientView(c), Opened: !a.Invoked.IsZero(),
		UILocales: q.UILocales, Expires: a.Expires, AgainAt: p.Engine.AgainAt(a), Tries: fewLeft(a.Tries), FormAction: formAction(q.RedirectURI),
	}
	if !a.Number.IsZero() {
		v.Number = a.Number.Masked()
	}
	if app, ok := p.Apps[a.App]; ok {
		v.App, v.WithoutPush = app.Name, app.WithoutPush
		if a.Method == login.OneTap && app.OneTap != nil {
			if v.Link, err = linkFor(c, app, a.RequestID); err != nil {
				return AttemptView{}, err
			}
		}
	}
	return v, nil
}

// Watch implements Flow.
func (p *Provider) Watch(id login.ID, browser string) login.Watcher {
	return p.Engine.Watch(id, login.BrowserSecret(browser))
}

// otherPerson says that the client asked for another person than the one who
// approved (id_token_hint).
const otherPerson login.Reason = "other_person"

// Continue implements Flow. It uses the approved attempt once; but until its
// code is redeemed or expires, the same browser may have the answer again.
func (p *Provider) Continue(ctx context.Context, id login.ID, browser, cookie string) (Finished, error) {
	a, q, err := p.attempt(ctx, id, browser)
	if err != nil {
		return Finished{}, err
	}
	c, err := p.recheck(ctx, q)
	if err != nil {
		return Finished{}, err
	}
	switch {
	case a.State == login.Done:
		return p.answerAgain(ctx, q, c, a, browser)
	case a.State != login.Approved:
		return Finished{}, login.ErrState
	case q.HintSub != "" && q.HintSub != p.subFor(c, a.Sub):
		if err := p.Engine.Abandon(ctx, id, login.BrowserSecret(browser), otherPerson); err != nil {
			return Finished{}, yours(err)
		}
		return Finished{Response: p.refuse(q, "login_required", "another person than the expected one signed in")}, nil
	}
	before, had, err := p.browserSession(ctx, cookie)
	if err != nil {
		return Finished{}, err
	}
	replaces := ""
	if had {
		replaces = before.ID
	}
	asks, err := p.asksConsent(ctx, q, c, a.Sub)
	if err != nil {
		return Finished{}, err
	}
	outcome := login.NewOutcome()
	finish := login.FinishRequest{ID: id, Browser: login.BrowserSecret(browser), Outcome: outcome}
	signIn, err := p.Engine.Finish(ctx, finish, func(a login.Attempt) (login.SignIn, error) {
		s := session.Session{
			ID:       outcome.SID,
			Secret:   outcome.Session.Hash(),
			Sub:      a.Sub,
			AuthTime: a.AuthTime,
			ACR:      ACR,
			Created:  a.Ended,
			Expires:  a.Ended.Add(p.Lifetimes.Session),
			LastUsed: a.Ended,
		}
		if q.From != nil {
			s.Device, s.Country = q.From.Device, q.From.Country
		}
		in := login.SignIn{Session: s, Replaces: replaces}
		if !asks && !q.own() { // no code exists before consent, and none for ourselves
			in.Code = p.newCode(q, s, grant.HashCode(outcome.Code), outcome.GrantID, a.Ended)
		}
		return in, nil
	})
	if errors.Is(err, subject.ErrNotFound) { // deleted since the approval
		return Finished{}, login.ErrState
	}
	if errors.Is(err, login.ErrState) { // the other half of a double click was faster
		if a, err = p.Engine.Get(ctx, id, login.BrowserSecret(browser)); err == nil && a.State == login.Done {
			return p.answerAgain(ctx, q, c, a, browser)
		}
		return Finished{}, login.ErrState
	}
	if err != nil {
		return Finished{}, yours(err)
	}
	done := Finished{Session: string(outcome.Session), Expires: signIn.Session.Expires}
	if !asks {
		done.Response = p.respond(q, [2]string{"code", outcome.Code})
		return done, nil
	}
	return p.asking(ctx, q, c, signIn.Session, ticketOf(outcome), done)
}

// asking puts the question about consent into what continuing an attempt gives.
func (p *Provider) asking(ctx context.Context, q *authRequest, c client.Client, s session.Session, t ticket, done Finished) (Finished, error) {
	v, err := p.consentView(ctx, q, c, s, t)
	if errors.Is(err, subject.ErrNotFound) {
		return Finished{}, login.ErrState
	}
	if err != nil {
		return Finished{}, err
	}
	done.Consent = &v
	return done, nil
}

// answerAgain repeats the answer of a finished attempt, if nobody has used it,
// or the question about consent, as long as it may be answered.
func (p *Provider) answerAgain(ctx context.Context, q *authRequest, c client.Client, a login.Attempt, browser string) (Finished, error) {
	outcome, err := a.OutcomeFor(login.BrowserSecret(browser))
	if err != nil {
		return Finished{}, err
	}
	s, ok, err := p.browserSession(ctx, string(outcome.Session))
	if err != nil {
		return Finished{}, err
	}
	if !ok {
		return Finished{}, login.ErrState
	}
	done := Finished{Session: string(outcome.Session), Expires: s.Expires}
	if q.own() {
		done.Response = p.respond(q)
		return done, nil
	}
	done.Response, err = p.sameAnswer(ctx, q, outcome.Code)
	if !errors.Is(err, grant.ErrNotFound) {
		return done, err
	}
	// There is no code any more, or not yet.
	asks, err := p.asksConsent(ctx, q, c, s.Sub)
	if err != nil {
		return Finished{}, err
	}
	if !asks || time.Since(a.Ended) > p.Lifetimes.Request {
		return Finished{}, login.ErrState
	}
	return p.asking(ctx, q, c, s, ticketOf(outcome), done)
}

// Cancel implements Flow.
func (p *Provider) Cancel(ctx context.Context, id login.ID, browser string) error {
	return yours(p.Engine.Cancel(ctx, id, login.BrowserSecret(browser)))
}

// Again implements Flow. login.ErrState when the attempt has succeeded.
func (p *Provider) Again(ctx context.Context, id login.ID, browser string) (SignInView, error) {
	a, q, err := p.attempt(ctx, id, browser)
	if err != nil {
		return SignInView{}, err
	}
	if a.State == login.Approved || a.State == login.Done {
		return SignInView{}, login.ErrState
	}
	c, err := p.recheck(ctx, q)
	if err != nil {
		return SignInView{}, err
	}
	number := ""
	if !a.Number.IsZero() {
		number = a.Number.International()
	}
	return p.signInView(ctx, q, c, number, a.Network)
}

// Leave implements Flow. login.ErrState when the attempt has not ended, or has
// succeeded.
func (p *Provider) Leave(ctx context.Context, id login.ID, browser string) (Response, error) {
	a, q, err := p.attempt(ctx, id, browser)
	if err != nil {
		return Response{}, err
	}
	if !a.State.Terminal() || a.State == login.Done {
		return Response{}, login.ErrState
	}
	if _, err := p.recheck(ctx, q); err != nil {
		return Response{}, err
	}
	return p.refuse(q, "access_denied", "the sign-in was not completed"), nil
}
