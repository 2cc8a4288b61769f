// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/truecaller/phone"
)

// What an attempt is found by, and whose lock it has, cannot change under it.
func TestAttemptsKeepTheirIdentity(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	number, _ := phone.FromDigits("46701740605")
	other, _ := phone.FromDigits("46701740606")
	a := login.Attempt{ID: "a", Number: number, Expires: time.Now().Add(time.Minute)}
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*login.Attempt){
		"id":     func(a *login.Attempt) { a.ID = "b" },
		"state":  func(a *login.Attempt) { a.Correlation[0]++ },
		"number": func(a *login.Attempt) { a.Number = other },
	} {
		_, err := s.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
			change(&a)
			return login.Update{Attempt: a}, nil
		})
		if got, _ := s.Attempt(ctx, a.ID); err == nil || got.Correlation != a.Correlation || got.Number != number {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
}

// A sign-in that ends without a session has not ended, nor one whose code is of
// another session.
func TestFinishNeedsASession(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	a := login.Attempt{ID: "a", State: login.Approved, Expires: time.Now().Add(time.Minute)}
	if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	for _, row := range []struct {
		session session.Session
		code    grant.Code
		done    bool
	}{
		{session.Session{}, grant.Code{Grant: grant.Grant{ID: "g"}}, false},
		{session.Session{ID: "s", Expires: later}, grant.Code{Grant: grant.Grant{ID: "g", SID: "another"}}, false},
		{session.Session{ID: "s", Expires: later}, grant.Code{}, true}, // the person has to consent first
	} {
		_, err := s.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State = login.Done
			return login.SignIn{Attempt: a, Session: row.session, Code: row.code}, nil
		})
		if got, _ := s.Attempt(ctx, a.ID); (err == nil) != row.done || (got.State == login.Done) != row.done {
			t.Errorf("%v, state %s", err, got.State)
		}
		if _, err := s.Session(ctx, "s"); (err == nil) != row.done {
			t.Errorf("the session: %v", err)
		}
	}
	if n := records(t, s)["codes"]; n != 0 {
		t.Errorf("%d codes", n)
	}
}

// One session's grants are never found under another's sid, however the ids are
// put together.
func TestSessionGrantsAreApart(t *testing.T) {
	s := open(t, Options{})
	ctx := context.Background()
	end := time.Now().Add(time.Hour)
	for _, g := range []grant.Grant{{ID: "1", SID: "s", Expires: end}, {ID: "x", SID: "sg", Expires: end}, {ID: "gx", SID: "other", Expires: end}} {
		if err := s.write(ctx, func(t *txn) error { return t.putGrant(g) }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.EndSession(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"1": true, "x": false, "gx": false} {
		if g, err := s.Grant(ctx, id); err != nil || g.Revoked != want {
			t.Errorf("grant %s is revoked: %v, %v", id, g.Revoked, err)
		}
	}
}
