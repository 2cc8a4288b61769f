package authorize

import (
	"context"
	"encoding/base64"
	"errors"
	"time"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/endpoint"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

// Purposes of what is derived from an attempt that is being finished.
const (
	purposeCode    keys.Purpose = "attempt-code"
	purposeGrant   keys.Purpose = "attempt-grant"
	purposeSession keys.Purpose = "attempt-session"
	purposeSID     keys.Purpose = "attempt-sid"
)

func derived(master *keys.Master, purpose keys.Purpose, id login.ID, size int) string {
	mac := master.MAC(purpose, []byte(id))
	return base64.RawURLEncoding.EncodeToString(mac[:size])
}

// otherPerson means that the client expected another user than the one who
// approved (id_token_hint).
const otherPerson login.Reason = "other_person"

// Continue uses an approved attempt, once (approved -> done): login.ErrState when
// it is not approved. Until its code is redeemed or expires, the same browser may
// have the response again. cookie is the session cookie that the browser has, ""
// for none; the new session replaces that one.
func (f *Flow) Continue(ctx context.Context, id login.ID, browser, cookie string) (Finished, error) {
	a, q, err := f.attemptOf(ctx, id, browser)
	if err != nil {
		return Finished{}, err
	}
	c, err := f.clients.again(ctx, q)
	if err != nil {
		return Finished{}, err
	}
	switch {
	case a.State == login.Done:
		return f.again(ctx, q, c, a)
	case a.State != login.Approved:
		return Finished{}, login.ErrState
	case !f.sessions.expected(q, c, a.Sub):
		if err := f.attempts.Abandon(ctx, id, browser, otherPerson); err != nil {
			return Finished{}, err
		}
		refusal := loginRequired("another person than the expected one signed in")
		return Finished{Response: f.responses.refusal(q, refusal)}, nil
	}
	before, _, err := f.sessions.current(ctx, cookie)
	if err != nil {
		return Finished{}, err
	}
	needed, err := f.consents.needed(ctx, q, c, a.Sub)
	if err != nil {
		return Finished{}, err
	}
	code, secret := derived(f.master, purposeCode, id, 32), derived(f.master, purposeSession, id, 32)
	var made session.Session
	_, err = f.attempts.Finish(ctx, id, browser, before.ID, func(a login.Attempt) (session.Session, grant.Code, error) {
		now := time.Now()
		made = f.newSession(q, a, derived(f.master, purposeSID, id, 16), session.Hash(secret), now)
		if needed || q.forAccount() { // no code exists before consent, and none for ourselves
			return made, grant.Code{}, nil
		}
		return made, f.codes.code(q, made, grant.Hash(code), derived(f.master, purposeGrant, id, 16), now), nil
	})
	if errors.Is(err, subject.ErrNotFound) { // deleted since the approval
		return Finished{}, login.ErrState
	}
	if errors.Is(err, login.ErrState) { // the other half of a double click was faster
		if a, err = f.attempts.Get(ctx, id, browser); err == nil && a.State == login.Done {
			return f.again(ctx, q, c, a)
		}
		return Finished{}, login.ErrState
	}
	if err != nil {
		return Finished{}, err
	}
	done := Finished{Session: secret, Expires: made.Expires}
	if needed {
		return f.withConsent(ctx, q, c, made, id, done)
	}
	done.Response = f.responses.code(q, code)
	return done, nil
}

// newSession is the session of an approved attempt's user.
func (f *Flow) newSession(q *request, a login.Attempt, sid string, secret [32]byte, now time.Time) session.Session {
	s := session.Session{
		ID:       sid,
		Secret:   secret,
		Sub:      a.Sub,
		AuthTime: a.AuthTime,
		ACR:      endpoint.ACR,
		Created:  now,
		Expires:  now.Add(f.lifetime.Session),
		LastUsed: now,
	}
	if q.From != nil {
		s.Device, s.Country = q.From.Device, q.From.Country
	}
	return s
}

// withConsent adds the consent prompt to what continuing an attempt gives.
func (f *Flow) withConsent(ctx context.Context, q *request, c client.Client, s session.Session, id login.ID, done Finished) (Finished, error) {
	v, err := f.consents.prompt(ctx, q, c, s, id)
	if errors.Is(err, subject.ErrNotFound) {
		return Finished{}, login.ErrState
	}
	if err != nil {
		return Finished{}, err
	}
	done.Consent = &v
	return done, nil
}

// again repeats the response of a finished attempt, if it is unused, or the
// consent prompt, while it may be confirmed.
func (f *Flow) again(ctx context.Context, q *request, c client.Client, a login.Attempt) (Finished, error) {
	secret := derived(f.master, purposeSession, a.ID, 32)
	s, ok, err := f.sessions.current(ctx, secret)
	if err != nil {
		return Finished{}, err
	}
	if !ok {
		return Finished{}, login.ErrState
	}
	done := Finished{Session: secret, Expires: s.Expires}
	if q.forAccount() {
		done.Response = f.responses.signedIn(q)
		return done, nil
	}
	done.Response, err = f.sameResponse(ctx, q, a.ID)
	if !errors.Is(err, grant.ErrNotFound) {
		return done, err
	}
	// There is no code any more, or not yet.
	needed, err := f.consents.needed(ctx, q, c, s.Sub)
	if err != nil {
		return Finished{}, err
	}
	if !needed || time.Since(a.Ended) > f.lifetime.Request {
		return Finished{}, login.ErrState
	}
	return f.withConsent(ctx, q, c, s, a.ID, done)
}
