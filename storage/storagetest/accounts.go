// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// household is a user with some records of every kind.
type household struct {
	person                   subject.Person
	here, there              session.Session
	online, offline, native  grant.Code // redeemed, for the client shop
	news                     grant.Code // redeemed, for the client news, with offline access
	unused, unusedOffline    grant.Code // for shop
	shopConsent, newsConsent consent.Consent
	tokens                   []grant.AccessToken // of the redeemed codes, in that order
}

// household stores a user whose sub begins with prefix.
func (w *world) household(prefix string) household {
	w.t.Helper()
	a := w.create()
	h := household{person: w.person(a.Number), here: w.session(), there: w.session()}
	h.person.Sub = prefix + newID()
	w.approve(a.ID, h.person)
	h.here.Sub, h.there.Sub = h.person.Sub, h.person.Sub
	w.signIn(h.here, session.SecretHash{})
	w.signIn(h.there, session.SecretHash{})
	code := func(sid, client string, offline bool) grant.Code {
		c := w.code(sid)
		c.Grant.Sub, c.Grant.ClientID, c.Grant.Offline = h.person.Sub, client, offline
		return c
	}
	allow := func(c grant.Code) consent.Consent {
		k := consent.Widen(nil, h.person.Sub, c.Grant.ClientID, c.Grant.Scopes, w.now)
		w.must(w.allow(k.Sub, k.ClientID, c, func(*consent.Consent) consent.Consent { return k }))
		return k
	}
	h.online, h.offline = code(h.here.ID, "shop", false), code(h.there.ID, "shop", true)
	h.native, h.news = code("", "shop", false), code(h.there.ID, "news", true)
	for _, c := range []grant.Code{h.online, h.offline, h.native, h.news} {
		h.tokens = append(h.tokens, w.redeem(c))
	}
	h.unused, h.unusedOffline = code(h.here.ID, "shop", false), code(h.here.ID, "shop", true)
	h.shopConsent, h.newsConsent = allow(h.unused), allow(code(h.here.ID, "news", false))
	w.must(w.CreateCode(w.ctx, h.unusedOffline))
	h.here.LastUsed, h.there.LastUsed = w.now, w.now
	for _, s := range []*session.Session{&h.here, &h.there} {
		s.Participants = []session.Participant{{ClientID: "shop", SID: s.ID, At: w.now}, {ClientID: "news", SID: s.ID, At: w.now}}
	}
	return h
}

// record returns the account, ordered.
func (h household) record() subject.Record {
	r := subject.Record{Person: h.person, Bound: true, Sessions: []session.Session{h.here, h.there}, Consents: []consent.Consent{h.shopConsent, h.newsConsent}}
	for _, c := range []grant.Code{h.online, h.offline, h.native, h.news} {
		r.Grants = append(r.Grants, c.Grant)
	}
	return ordered(r)
}

