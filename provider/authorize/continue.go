// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"bytes"
	"context"
	"errors"
	"time"

	"calleridp/provider/claims"
	"calleridp/provider/client"
	"calleridp/provider/consent"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// otherPerson means that the client expected another user than the one who
// approved (id_token_hint).
const otherPerson login.Reason = "other_person"

// otherMethod means that the client demanded a sign-in of another class (acr) than the one
// that the attempt, which had begun for an earlier request, has given.
const otherMethod login.Reason = "other_method"

// signedOut means that the user has signed out everywhere, or was deleted, since they
// approved.
const signedOut login.Reason = "signed_out"

// deviceAnswered means that another user has answered the request of the device, since
// this one approved.
const deviceAnswered login.Reason = "device_answered"

// noKey means that the client's ID token is to be encrypted, and the client has no key.
const noKey login.Reason = "no_encryption_key"

// Continue uses an approved attempt, once (approved -> done): login.ErrState when
// it is not approved. Until its code is redeemed or expires, the same browser may
// have the response again. cookie is the session cookie that the browser has, ""
// for none; the new session replaces that one. The browser's secret is renewed, unless
// its other tabs need it.
func (f *Flow) Continue(ctx context.Context, id login.ID, browser login.BrowserSecret, cookie session.Secret) (Finished, error) {
	done, others, err := f.proceed(ctx, id, browser, cookie)
	if err == nil && done.Session != "" && !others {
		done.Browser = login.NewBrowserSecret()
	}
	return done, err
}

// proceed is Continue without the renewal. others says whether other attempts of the
// browser are live.
func (f *Flow) proceed(
	ctx context.Context, id login.ID, browser login.BrowserSecret, cookie session.Secret,
) (_ Finished, others bool, err error) {
	a, q, err := f.attemptBy(ctx, id, browser, f.attempts.Recall)
	if err == nil && a.State != login.Approved { // it may be by now
		a, q, err = f.attemptOf(ctx, id, browser)
	}
	if err != nil {
		return Finished{}, false, err
	}
	c, err := f.clients.again(ctx, q)
	if err != nil {
		return Finished{}, false, err
	}
	switch {
	case a.State == login.Done:
		return f.onceMore(ctx, q, c, a, browser)
	case a.State != login.Approved:
		return Finished{}, false, login.ErrState
	case !f.sessions.expected(q, c, a.Sub):
		if err := f.attempts.Abandon(ctx, id, browser, otherPerson); err != nil {
			return Finished{}, false, err
		}
		refusal := loginRequired("another user than the expected one signed in")
		return Finished{Response: f.responses.refusal(q, refusal)}, false, nil
	}
	if !q.acceptsACR(acrOf(a.Method)) { // Core §5.5.1.1
		if err := f.attempts.Abandon(ctx, id, browser, otherMethod); err != nil {
			return Finished{}, false, err
		}
		refusal := unmetACR("the user signed in by " + acrOf(a.Method))
		return Finished{Response: f.responses.refusal(q, refusal)}, false, nil
	}
	outcome := login.NewOutcome()
	outcome.Access = newAccess(q)
	first, idToken := ticketOf(outcome).first(), redact.Text("")
	if !q.forAccount() && !f.consents.always(q, c) {
		idToken, err = f.front.idToken(ctx, q, c, f.newSession(q, a, outcome), first)
		if hasEnded(err) {
			return Finished{}, false, login.ErrState
		}
		if refusal, ok := errors.AsType[*oidc.Error](err); ok {
			if err := f.attempts.Abandon(ctx, id, browser, noKey); err != nil {
				return Finished{}, false, err
			}
			return Finished{Response: f.responses.refusal(q, refusal)}, false, nil
		}
		if err != nil {
			return Finished{}, false, err
		}
	}
	finish := login.FinishRequest{ID: id, Browser: browser, Outcome: outcome}
	remembered := a
	signIn, err := f.attempts.Finish(ctx, finish, func(a login.Attempt, allowed *consent.Consent) (login.SignIn, error) {
		if a.Sub != remembered.Sub || !bytes.Equal(a.Request, remembered.Request) { // the database has lost the approval that was remembered
			return login.SignIn{}, login.ErrState
		}
		s := f.newSession(q, a, outcome)
		in := login.SignIn{Session: s}
		if cookie != "" {
			in.Replaces = cookie.Hash()
		}
		if !q.forAccount() && !f.consents.missing(q, c, allowed) { // no code exists before consent, and none for ourselves
			in.Code = f.codes.code(q, c, s, first, outcome.GrantID, a.Ended, time.Unix(f.consents.until(a.Ended), 0))
		}
		return in, nil
	})
	why := signedOut
	if errors.Is(err, grant.ErrExists) { // another request has decided for the device
		why = deviceAnswered
	}
	if hasEnded(err) || errors.Is(err, login.ErrSignedOut) || why == deviceAnswered { // since the approval
		if err := f.attempts.Abandon(ctx, id, browser, why); err != nil {
			return Finished{}, false, err
		}
		return Finished{}, false, login.ErrState
	}
	if errors.Is(err, login.ErrState) { // the other half of a double click was faster
		if a, err = f.attempts.Get(ctx, id, browser); err == nil && a.State == login.Done {
			return f.onceMore(ctx, q, c, a, browser)
		}
		return Finished{}, false, login.ErrState
	}
	if err != nil {
		return Finished{}, false, err
	}
	done := Finished{Session: outcome.Session, State: f.states.Of(signIn.Session.ID), Expires: signIn.Session.Expires}
	others = len(signIn.Others) > 0
	if signIn.Code.Grant.ID == "" && !q.forAccount() {
		done, err = f.withConsent(q, c, signIn.Session, signIn.Attempt, outcome, done)
		return done, others, err
	}
	f.codes.allowed(ctx, q, signIn.Session)
	f.steps.Ended(ctx, endpoint.StepSignIn, f.form.sealer.opened(q), nil)
	done.Response = f.succeed(ctx, q, c, signIn.Session, first, idToken)
	return done, others, nil
}

