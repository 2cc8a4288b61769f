// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller"
	"calleridp/truecaller/phone"
)

// A sign-in is five transactions in nine round trips, and userinfo one round trip.
func TestRoundTrips(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	ctx, now := t.Context(), time.Now()
	number, err := phone.FromDigits("46701740600")
	if err != nil {
		t.Fatal(err)
	}
	a := newAttempt()
	a.Form, a.Browser, a.Number, a.ClientID = [32]byte{1}, [32]byte{2}, number, "shop"
	rate := limit.Rate{Burst: 10, Period: time.Hour}
	spend := limit.Spend{
		Lock: limit.Key{Kind: limit.Lock, ID: number.Digits()}, LockFor: time.Minute,
		Block:  limit.Key{Kind: limit.Lock, ID: "block"},
		Asker:  []limit.Charge{{Key: limit.Key{Kind: limit.Network}, Rate: rate}, {Key: limit.Key{Kind: limit.Deployment}, Rate: rate}},
		Number: []limit.Charge{{Key: limit.Key{Kind: limit.Number}, Rate: rate}},
	}
	d := truecaller.Delivery{ID: "d", Received: now}
	person := subject.Person{Sub: "sub", Number: number, Created: now}
	code := grant.Code{Hash: grant.CodeHash{1}, Expires: now.Add(time.Minute),
		Grant: grant.Grant{ID: "g", Sub: "sub", SID: "sid", ClientID: "shop", Created: now, Expires: now.Add(time.Minute)}}
	token := grant.AccessToken{Hash: grant.TokenHash{1}, GrantID: "g", Expires: now.Add(time.Minute)}
	all := uint64(0)
	for _, row := range []struct {
		name string
		want uint64
		run  func() error
	}{
		{"create", 2, func() error { return s.CreateAttempt(ctx, a, spend, now) }},
		{"deliver", 1, func() error {
			_, err := s.PutDelivery(ctx, d)
			return err
		}},
		{"approve", 1, func() error {
			_, err := s.ApproveAttempt(ctx, a.ID, number, func(a login.Attempt, _ *subject.Person) (login.Approval, error) {
				a.State, a.Sub = login.Approved, person.Sub
				return login.Approval{Attempt: a, Person: person, Effects: login.Effects{Approved: now.Add(time.Minute), Drop: d.ID}}, nil
			})
			return err
		}},
		{"finish", 1, func() error {
			_, err := s.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
				a.State = login.Done
				return login.SignIn{Attempt: a, Code: code,
					Session: session.Session{ID: "sid", Secret: [32]byte{1}, Sub: "sub", Created: now, Expires: now.Add(time.Minute)}}, nil
			})
			return err
		}},
		{"redeem", 1, func() error {
			_, err := s.UseCode(ctx, code.Hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
				c.Redeemed = true
				return grant.Redemption{Code: &c, Grant: &c.Grant, Access: &token}
			})
			return err
		}},
		{"userinfo", 1, func() error {
			_, _, err := s.AccessToken(ctx, token.Hash)
			return err
		}},
	} {
		before := s.Stats()
		if err := row.run(); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		after := s.Stats()
		if got := after.Trips - before.Trips; got != row.want {
			t.Errorf("%s: %d round trips, want %d", row.name, got, row.want)
		}
		all += after.Commits - before.Commits
	}
	if all != 5 {
		t.Errorf("%d transactions, want 5", all)
	}

	// Another process, which has not read the attempt, needs one more where it releases
	// locks, and one more for the consent.
	other := open(t, Options{DSN: s.options.DSN})
	before := other.Stats().Trips
	_, err = other.UpdateAttempt(ctx, a.ID, func(a login.Attempt) (login.Update, error) {
		return login.Update{Attempt: a, Effects: login.Effects{Unlock: true}}, nil
	})
	if got := other.Stats().Trips - before; err != nil || got != 3 {
		t.Errorf("without a hint: %d round trips, %v, want 3", got, err)
	}
}
