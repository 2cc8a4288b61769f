// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"slices"

	"calleridp/provider/consent"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/signals"
	"calleridp/provider/subject"
	"calleridp/storage/record"
)

// approver is what is stored of the user who has approved an attempt, and of what they
// allow its client.
type approver struct {
	sub, clientID string
	person        subject.Person
	exists        *bool
	consent       consent.Consent
	allows        *bool
}

// approver queues what locks it, and keeps the user from being deleted. The user is locked
// in full at once: two who share a lock and then ask for more wait for each other.
func (t *txn) approver(sub, clientID string) *approver {
	p := &approver{sub: sub, clientID: clientID}
	p.exists = t.row(&record.People, (*record.Person)(&p.person), []byte(sub))
	t.living(sub)
	p.allows = t.row(&record.Consents, (*record.Consent)(&p.consent), consentKey(sub, clientID))
	return p
}

// allowed returns what the user allows the client, nil for nothing.
func (p *approver) allowed() *consent.Consent {
	if p == nil || !*p.allows {
		return nil
	}
	known := p.consent
	return &known
}

// FinishAttempt implements login.Store.
func (s *Store) FinishAttempt(
	ctx context.Context, id login.ID, run func(login.Attempt, *consent.Consent) (login.SignIn, error),
) (login.SignIn, error) {
	defer s.wakeNotices()
	var early, by *approver
	var others []login.ID
	expect := func(t *txn, likely record.Attempt) {
		early = nil
		if likely.Sub != "" {
			early = t.approver(likely.Sub, likely.ClientID)
		}
	}
	signIn, err := step(ctx, s, id, expect, func(t *txn, a login.Attempt) (u login.Update, signIn login.SignIn, err error) {
		by = early
		if a.Sub != "" && (by == nil || by.sub != a.Sub || by.clientID != a.ClientID) {
			early, by = nil, t.approver(a.Sub, a.ClientID)
			if err := t.look(); err != nil {
				return u, signIn, err
			}
		}
		if signIn, err = run(a, by.allowed()); err != nil {
			return u, signIn, err
		}
		if signIn.Session.ID == "" {
			return u, signIn, errors.New("postgres: a finished attempt needs a session")
		}
		u.Attempt = signIn.Attempt
		if by == nil || by.sub != signIn.Session.Sub {
			early, by = nil, t.approver(signIn.Session.Sub, a.ClientID)
			if err := t.look(); err != nil {
				return u, signIn, err
			}
		}
		if *by.exists && by.person.SignOuts != signIn.Attempt.SignOuts {
			return u, signIn, login.ErrSignedOut
		}
		others = nil
		s.liveAttempts(&t.writes, &others, a.Browser, u.Attempt.Ended)
		signIn.Session, err = t.giveSession(signIn, early)
		return u, signIn, err
	})
	if err == nil && others == nil { // the connection broke, and the outcome was looked up
		others, err = s.LiveAttempts(ctx, signIn.Attempt.Browser, signIn.Attempt.Ended)
	}
	if err == nil {
		signIn.Others = slices.DeleteFunc(others, func(other login.ID) bool { return other == id })
	}
	return signIn, err
}

// giveSession queues the new session of a sign-in with its code, if there is one, and the
// end of the session that it replaces. It returns the session, which may continue that one.
// early is the user whom the first look has read, nil if it has not, or another one.
func (t *txn) giveSession(signIn login.SignIn, early *approver) (session.Session, error) {
	code, g := signIn.Code, signIn.Code.Grant
	ownSession := g.SID == signIn.Session.ID
	asExpected := early != nil && early.sub == g.Sub && early.clientID == g.ClientID && (g.SID == "" || ownSession)
	var uses *codeUses
	switch {
	case g.ID == "":
	case asExpected && !code.OfDevice(): // another user may have answered the device
		uses = &codeUses{consent: early.consent, foundConsent: early.allows}
	default:
		rest := code
		if ownSession {
			rest.Grant.SID = ""
		}
		t.living(g.Sub)
		uses = t.codeUses(rest, true)
	}
	before := t.replaced(signIn.Replaces)
	if t.guesses || len(t.queue.QueuedQueries) > 0 {
		if err := t.look(); err != nil {
			return session.Session{}, err
		}
	}
	s := t.replaceSession(before, signIn)
	t.putLiving(s.Sub)
	if uses == nil {
		t.putSession(s)
		return s, nil
	}
	t.putLiving(g.Sub)
	stored := s
	if ownSession {
		stored, _ = stored.Used(g.ClientID, g.Created)
	}
	t.putSession(stored)
	t.tell(signals.Established(t.s.options.now(), g)...)
	return s, t.createCode(code, uses)
}
