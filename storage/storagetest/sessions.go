// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"testing"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
)

func testFinish(t *testing.T, w *world) {
	old := w.session()
	w.signIn(old, session.SecretHash{})
	g := w.code(old.ID)
	w.redeem(g)

	a, s, c := w.create(), w.session(), w.code("")
	after, err := w.finish(a.ID, old.Secret, func(a *login.Attempt) (session.Session, grant.Code, error) {
		a.State, a.Ended = login.Done, w.now
		return s, c, nil
	})
	w.must(err)
	a.State, a.Ended = login.Done, w.now
	w.same(after, a)
	got, err := w.Attempt(w.ctx, a.ID)
	w.must(err)
	w.same(got, a)
	_, err = w.SessionBySecret(w.ctx, s.Secret)
	w.must(err)
	used := false
	w.must(w.useCode(c.Hash, func(grant.Code, *grant.Grant) grant.Redemption { used = true; return grant.Redemption{} }))
	if !used {
		t.Error("the code was not there")
	}

	// The replaced session is deleted; its grants are not.
	w.noSession(old)
	if w.revoked(g.Grant.ID) {
		t.Error("the grants of a replaced session were revoked")
	}
	w.signIn(w.session(), newHash())

	// The same session again, with another secret in the cookie.
	turned := s
	turned.Secret = newHash()
	w.signIn(turned, session.SecretHash{})
	_, err = w.SessionBySecret(w.ctx, s.Secret)
	w.is(err, session.ErrNotFound)
	found, err := w.Session(w.ctx, s.ID)
	w.must(err)
	w.same(found, turned)
}

func testRedeem(t *testing.T, w *world) {
	a, c := w.create(), w.code("")
	g := c.Grant
	token := grant.AccessToken{Hash: newHash(), GrantID: g.ID, Scopes: g.Scopes, Issued: w.now, Expires: w.now.Add(time.Minute)}
	buy := func(a *login.Attempt) (grant.Redemption, error) {
		if a.State == login.Done {
			return grant.Redemption{}, login.ErrState
		}
		a.State, a.Ended = login.Done, w.now
		return grant.Redemption{Grant: &g, Access: &token}, nil
	}

	// Without a grant or a token, the attempt is not redeemed.
	for _, missing := range []func(*grant.Redemption){func(r *grant.Redemption) { r.Grant = nil }, func(r *grant.Redemption) { r.Access = nil }} {
		_, err := w.redeemAttempt(a.ID, func(a *login.Attempt) (grant.Redemption, error) {
			r, err := buy(a)
			missing(&r)
			return r, err
		})
		if err == nil {
			t.Error("an attempt was redeemed for less than a grant and a token")
		}
	}
	got, err := w.Attempt(w.ctx, a.ID)
	w.must(err)
	w.same(got, a)
	_, err = w.Grant(w.ctx, g.ID)
	w.is(err, grant.ErrNotFound)

	after, err := w.redeemAttempt(a.ID, buy)
	w.must(err)
	a.State, a.Ended = login.Done, w.now
	w.same(after, a)
	kept, of, err := w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	w.same(kept, token)
	w.same(of, g)

	// The error of a step is returned as it is, and nothing changes (invariant 9).
	_, err = w.redeemAttempt(a.ID, buy)
	w.is(err, login.ErrState)
	w.reopen()
	_, of, err = w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	w.same(of, g)

	// A user who was deleted meanwhile gets no grant.
	late := w.create()
	p := w.person(late.Number)
	w.approve(late.ID, p)
	w.must(w.DeletePerson(w.ctx, p.Sub))
	g.ID, g.Sub, token.Hash, token.GrantID = newID(), p.Sub, newHash(), g.ID
	_, err = w.redeemAttempt(late.ID, buy)
	w.is(err, subject.ErrNotFound)
	_, _, err = w.AccessToken(w.ctx, token.Hash)
	w.is(err, grant.ErrNotFound)
}

func testSessions(t *testing.T, w *world) {
	_, err := w.Session(w.ctx, "absent")
	w.is(err, session.ErrNotFound)
	for _, find := range []func(context.Context, session.SecretHash) (session.Session, error){w.SessionBySecret, w.RecallBySecret} {
		_, err = find(w.ctx, newHash())
		w.is(err, session.ErrNotFound)
	}
	w.same(w.endSession("absent"), session.Session{})

	over := w.session()
	over.Expires = w.now.Add(-time.Millisecond)
	w.signIn(over, session.SecretHash{})
	w.noSession(over)

	s, neighbour := w.session(), w.session()
	neighbour.ID = s.ID + "x"
	w.signIn(s, session.SecretHash{})
	for range 2 {
		recalled, err := w.RecallBySecret(w.ctx, s.Secret)
		w.must(err)
		w.same(recalled, s)
		w.reopen()
	}
	w.signIn(neighbour, session.SecretHash{})
	online, online2, offline, elsewhere := w.code(s.ID), w.code(s.ID), w.code(s.ID), w.code(neighbour.ID)
	offline.Grant.Offline = true
	token := w.redeem(online)
	for _, c := range []grant.Code{online2, offline, elsewhere} {
		w.redeem(c)
	}
	unused, unusedOffline := w.code(s.ID), w.code(s.ID)
	unusedOffline.Grant.Offline = true
	w.must(w.CreateCode(w.ctx, unused))
	w.must(w.CreateCode(w.ctx, unusedOffline))

	for range 2 { // ending an absent session is no error
		w.endSession(s.ID)
		w.noSession(s)
		for _, row := range []struct {
			name    string
			code    grant.Code
			revoked bool
		}{{"online", online, true}, {"online2", online2, true}, {"offline", offline, false}, {"of another session", elsewhere, false}} {
			if got := w.revoked(row.code.Grant.ID); got != row.revoked {
				t.Errorf("the grant %s: revoked is %v, want %v", row.name, got, row.revoked)
			}
		}
	}
	_, g, err := w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	if !g.Revoked {
		t.Error("a token's grant is not revoked")
	}
	nothing := func(grant.Code, *grant.Grant) grant.Redemption { return grant.Redemption{} }
	w.is(w.useCode(unused.Hash, nothing), grant.ErrNotFound)
	w.must(w.useCode(unusedOffline.Hash, nothing))
	w.must(w.useCode(online.Hash, nothing)) // a second use is still recognised
	_, err = w.Session(w.ctx, neighbour.ID)
	w.must(err)

	// A session that a new sign-in replaced no longer exists. Signing out of it
	// still revokes its grants.
	replaced := w.session()
	w.signIn(replaced, session.SecretHash{})
	c := w.code(replaced.ID)
	w.redeem(c)
	w.signIn(w.session(), replaced.Secret)
	w.endSession(replaced.ID)
	if !w.revoked(c.Grant.ID) {
		t.Error("the grant of a replaced session outlived its sign-out")
	}
}