// onceMore is again, and reports whether other attempts of the browser are live.
func (f *Flow) onceMore(ctx context.Context, q *request, c client.Client, a login.Attempt, browser login.BrowserSecret) (_ Finished, others bool, err error) {
	if others, err = f.attempts.HasLive(ctx, browser, a.ID); err != nil {
		return Finished{}, false, err
	}
	done, err := f.again(ctx, q, c, a, browser)
	return done, others, err
}

// newSession returns the session of a finished attempt's user.
func (f *Flow) newSession(q *request, a login.Attempt, o login.Outcome) session.Session {
	s := session.Session{
		ID:       o.SID,
		Secret:   o.Session.Hash(),
		Sub:      a.Sub,
		AuthTime: a.AuthTime,
		ACR:      acrOf(a.Method),
		AMR:      claims.AMR(),
		Created:  a.Ended,
		Expires:  a.Ended.Add(f.lifetime.Session),
		LastUsed: a.Ended,
	}
	if q.From != nil {
		s.Device, s.Country = q.From.Device, q.From.Country
	}
	return s
}

// withConsent adds the consent prompt to what continuing an attempt gives. However
// often it is shown, it expires as long after the attempt's end.
func (f *Flow) withConsent(
	q *request, c client.Client, s session.Session, a login.Attempt, o login.Outcome, done Finished,
) (Finished, error) {
	v, err := f.consents.prompt(q, c, s, a.Number, ticketOf(o), f.consents.until(a.Ended))
	if err != nil {
		return Finished{}, err
	}
	done.Consent = &v
	return done, nil
}

// left is what a finished attempt may still give its browser: a response that is unused,
// or the consent prompt, while it may be confirmed.
type left struct {
	outcome login.Outcome
	session session.Session
	gift    gift
	prompt  bool
}

// leftOf returns what a finished attempt may still give; login.ErrState for nothing. It
// only reads, and signs nothing.
func (f *Flow) leftOf(ctx context.Context, q *request, c client.Client, a login.Attempt, browser login.BrowserSecret) (l left, err error) {
	if l.outcome, err = a.OutcomeFor(browser); err != nil {
		return l, err
	}
	s, ok, err := f.sessions.current(ctx, l.outcome.Session)
	if err != nil {
		return l, err
	}
	if !ok {
		return l, login.ErrState
	}
	l.session = s
	if q.forAccount() {
		return l, nil
	}
	if l.gift, err = f.given(ctx, q, c, s, ticketOf(l.outcome)); !errors.Is(err, grant.ErrNotFound) {
		return l, err
	}
	// There is no code any more, or not yet.
	l.prompt, err = f.consents.needed(ctx, q, c, s.Sub)
	if err == nil && (!l.prompt || time.Since(a.Ended) > f.lifetime.Request) {
		err = login.ErrState
	}
	return l, err
}

// again repeats the response of a finished attempt, or its consent prompt.
func (f *Flow) again(ctx context.Context, q *request, c client.Client, a login.Attempt, browser login.BrowserSecret) (Finished, error) {
	l, err := f.leftOf(ctx, q, c, a, browser)
	if err != nil {
		return Finished{}, err
	}
	done := Finished{Session: l.outcome.Session, State: f.states.Of(l.session.ID), Expires: l.session.Expires}
	if l.prompt {
		return f.withConsent(q, c, l.session, a, l.outcome, done)
	}
	done.Response, err = f.giveAgain(ctx, q, c, l.session, l.gift)
	if hasEnded(err) {
		return Finished{}, login.ErrState
	}
	return done, err
}
