// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// person signs a person in: with a session, a consent and a grant that lives
// while they are away.
func (a *api) person(digits, sub string) {
	a.t.Helper()
	ctx, now := a.t.Context(), time.Now()
	must := func(err error) {
		a.t.Helper()
		if err != nil {
			a.t.Fatal(err)
		}
	}
	number, err := phone.FromDigits(digits)
	must(err)
	attempt := login.Attempt{ID: login.ID(rand.Text()), State: login.Pushing, Number: number, Expires: now.Add(time.Minute)}
	attempt.Correlation = sha256.Sum256([]byte(attempt.ID))
	must(a.store.CreateAttempt(ctx, attempt, limit.Spend{}, now))
	person := subject.Person{
		Sub:        sub,
		Number:     number,
		Created:    now,
		LastSignIn: now,
		Profile:    truecaller.Profile{FirstName: "Asha", Email: "asha@example.com"},
	}
	_, err = a.store.ApproveAttempt(ctx, attempt.ID, number, func(attempt login.Attempt, _ *subject.Person) (login.Approval, error) {
		return login.Approval{Attempt: attempt, Person: person}, nil
	})
	must(err)
	s := session.Session{ID: "sid-of-" + sub, Secret: sha256.Sum256([]byte(sub)), Sub: sub, Created: now, Expires: now.Add(time.Hour), LastUsed: now,
		Device: session.Device{Browser: "Firefox", OS: "Linux"}}
	_, err = a.store.FinishAttempt(ctx, attempt.ID, func(attempt login.Attempt, _ *consent.Consent) (login.SignIn, error) {
		return login.SignIn{Attempt: attempt, Session: s}, nil
	})
	must(err)
	code := grant.Code{Hash: sha256.Sum256([]byte("code" + sub)), Expires: now.Add(time.Minute),
		Grant: grant.Grant{ID: "grant-of-" + sub, ClientID: "third", Sub: sub, SID: s.ID, Offline: true, Created: now, Expires: now.Add(time.Hour)}}
	_, err = a.store.Allow(ctx, sub, "third", func(*consent.Consent) consent.Approval {
		return consent.Approval{Consent: consent.Consent{Scopes: []string{"openid"}}, Code: code}
	})
	must(err)
	_, err = a.store.UseCode(ctx, code.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
		return grant.Redemption{Grant: &c.Grant}
	})
	must(err)
}

func TestUsersAreFoundSignedOutAndDeleted(t *testing.T) {
	a := newAPI(t)
	a.person("46701740605", "sub-one")
	a.person("46701740606", "sub-two")
	check := func(u admin.User) {
		t.Helper()
		if u.Sub != "sub-one" || u.Number != "+46•••••0605" || u.NumberLost || u.LastSignIn.IsZero() || len(u.Sessions) != 1 || len(u.Applications) != 1 {
			t.Fatalf("%+v", u)
		}
		if s := u.Sessions[0]; s.SID != "sid-of-sub-one" || s.Browser != "Firefox" || s.OS != "Linux" || s.LastUsed.IsZero() || s.Expires.IsZero() {
			t.Errorf("%+v", s)
		}
		if u.Applications[0] != (admin.UserApplication{ClientID: "third", Consent: true, Grants: 1, Offline: true}) {
			t.Errorf("%+v", u.Applications)
		}
	}
	var u admin.User
	a.call("POST", "/v1/users/find", `{"number":"070-174 06 05"}`, 200, &u)
	check(u)
	u = admin.User{}
	a.call("GET", "/v1/users/sub-one", "", 200, &u)
	check(u)
	u = admin.User{}
	a.call("POST", "/v1/users/sub-one/signout", "", 200, &u)
	check(u) // as it was before
	if _, err := a.store.Session(t.Context(), "sid-of-sub-one"); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the session lives: %v", err)
	}
	u = admin.User{}
	a.call("DELETE", "/v1/users/sub-one", "", 200, &u)
	if u.Sub != "sub-one" || len(u.Sessions) != 0 {
		t.Errorf("%+v", u)
	}
	a.refuses("GET", "/v1/users/sub-one", "", 404, "there is no user with this sub")
	a.refuses("DELETE", "/v1/users/sub-one", "", 404, "there is no user")
	a.refuses("POST", "/v1/users/sub-one/signout", "", 404, "there is no user")
	a.refuses("POST", "/v1/users/find", `{"number":"+46701740605"}`, 404, "no user has signed in with the number +46•••••0605")
	a.refuses("POST", "/v1/users/find", `{"number":"12"}`, 422, "the number")
	a.refuses("POST", "/v1/users/find", `{"phone":"12"}`, 422, "unexpected property")
	a.call("GET", "/v1/users/sub-two", "", 200, &u)

	for _, event := range []string{"user.found", "user.shown", "user.signed_out", "user.deleted"} {
		if !strings.Contains(a.audit.String(), "msg="+event+" sub=sub-one operator=\"uid 7\"\n") {
			t.Errorf("no %s in the audit, or more than the sub:\n%s", event, a.audit)
		}
	}
}
