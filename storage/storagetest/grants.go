package storagetest

import (
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
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

	// It also stays until it expires, even after its grant, so that no form makes it again.
	kept := w.code("")
	w.must(w.CreateCode(w.ctx, kept))
	w.must(w.useCode(kept.Hash, func(got grant.Code, _ *grant.Grant) grant.Redemption {
		got.Redeemed, got.Expires, got.Grant.Expires = true, w.now.Add(time.Hour), w.now.Add(-time.Minute)
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
	w.is(w.CreateCode(w.ctx, kept), grant.ErrExists)
	w.is(w.allow(kept.Grant.Sub, kept.Grant.ClientID, kept, func(k *consent.Consent) consent.Consent {
		return consent.Widen(k, kept.Grant.Sub, kept.Grant.ClientID, []string{"openid"}, w.now)
	}), grant.ErrExists)
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
