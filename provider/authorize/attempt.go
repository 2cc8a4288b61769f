// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"calleridp/provider/endpoint"
	"calleridp/provider/login"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// View returns what a page may show of an attempt: login.ErrNotYours when another
// browser started it, login.ErrNotFound when there is none.
func (f *Flow) View(ctx context.Context, id login.ID, browser login.BrowserSecret) (AttemptView, error) {
	return f.view(ctx, id, browser, f.attempts.Get)
}

// Open is View for the page that the browser opens, which watches the attempt.
func (f *Flow) Open(ctx context.Context, id login.ID, browser login.BrowserSecret) (AttemptView, error) {
	return f.view(ctx, id, browser, f.attempts.Open)
}

// Heard is View for a page that watches the attempt: it may be without a change of which
// the page gets a hint soon.
func (f *Flow) Heard(ctx context.Context, id login.ID, browser login.BrowserSecret) (AttemptView, error) {
	return f.view(ctx, id, browser, f.attempts.Heard)
}

// getAttempt finds a browser's attempt.
type getAttempt func(ctx context.Context, id login.ID, browser login.BrowserSecret) (login.Attempt, error)

func (f *Flow) view(ctx context.Context, id login.ID, browser login.BrowserSecret, get getAttempt) (AttemptView, error) {
	a, q, err := f.attemptBy(ctx, id, browser, get)
	if err != nil {
		return AttemptView{}, err
	}
	c, err := f.clientOf(ctx, q)
	if err != nil {
		return AttemptView{}, err
	}
	if a.State == login.Done {
		// The response may have been lost on the way to the browser. As long as it
		// is unused, Continue gives it again.
		switch _, err := f.leftOf(ctx, q, c, a, browser); {
		case err == nil:
			a.State = login.Approved
		case !errors.Is(err, login.ErrState):
			return AttemptView{}, err
		}
	}
	v := AttemptView{
		ID:         a.ID,
		Method:     a.Method,
		State:      a.State,
		Reason:     a.Reason,
		Client:     f.views.of(c, q),
		Opened:     !a.Invoked.IsZero(),
		UILocales:  q.UILocales,
		Created:    a.Created,
		Expires:    a.Expires,
		AgainAt:    f.attempts.AgainAt(a),
		UnsolvedAt: f.attempts.UnsolvedAt(a),
		Tries:      fewLeft(a.Tries),
		FormAction: endpoint.FormAction(q.RedirectURI),
		Serves:     nameOf(a),
	}
	if !a.Number.IsZero() {
		v.Number = a.Number.Masked()
	}
	if a.State.Terminal() {
		tries, err := f.attempts.NetworkTries(ctx, a.Network, login.Push)
		if err != nil {
			return AttemptView{}, err
		}
		if tries.Left == 0 {
			v.AnotherAt = tries.Next
			if a.Method == login.Push && v.AnotherAt.After(v.AgainAt) {
				v.AgainAt = v.AnotherAt // other attempts have spent them since
			}
		}
	}
	app, err := f.clients.apps.Of(a.App)
	if err != nil { // it has left the configuration
		return v, nil
	}
	v.App, v.WithoutPush = app.Name, narrowed(app, q).WithoutPush
	if a.Method == login.OneTap && app.OneTap != nil {
		if v.Link, err = linkFor(c, app, a.RequestID); err != nil {
			return AttemptView{}, err
		}
	}
	return v, nil
}

// Serves reports whether an attempt still serves the request that a page of it has shown
// (AttemptView.Serves). Another page of the browser may have brought a newer one, and
// takes the response: two pages with one code would revoke what it buys.
func (f *Flow) Serves(ctx context.Context, id login.ID, browser login.BrowserSecret, shown string) (bool, error) {
	a, err := f.attempts.Get(ctx, id, browser)
	return err == nil && shown == nameOf(a), err
}

// nameOf returns a short name of the request that an attempt serves.
func nameOf(a login.Attempt) string {
	sum := sha256.Sum256(a.Request)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// Watch watches an attempt for a browser, "" for none. It writes nothing. The
// caller looks at Heard after each hint.
func (f *Flow) Watch(ctx context.Context, id login.ID, browser login.BrowserSecret) login.Watcher {
	return f.attempts.Watch(ctx, id, browser)
}

// Cancel ends the attempt at the user's request. It is harmless after the end.
func (f *Flow) Cancel(ctx context.Context, id login.ID, browser login.BrowserSecret) error {
	return f.attempts.Cancel(ctx, id, browser)
}

// Again returns the sign-in page for the attempt's request, to start another attempt for it,
// with the same number or another one. The error is login.ErrState if the attempt has
// succeeded, and endpoint.ErrRequestExpired if the request's page has expired.
func (f *Flow) Again(ctx context.Context, id login.ID, browser login.BrowserSecret, another bool) (SignInView, error) {
	a, q, err := f.attemptOf(ctx, id, browser)
	if err != nil {
		return SignInView{}, err
	}
	if a.State == login.Approved || a.State == login.Done {
		return SignInView{}, login.ErrState
	}
	if err := endpoint.Live(q, time.Now()); err != nil {
		return SignInView{}, err
	}
	c, err := f.clients.again(ctx, q)
	if err != nil {
		return SignInView{}, err
	}
	number := ""
	if !a.Number.IsZero() && !another {
		number = a.Number.International()
	}
	v, err := f.form.view(ctx, q, c, number, a.Network)
	if err != nil {
		return SignInView{}, err
	}
	// The same number takes a challenge, as long as it cools down.
	if without := f.attempts.UnsolvedAt(a); !another && without.After(time.Now()) && v.Challenge == nil && !v.WithoutPush {
		v.Challenge, err = f.form.challenges.make(a.Network, q.Until, without)
	}
	return v, err
}

// Leave returns the access_denied response for the client of an attempt that
// ended without success. login.ErrState when it has not ended, or has succeeded.
func (f *Flow) Leave(ctx context.Context, id login.ID, browser login.BrowserSecret) (Response, error) {
	a, q, err := f.attemptOf(ctx, id, browser)
	if err != nil {
		return Response{}, err
	}
	if !a.State.Terminal() || a.State == login.Done {
		return Response{}, login.ErrState
	}
	if _, err := f.clients.again(ctx, q); err != nil {
		return Response{}, err
	}
	return f.responses.refusal(q, accessDenied("the sign-in was not completed")), nil
}

func accessDenied(description string) *oidc.Error {
	return oidc.ErrAccessDenied().WithDescription("%s", description)
}
