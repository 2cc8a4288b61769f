// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

func testCodes(t *testing.T, w *world) {
	absent := func(c grant.Code, g *grant.Grant) grant.Redemption {
		t.Error("use ran for a code that is not there")
		return grant.Redemption{}
	}
	w.is(w.useCode(newHash(), absent), grant.ErrNotFound)
	over := w.code("")
	over.Expires = w.now.Add(-time.Millisecond)
	w.must(w.CreateCode(w.ctx, over))
	w.is(w.useCode(over.Hash, absent), grant.ErrNotFound)

	// looks checks what Code returns: the same as UseCode, with or without a grant.
	looks := func(want grant.Code, redeemed bool) {
		t.Helper()
		got, g, err := w.Code(w.ctx, want.Hash)
		w.must(err)
		if (g != nil) != redeemed || got.Redeemed != redeemed || got.Grant.ID != want.Grant.ID {
			t.Errorf("looking at a code: got %+v with grant %+v, want it redeemed: %v", got, g, redeemed)
		}
	}
	for _, hash := range []grant.CodeHash{newHash(), over.Hash} {
		_, _, err := w.Code(w.ctx, hash)
		w.is(err, grant.ErrNotFound)
	}

	c := w.code("")
	w.must(w.CreateCode(w.ctx, c))
	looks(c, false)
	w.must(w.useCode(c.Hash, func(got grant.Code, g *grant.Grant) grant.Redemption {
		w.same(got, c)
		if g != nil {
			t.Error("a code has a grant before it was redeemed")
		}
		return grant.Redemption{} // refused, for example: nothing is written
	}))
	_, err := w.Grant(w.ctx, c.Grant.ID)
	w.is(err, grant.ErrNotFound)

	token := grant.AccessToken{Hash: newHash(), GrantID: c.Grant.ID, Issued: w.now, Expires: w.now.Add(time.Minute)}
	w.must(w.useCode(c.Hash, func(got grant.Code, g *grant.Grant) grant.Redemption {
		if got.Redeemed || g != nil {
			t.Errorf("%+v, grant %+v", got, g)
		}
		got.Redeemed = true
		return grant.Redemption{Code: &got, Grant: &got.Grant, Access: &token}
	}))
	_, _, err = w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	looks(c, true)

	// A second use is recognised and can revoke (RFC 6749 §4.1.2).
	w.must(w.useCode(c.Hash, func(got grant.Code, g *grant.Grant) grant.Redemption {
		if !got.Redeemed || g == nil || g.ID != c.Grant.ID {
			t.Errorf("%+v, grant %+v", got, g)
			return grant.Redemption{}
		}
		g.Revoked = true
		return grant.Redemption{Grant: g}
	}))
	if !w.revoked(c.Grant.ID) {
		t.Error("the second use did not revoke")
	}

	// Also after the code would have expired, as long as there is something to
	// revoke.
	late := w.code("")
	late.Expires = w.now.Add(time.Minute)
	w.must(w.CreateCode(w.ctx, late))
	w.must(w.useCode(late.Hash, func(got grant.Code, _ *grant.Grant) grant.Redemption {
		got.Redeemed, got.Expires = true, w.now.Add(-time.Minute)
		return grant.Redemption{Code: &got, Grant: &got.Grant}
	}))
	recognised := false
	w.must(w.useCode(late.Hash, func(got grant.Code, g *grant.Grant) grant.Redemption {
		recognised = got.Redeemed && g != nil
		return grant.Redemption{}
	}))
	if !recognised {
		t.Error("a redeemed code was forgotten before its grant")
	}

	// And as long as a form may ask for it, also after its grant: no form makes it again.
	kept := w.code("")
	kept.FormExpires = w.now.Add(time.Hour)
	w.must(w.CreateCode(w.ctx, kept))
	w.must(w.useCode(kept.Hash, func(got grant.Code, _ *grant.Grant) grant.Redemption {
		got.Redeemed, got.Expires, got.Grant.Expires = true, w.now.Add(-time.Minute), w.now.Add(-time.Minute)
		return grant.Redemption{Code: &got, Grant: &got.Grant}
	}))
	_, err = w.Grant(w.ctx, kept.Grant.ID)
	w.is(err, grant.ErrNotFound)
	w.must(w.useCode(kept.Hash, func(got grant.Code, g *grant.Grant) grant.Redemption {
		if !got.Redeemed || g != nil {
			t.Errorf("a redeemed code after its grant: got %+v with grant %+v, want it redeemed and none", got, g)
		}
		return grant.Redemption{}
	}))
	w.neverAgain(kept)
}

// neverAgain checks that a code cannot be created.
func (w *world) neverAgain(c grant.Code) {
	w.t.Helper()
	c.Grant.SID = ""
	w.is(w.CreateCode(w.ctx, c), grant.ErrExists)
	w.is(w.allow(c.Grant.Sub, c.Grant.ClientID, c, func(k *consent.Consent) consent.Consent {
		return consent.Widen(k, c.Grant.Sub, c.Grant.ClientID, []string{"openid"}, w.now)
	}), grant.ErrExists)
}

