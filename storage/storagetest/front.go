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

// What the authorization endpoint gives beside a code is stored with it, by whatever
// creates the code, and is a grant like any other: it ends with its session, its consent
// and its user, and a code that exists already brings nothing.
func testFront(t *testing.T, w *world) {
	creators := map[string]func(s session.Session, c grant.Code) error{
		"CreateCode": func(s session.Session, c grant.Code) error {
			w.signIn(s, session.SecretHash{})
			return w.CreateCode(w.ctx, c)
		},
		"FinishAttempt": func(s session.Session, c grant.Code) error {
			a := w.create()
			_, err := w.finish(a.ID, session.SecretHash{}, func(a *login.Attempt) (session.Session, grant.Code, error) {
				a.State = login.Done
				return s, c, nil
			})
			return err
		},
		"Allow": func(s session.Session, c grant.Code) error {
			w.signIn(s, session.SecretHash{})
			return w.allow(s.Sub, c.Grant.ClientID, c, func(k *consent.Consent) consent.Consent {
				return consent.Widen(k, s.Sub, c.Grant.ClientID, c.Grant.Scopes, w.now)
			})
		},
	}
	ends := map[string]func(sub, sid string) error{
		"EndSession":   func(_, sid string) error { _, err := w.EndSession(w.ctx, sid); return err },
		"EndSessions":  func(sub, _ string) error { return w.EndSessions(w.ctx, sub) },
		"RevokeClient": func(sub, _ string) error { return w.RevokeClient(w.ctx, sub, "shop") },
		"DeletePerson": func(sub, _ string) error { return w.DeletePerson(w.ctx, sub) },
	}
	for creator, create := range creators {
		for ending, end := range ends {
			for _, redeemed := range []bool{false, true} {
				what := creator + ", " + ending
				a := w.create()
				p := w.person(a.Number)
				w.approve(a.ID, p)
				s := w.session()
				s.Sub = p.Sub
				c := w.code(s.ID)
				c.Grant.Sub, c.Redeemed, c.FormExpires = p.Sub, redeemed, w.now.Add(time.Hour)
				front := w.grant(s.ID)
				front.Sub = p.Sub
				c.Front = &grant.Front{
					Grant:  front,
					Access: grant.AccessToken{Hash: newHash(), GrantID: front.ID, Scopes: front.Scopes, Issued: w.now, Expires: w.now.Add(10 * time.Minute)},
				}
				hash := c.Front.Access.Hash
				w.must(create(s, c))
				w.reopen()
				token, g, err := w.AccessToken(w.ctx, hash)
				w.must(err)
				w.same(token, c.Front.Access)
				w.same(g, c.Front.Grant)
				got, own, err := w.Code(w.ctx, c.Hash)
				if err != nil || own != nil || got.Redeemed != redeemed {
					t.Errorf("%s: got the code %+v with grant %v, %v, want it without a grant", what, got, own, err)
				}

				w.must(end(p.Sub, s.ID))
				if ending == "DeletePerson" {
					_, _, err := w.AccessToken(w.ctx, hash)
					w.is(err, grant.ErrNotFound)
					continue
				}
				if !w.revoked(front.ID) {
					t.Errorf("%s: the token that was given beside the code is not revoked", what)
				}
				c.Grant.SID = ""
				w.is(w.CreateCode(w.ctx, c), grant.ErrExists)
				if !w.revoked(front.ID) {
					t.Errorf("%s: creating the code again has revived the token beside it", what)
				}
			}
		}
	}
}