func ordered(r subject.Record) subject.Record {
	slices.SortFunc(r.Sessions, func(a, b session.Session) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(r.Grants, func(a, b grant.Grant) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(r.Consents, func(a, b consent.Consent) int { return strings.Compare(a.ClientID, b.ClientID) })
	return r
}

// account reads an account, and orders it.
func (w *world) account(sub string) subject.Record {
	w.t.Helper()
	r, err := w.Account(w.ctx, sub)
	w.must(err)
	return ordered(r)
}

// gone reports whether a code cannot be used because it does not exist.
func (w *world) gone(c grant.Code) bool {
	w.t.Helper()
	err := w.useCode(c.Hash, func(grant.Code, *grant.Grant) grant.Redemption { return grant.Redemption{} })
	if err != nil {
		w.is(err, grant.ErrNotFound)
	}
	return err != nil
}

func testAccounts(t *testing.T, w *world) {
	_, err := w.Account(w.ctx, "absent")
	w.is(err, subject.ErrNotFound)
	w.must(w.RevokeClient(w.ctx, "absent", "shop"))
	w.must(w.EndSessions(w.ctx, "absent"))
	w.must(w.DeletePerson(w.ctx, "absent"))

	_, err = w.PersonOf(w.ctx, newNumber())
	w.is(err, subject.ErrNotFound)

	h := w.household("s")
	neighbour := w.household(h.person.Sub) // its sub begins with the other sub
	person, err := w.PersonOf(w.ctx, h.person.Number)
	w.must(err)
	w.same(person, h.person)
	w.same(w.account(h.person.Sub), h.record())

	// An expired session is not part of the account.
	over := h.here
	over.ID, over.Secret, over.Expires = newID(), newHash(), w.now.Add(-time.Millisecond)
	w.signIn(over, session.SecretHash{})
	w.same(w.account(h.person.Sub), h.record())

	for range 2 {
		w.must(w.RevokeClient(w.ctx, h.person.Sub, "shop"))
	}
	for i, want := range []bool{true, true, true, false} {
		_, g, err := w.AccessToken(w.ctx, h.tokens[i].Hash)
		w.must(err)
		if g.Revoked != want {
			t.Errorf("grant %d: revoked is %v, want %v", i, g.Revoked, want)
		}
	}
	if !w.gone(h.unused) || !w.gone(h.unusedOffline) || w.gone(h.online) {
		t.Error("want the unused codes deleted, and the redeemed one still recognised")
	}
	_, err = w.Consent(w.ctx, h.person.Sub, "shop")
	w.is(err, consent.ErrNotFound)
	_, err = w.Consent(w.ctx, h.person.Sub, "news")
	w.must(err)
	_, err = w.Session(w.ctx, h.here.ID)
	w.must(err)
	w.same(w.account(neighbour.person.Sub), neighbour.record())
}

func testEndSessions(t *testing.T, w *world) {
	h := w.household("s")
	neighbour := w.household(h.person.Sub)
	late := w.create() // approved before, and not used yet
	_, err := w.approveBy(late.ID, h.person.Number, func(a *login.Attempt, _ *subject.Person) (subject.Person, login.Effects, error) {
		a.State, a.Sub, a.SignOuts = login.Approved, h.person.Sub, h.person.SignOuts
		return h.person, login.Effects{}, nil
	})
	w.must(err)
	for range 2 {
		w.must(w.EndSessions(w.ctx, h.person.Sub))
		_, err := w.finish(late.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
			a.State = login.Done
			s := w.session()
			s.Sub = h.person.Sub
			return s, grant.Code{}, nil
		})
		w.is(err, login.ErrSignedOut)
		for _, s := range []session.Session{h.here, h.there} {
			w.noSession(s)
		}
		for _, row := range []struct {
			name    string
			code    grant.Code
			revoked bool
		}{{"online", h.online, true}, {"offline", h.offline, false}, {"native", h.native, true}, {"while away", h.news, false}} {
			if got := w.revoked(row.code.Grant.ID); got != row.revoked {
				t.Errorf("the grant %s: revoked is %v, want %v", row.name, got, row.revoked)
			}
		}
		if !w.gone(h.unused) || w.gone(h.unusedOffline) || w.gone(h.online) {
			t.Error("want the unused codes deleted, except those for offline access")
		}
	}
	if left := w.account(h.person.Sub); len(left.Sessions) != 0 || len(left.Consents) != 2 || len(left.Grants) != 4 || left.Person.SignOuts != h.person.SignOuts+2 {
		t.Errorf("%+v", left)
	}
	w.same(w.account(neighbour.person.Sub), neighbour.record())
}

func testDeletePerson(t *testing.T, w *world) {
	h := w.household("s")
	neighbour := w.household(h.person.Sub)
	before := w.attempt() // approved, and not used yet
	before.Number = h.person.Number
	w.must(w.CreateAttempt(w.ctx, before, lockOf(before), w.now))
	w.approve(before.ID, h.person)

	check := func() {
		t.Helper()
		_, err := w.Account(w.ctx, h.person.Sub)
		w.is(err, subject.ErrNotFound)
		_, err = w.Person(w.ctx, h.person.Sub)
		w.is(err, subject.ErrNotFound)
		_, err = w.PersonOf(w.ctx, h.person.Number)
		w.is(err, subject.ErrNotFound)
		for _, s := range []session.Session{h.here, h.there} {
			w.noSession(s)
		}
		for _, c := range []grant.Code{h.online, h.offline, h.native, h.news, h.unused, h.unusedOffline} {
			_, err = w.Grant(w.ctx, c.Grant.ID)
			w.is(err, grant.ErrNotFound)
			if !w.gone(c) {
				t.Error("a code is left")
			}
		}
		for _, token := range h.tokens {
			_, _, err = w.AccessToken(w.ctx, token.Hash)
			w.is(err, grant.ErrNotFound)
		}
		for _, client := range []string{"shop", "news"} {
			_, err = w.Consent(w.ctx, h.person.Sub, client)
			w.is(err, consent.ErrNotFound)
		}
		w.same(w.account(neighbour.person.Sub), neighbour.record())

		// The sub is never issued again, and gets no new records.
		a := w.attempt()
		a.Number = h.person.Number
		w.must(w.CreateAttempt(w.ctx, a, limit.Spend{}, w.now))
		var known *subject.Person
		_, err = w.approveBy(a.ID, a.Number, func(a *login.Attempt, bound *subject.Person) (subject.Person, login.Effects, error) {
			known = bound
			a.State = login.Approved
			return h.person, login.Effects{Unlock: true}, nil
		})
		w.is(err, subject.ErrNotFound)
		if known != nil {
			t.Errorf("the number is still bound to %+v", known)
		}
		_, err = w.finish(before.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
			a.State = login.Done
			s := w.session()
			s.Sub = h.person.Sub
			return s, grant.Code{}, nil
		})
		w.is(err, subject.ErrNotFound)
		if a, err := w.Attempt(w.ctx, before.ID); err != nil || a.State != login.Approved {
			t.Errorf("%+v, %v", a, err)
		}
		c := w.code("")
		c.Grant.Sub = h.person.Sub
		w.is(w.CreateCode(w.ctx, c), subject.ErrNotFound)
		w.is(w.allow(c.Grant.Sub, "shop", c, func(*consent.Consent) consent.Consent { return h.shopConsent }), subject.ErrNotFound)
	}
	for range 2 {
		w.must(w.DeletePerson(w.ctx, h.person.Sub))
		check()
	}
	w.reopen()
	check()

	// A later owner of the number is a new user, whom deleting again does not
	// affect.
	a := w.attempt()
	a.Number = h.person.Number
	w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now.Add(2*time.Hour)))
	next := w.person(a.Number)
	w.approve(a.ID, next)
	w.must(w.DeletePerson(w.ctx, h.person.Sub))
	w.same(w.account(next.Sub), subject.Record{Person: next, Bound: true})
}

// A number that has changed hands no longer belongs to the first user: it is not
// shown as theirs, and deleting them does not delete it.
func testNumberOfAnother(t *testing.T, w *world) {
	old := w.household("s")
	bind := func(p subject.Person, n phone.Number) {
		t.Helper()
		a := w.attempt()
		a.Number = n
		w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now.Add(time.Hour)))
		w.approve(a.ID, p)
	}
	next := w.person(old.person.Number)
	bind(next, next.Number)
	if r := w.account(old.person.Sub); r.Bound || r.Person.Sub != old.person.Sub {
		t.Errorf("%+v", r)
	}
	if r := w.account(next.Sub); !r.Bound {
		t.Errorf("%+v", r)
	}
	person, err := w.PersonOf(w.ctx, next.Number)
	w.must(err)
	w.same(person, next)
	w.must(w.DeletePerson(w.ctx, old.person.Sub))
	w.same(w.account(next.Sub), subject.Record{Person: next, Bound: true})
}