// A code that a form may ask for again is found while it may, also when it has expired
// or was voided, so that it cannot be made again. Only deleting the user takes it away.
func testCodesOfForms(t *testing.T, w *world) {
	a := w.create()
	p := w.person(a.Number)
	w.approve(a.ID, p)
	code := func(sid string) grant.Code {
		c := w.code(sid)
		c.Grant.Sub, c.FormExpires = p.Sub, w.now.Add(time.Hour)
		return c
	}
	// finds checks what is found: the code as want says, without a grant.
	finds := func(what string, want grant.Code) {
		t.Helper()
		got, g, err := w.Code(w.ctx, want.Hash)
		if err != nil || g != nil {
			t.Errorf("%s: got grant %v, %v, want the code alone", what, g, err)
		}
		w.same(got, want)
		var used grant.Code
		w.must(w.useCode(want.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
			used = c
			return grant.Redemption{}
		}))
		w.same(used, want)
		w.neverAgain(want)
	}
	signIn := func() session.Session {
		s := w.session()
		s.Sub = p.Sub
		person, err := w.Person(w.ctx, p.Sub)
		w.must(err)
		a := w.create()
		_, err = w.finish(a.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
			a.State, a.SignOuts = login.Done, person.SignOuts
			return s, w.code(""), nil
		})
		w.must(err)
		return s
	}
	expired := code("")
	expired.Expires = w.now.Add(-time.Millisecond)
	w.must(w.CreateCode(w.ctx, expired))
	finds("expired", expired)
	w.reopen()
	finds("expired, reopened", expired)
	all := []grant.Code{expired}
	for what, end := range map[string]func(sid string) error{
		"signed out":            func(sid string) error { _, err := w.EndSession(w.ctx, sid); return err },
		"signed out of all":     func(string) error { return w.EndSessions(w.ctx, p.Sub) },
		"the consent was ended": func(string) error { return w.RevokeClient(w.ctx, p.Sub, "shop") },
	} {
		s := signIn()
		c, plain, offline := code(s.ID), code(s.ID), code(s.ID)
		plain.FormExpires, offline.Grant.Offline = time.Time{}, true
		for _, c := range []grant.Code{c, plain, offline} {
			w.must(w.CreateCode(w.ctx, c))
		}
		for range 2 {
			w.must(end(s.ID))
			c.Expires = time.Time{}
			if what == "the consent was ended" {
				offline.Expires = time.Time{}
			}
			finds(what, c)
			finds(what+", offline access", offline)
			_, _, err := w.Code(w.ctx, plain.Hash)
			w.is(err, grant.ErrNotFound)
			w.reopen()
		}
		all = append(all, c, offline)
	}
	w.must(w.DeletePerson(w.ctx, p.Sub))
	for _, c := range all {
		if !w.gone(c) {
			t.Error("a code of a deleted user is left")
		}
	}
}

func testGrants(t *testing.T, w *world) {
	_, err := w.Grant(w.ctx, "absent")
	w.is(err, grant.ErrNotFound)
	w.is(w.useGrant("absent", func(grant.Grant) grant.Redemption {
		t.Error("use ran for a grant that is not there")
		return grant.Redemption{}
	}), grant.ErrNotFound)

	c := w.code("")
	w.redeem(c)
	w.must(w.useGrant(c.Grant.ID, func(g grant.Grant) grant.Redemption {
		w.same(g, c.Grant)
		g.Generation++
		return grant.Redemption{} // nothing is written
	}))
	token := grant.AccessToken{Hash: newHash(), GrantID: c.Grant.ID, Issued: w.now, Expires: w.now.Add(time.Minute)}
	w.must(w.useGrant(c.Grant.ID, func(g grant.Grant) grant.Redemption {
		w.same(g, c.Grant)
		g.Generation, g.Rotated, g.Expires = 1, w.now, w.now.Add(90*24*time.Hour)
		return grant.Redemption{Grant: &g, Access: &token}
	}))
	c.Grant.Generation, c.Grant.Rotated, c.Grant.Expires = 1, w.now, w.now.Add(90*24*time.Hour)
	got, err := w.Grant(w.ctx, c.Grant.ID)
	w.must(err)
	w.same(got, c.Grant)
	_, got, err = w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	w.same(got, c.Grant)

	// One that has expired is not there, nor are its tokens.
	w.must(w.useGrant(c.Grant.ID, func(g grant.Grant) grant.Redemption {
		g.Expires = w.now.Add(-time.Millisecond)
		return grant.Redemption{Grant: &g}
	}))
	_, err = w.Grant(w.ctx, c.Grant.ID)
	w.is(err, grant.ErrNotFound)
	_, _, err = w.AccessToken(w.ctx, token.Hash)
	w.is(err, grant.ErrNotFound)
	w.is(w.useGrant(c.Grant.ID, func(grant.Grant) grant.Redemption {
		t.Error("use ran for a grant that has expired")
		return grant.Redemption{}
	}), grant.ErrNotFound)
}

func testAccessTokens(t *testing.T, w *world) {
	_, _, err := w.AccessToken(w.ctx, newHash())
	w.is(err, grant.ErrNotFound)
	w.must(w.DropAccessToken(w.ctx, newHash()))

	c := w.code("")
	token := w.redeem(c)
	over := grant.AccessToken{Hash: newHash(), GrantID: c.Grant.ID, Issued: w.now, Expires: w.now.Add(-time.Millisecond)}
	w.must(w.useGrant(c.Grant.ID, func(grant.Grant) grant.Redemption { return grant.Redemption{Access: &over} }))
	_, _, err = w.AccessToken(w.ctx, over.Hash)
	w.is(err, grant.ErrNotFound)

	// A revoked grant is told, not hidden.
	w.must(w.useGrant(c.Grant.ID, func(g grant.Grant) grant.Redemption {
		g.Revoked = true
		return grant.Redemption{Grant: &g}
	}))
	_, g, err := w.AccessToken(w.ctx, token.Hash)
	w.must(err)
	if !g.Revoked {
		t.Error("the grant is not revoked")
	}

	for range 2 {
		w.must(w.DropAccessToken(w.ctx, token.Hash))
		_, _, err = w.AccessToken(w.ctx, token.Hash)
		w.is(err, grant.ErrNotFound)
	}
	_, err = w.Grant(w.ctx, c.Grant.ID)
	w.must(err)
}
