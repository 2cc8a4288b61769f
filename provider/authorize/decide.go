// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"context"
	"errors"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/session"
	"calleridp/provider/subject"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// outcome is how the endpoint goes on with a valid request. A refusal is an error
// instead.
type outcome int

const (
	showSignIn outcome = iota // no session serves the request
	askConsent                // one does, and the user has to consent first
	issueCode                 // one does
)

// decision is the outcome, with the session that serves the request.
type decision struct {
	outcome outcome
	session session.Session
	ended   bool // the session of the browser's cookie has; also beside a refusal
}

// decide decides what a browser with this session cookie gets. An *oidc.Error is
// for the client: prompt=none shows no page (OpenID Connect Core §3.1.2.6).
func (e *Endpoint) decide(ctx context.Context, q *request, c client.Client, cookie session.Secret) (decision, error) {
	s, ok, err := e.sessions.serving(ctx, q, c, cookie)
	if err != nil {
		return decision{}, err
	}
	if !ok {
		if err := e.clients.checkACR(q, c); err != nil {
			return decision{}, err
		}
		d := decision{outcome: showSignIn, ended: cookie != "" && s.ID == "" && !q.Prompt.SignIn}
		if q.Prompt.None {
			return d, notSignedIn()
		}
		return d, nil
	}
	needed, err := e.consents.needed(ctx, q, c, s.Sub)
	switch {
	case err != nil:
		return decision{}, err
	case needed && q.Prompt.None && q.SubGuessed:
		// A response other than for a wrong guess would reveal who is signed in, to
		// which the user has not consented (OpenID Connect Core §17.3).
		return decision{}, notSignedIn()
	case needed && q.Prompt.None:
		refusal := oidc.Error{ErrorType: "consent_required"} // OpenID Connect Core §3.1.2.6
		return decision{}, refusal.WithDescription("the user has not consented yet")
	case needed:
		return decision{outcome: askConsent, session: s}, nil
	}
	return decision{outcome: issueCode, session: s}, nil
}

func loginRequired(description string) *oidc.Error {
	return oidc.ErrLoginRequired().WithDescription("%s", description)
}

// notSignedIn is the response to prompt=none in a browser without a usable session.
func notSignedIn() *oidc.Error {
	return loginRequired("the browser has no session that serves the request; send it without prompt=none")
}

// hasEnded reports whether err says that a session which the request has found has
// ended since, or that its user was deleted. The browser is not signed in then; no
// part of the program has failed.
func hasEnded(err error) bool {
	return errors.Is(err, session.ErrNotFound) || errors.Is(err, subject.ErrNotFound)
}

// sessions finds the browser's session.
type sessions struct {
	store  session.Store
	people subject.Store
	hints  hints
}

// findSession finds the live session of a cookie.
type findSession func(ctx context.Context, cookie session.Secret) (session.Session, bool, error)

// current returns the live session of a cookie.
func (ss sessions) current(ctx context.Context, cookie session.Secret) (session.Session, bool, error) {
	return session.Current(ctx, ss.store, cookie)
}

// recalled is current, perhaps out of date, for a decision that names the session in its
// transaction.
func (ss sessions) recalled(ctx context.Context, cookie session.Secret) (session.Session, bool, error) {
	return session.Recalled(ctx, ss.store, cookie)
}

// serving returns the browser's session, and whether it serves the request without another
// push. It does not look for one if none can.
func (ss sessions) serving(ctx context.Context, q *request, c client.Client, cookie session.Secret) (session.Session, bool, error) {
	if q.Prompt.SignIn {
		return session.Session{}, false, nil
	}
	s, ok, err := ss.current(ctx, cookie)
	if err != nil || !ok {
		return session.Session{}, false, err
	}
	if bound, bounded := q.maxAge(); bounded && !s.Fresh(bound, time.Now()) {
		return s, false, nil
	}
	if !q.acceptsACR(s.ACR) || !ss.expected(q, c, s.Sub) {
		return s, false, nil
	}
	_, err = ss.people.Person(ctx, s.Sub)
	if errors.Is(err, subject.ErrNotFound) {
		return session.Session{}, false, nil
	}
	if err != nil {
		return session.Session{}, false, err
	}
	return s, true, nil
}

// expected reports whether the user is the one that the request expects
// (id_token_hint).
func (ss sessions) expected(q *request, c client.Client, sub string) bool {
	return q.HintSub == "" || q.HintSub == ss.hints.Subject(c, sub)
}
