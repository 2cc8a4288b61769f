// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

func testConsents(t *testing.T, w *world) {
	nothing := func(grant.Code, *grant.Grant) grant.Redemption { return grant.Redemption{} }
	_, err := w.Consent(w.ctx, "absent", "shop")
	w.is(err, consent.ErrNotFound)

	// allow answers yes: with the code that it buys.
	allow := func(sub string, c grant.Code, at time.Time, scopes ...string) (known *consent.Consent, err error) {
		_, err = w.Allow(w.ctx, sub, "shop", func(k *consent.Consent) consent.Approval {
			known = k
			return consent.Approval{Consent: consent.Widen(k, sub, "shop", scopes, at), Code: c}
		})
		return known, err
	}
	first := w.code("")
	sub := first.Grant.Sub
	if _, err := w.Consent(w.ctx, sub, "shop"); err == nil {
		t.Fatal("a consent that was not given")
	}
	known, err := allow(sub, first, w.now, "openid", "phone")
	w.must(err)
	if known != nil {
		t.Errorf("known before: %+v", known)
	}
	got, err := w.Consent(w.ctx, sub, "shop")
	w.must(err)
	w.same(got, consent.Consent{Sub: sub, ClientID: "shop", Scopes: []string{"openid", "phone"}, Created: w.now, LastUsed: w.now})
	w.must(w.useCode(first.Hash, nothing))

	// More than before. Another person's, and another client's, are their own;
	// also where the two names together read the same.
	later := w.now.Add(time.Minute)
	second := w.code("")
	second.Grant.Sub, second.Grant.Created = sub, later
	known, err = allow(sub, second, later, "email")
	w.must(err)
	if known == nil {
		t.Fatal("what was known is gone")
	}
	w.same(*known, got)
	got, err = w.Consent(w.ctx, sub, "shop")
	w.must(err)
	w.same(got, consent.Consent{Sub: sub, ClientID: "shop", Scopes: []string{"openid", "phone", "email"}, Created: w.now, LastUsed: later})
	for _, other := range [][2]string{{sub + "s", "hop"}, {sub[:len(sub)-1], sub[len(sub)-1:] + "shop"}, {sub, "sho"}, {"other", "shop"}} {
		_, err = w.Consent(w.ctx, other[0], other[1])
		w.is(err, consent.ErrNotFound)
	}

	// A code that was there before buys nothing, used or not, and then nothing
	// is kept.
	third := w.code("")
	third.Hash, third.Grant.Sub = second.Hash, sub
	for range 2 {
		_, err = allow(sub, third, later, "address")
		w.is(err, grant.ErrExists)
		w.is(w.CreateCode(w.ctx, third), grant.ErrExists)
		kept, err := w.Consent(w.ctx, sub, "shop")
		w.must(err)
		w.same(kept, got)
		w.must(w.useCode(second.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
			c.Redeemed = true
			return grant.Redemption{Code: &c, Grant: &c.Grant}
		}))
	}

	// Nor does one of a session that has ended.
	s := w.session()
	w.signIn(s, session.SecretHash{})
	w.endSession(s.ID)
	gone := w.code(s.ID)
	_, err = allow(sub, gone, later, "address")
	w.is(err, session.ErrNotFound)
	w.is(w.CreateCode(w.ctx, gone), session.ErrNotFound)
	w.is(w.useCode(gone.Hash, nothing), grant.ErrNotFound)
	kept, err := w.Consent(w.ctx, sub, "shop")
	w.must(err)
	w.same(kept, got)

	// Each code that is made uses the consent and the session.
	s = w.session()
	w.signIn(s, session.SecretHash{})
	again := w.code(s.ID)
	again.Grant.Sub, again.Grant.Created = sub, w.now.Add(time.Hour)
	w.must(w.CreateCode(w.ctx, again))
	got.LastUsed = again.Grant.Created
	s, _ = s.Used(again.Grant.ClientID, again.Grant.Created)
	kept, err = w.Consent(w.ctx, sub, "shop")
	w.must(err)
	w.same(kept, got)
	used, err := w.Session(w.ctx, s.ID)
	w.must(err)
	w.same(used, s)
	used, err = w.SessionBySecret(w.ctx, s.Secret)
	w.must(err)
	w.same(used, s)
	// The end of an attempt knows what its user allows its client, and nothing else.
	for client, want := range map[string]*consent.Consent{"shop": &got, "sho": nil, "": nil} {
		a := w.attempt()
		a.State, a.Sub, a.ClientID = login.Approved, sub, client
		w.must(w.CreateAttempt(w.ctx, a, limit.Spend{}, w.now))
		w.reopen()
		runs := 0
		_, err := w.FinishAttempt(w.ctx, a.ID, func(a login.Attempt, allowed *consent.Consent) (login.SignIn, error) {
			runs++
			w.same(allowed, want)
			a.State = login.Done
			s := w.session()
			s.Sub = sub
			return login.SignIn{Attempt: a, Session: s}, nil
		})
		w.must(err)
		if runs == 0 {
			t.Error("the decision was not called")
		}
	}
	// Never into the past.
	before := w.code(s.ID)
	before.Grant.Sub = sub
	w.must(w.CreateCode(w.ctx, before))
	kept, err = w.Consent(w.ctx, sub, "shop")
	w.must(err)
	w.same(kept, got)
	used, err = w.Session(w.ctx, s.ID)
	w.must(err)
	w.same(used, s)
}
