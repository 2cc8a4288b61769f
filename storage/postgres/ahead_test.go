// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

// request returns the context of a request, as Requests makes it, that counts its round
// trips.
func request(ctx context.Context, trips *int) context.Context {
	return Traced(context.WithValue(ctx, aheadKey{}, &ahead{}), func() { *trips++ })
}

// signedIn signs a user in at a store, with an unused code.
func signedIn(t *testing.T, s *Store, number phone.Number, sub string, n byte) grant.Code {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	a := newAttempt()
	a.Number, a.ClientID = number, "shop"
	code := grant.Code{Hash: grant.CodeHash{n}, Expires: now.Add(time.Minute), Grant: grant.Grant{
		ID: sub + string(rune('0'+n)), Sub: sub, SID: sub + string(rune('0'+n)), ClientID: "shop", Created: now, Expires: now.Add(time.Minute)}}
	approved := s.CreateAttempt(ctx, a, limit.Spend{}, now)
	if approved == nil {
		_, approved = s.ApproveAttempt(ctx, a.ID, number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
			person := subject.Person{Sub: sub, Number: number, Created: now}
			if known != nil {
				person = *known
			}
			a.State, a.Sub, a.SignOuts = login.Approved, sub, person.SignOuts
			return login.Approval{Attempt: a, Person: person}, nil
		})
	}
	if approved == nil {
		_, approved = s.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State = login.Done
			return login.SignIn{Attempt: a, Code: code, Session: session.Session{
				ID: code.Grant.SID, Secret: [32]byte{n}, Sub: sub, Created: now, Expires: now.Add(time.Minute)}}, nil
		})
	}
	if approved != nil {
		t.Fatal(approved)
	}
	return code
}

// A code that this process has made is used in one round trip, by what the process
// remembers of it and of its user. What another process has changed since is found, and
// nothing is stored (invariant 9).
func TestInvariant9_RecalledCode(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			o := Options{DSN: redact.Text(database(t)), Isolation: isolation}
			s, other := open(t, o), open(t, o)
			number, err := phone.FromDigits("46701740600")
			if err != nil {
				t.Fatal(err)
			}
			redeem := func(ctx context.Context, s *Store, hash grant.CodeHash) (grant.Redemption, error) {
				return s.UseCode(ctx, hash, func(c grant.Code, _ *grant.Grant) grant.Redemption {
					if c.Redeemed {
						return grant.Redemption{Refused: grant.ErrReused}
					}
					c.Redeemed = true
					return grant.Redemption{Code: &c, Grant: &c.Grant}
				})
			}
			for i, row := range []struct {
				what   string
				change func(grant.Code) error
				want   error
				after  error // of a use that has read
			}{
				{"nothing has changed", func(grant.Code) error { return nil }, nil, grant.ErrReused},
				{"the code was used", func(c grant.Code) error {
					_, err := redeem(t.Context(), other, c.Hash)
					return err
				}, grant.ErrChanged, grant.ErrReused},
				{"the user has another name", func(c grant.Code) error {
					a := newAttempt()
					a.Number = number
					created := other.CreateAttempt(t.Context(), a, limit.Spend{}, time.Now())
					_, approved := other.ApproveAttempt(t.Context(), a.ID, number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
						known.Profile.FirstName += "x"
						a.State, a.Sub = login.Approved, known.Sub
						return login.Approval{Attempt: a, Person: *known}, nil
					})
					return errors.Join(created, approved)
				}, grant.ErrChanged, nil},
				{"the user has signed out everywhere", func(c grant.Code) error {
					return other.EndSessions(t.Context(), c.Grant.Sub)
				}, grant.ErrChanged, grant.ErrNotFound},
				{"the user was deleted", func(c grant.Code) error {
					return other.DeletePerson(t.Context(), c.Grant.Sub)
				}, grant.ErrChanged, grant.ErrNotFound},
			} {
				code := signedIn(t, s, number, "sub", byte(i+1))
				trips := 0
				ctx := request(t.Context(), &trips)
				seen, stored, err := s.RecallCode(ctx, code.Hash)
				if err != nil || stored != nil || seen.Hash != code.Hash || seen.Redeemed {
					t.Fatalf("%s: recalled %+v, %v, %v", row.what, seen, stored, err)
				}
				if person, err := s.Person(ctx, "sub"); err != nil || person.Number != number {
					t.Errorf("%s: the user is %v, %v", row.what, person.Number, err)
				}
				if trips != 0 {
					t.Errorf("%s: recalling is %d round trips, want none", row.what, trips)
				}
				if err := row.change(code); err != nil {
					t.Fatalf("%s: %v", row.what, err)
				}
				used, err := redeem(ctx, s, code.Hash)
				if !errors.Is(err, row.want) || row.want == nil && (used.Refused != nil || trips != 1) {
					t.Errorf("%s: %v, %v in %d round trips, want %v, in one if it succeeds", row.what, used.Refused, err, trips, row.want)
				}
				if _, _, err := s.Code(ctx, code.Hash); err != nil && !errors.Is(err, row.after) {
					t.Errorf("%s: reading the code: %v", row.what, err)
				}
				used, err = redeem(ctx, s, code.Hash)
				if got := errors.Join(err, used.Refused); !errors.Is(got, row.after) {
					t.Errorf("%s, and read: %v, want %v", row.what, got, row.after)
				}
				// Outside of a request nothing is kept, and so nothing recalled.
				trips = 0
				s.RecallCode(Traced(t.Context(), func() { trips++ }), code.Hash)
				if trips != 1 {
					t.Errorf("%s: %d round trips outside of a request, want one", row.what, trips)
				}
			}
		})
	}
}

// What is decided by a session that has ended elsewhere gives no code.
func TestARecalledSessionThatHasEnded(t *testing.T) {
	o := Options{DSN: redact.Text(database(t))}
	s, other := open(t, o), open(t, o)
	number, err := phone.FromDigits("46701740600")
	if err != nil {
		t.Fatal(err)
	}
	code := signedIn(t, s, number, "sub", 1)
	if _, err := other.EndSession(t.Context(), code.Grant.SID); err != nil {
		t.Fatal(err)
	}
	trips := 0
	recalled, err := s.RecallBySecret(Traced(t.Context(), func() { trips++ }), [32]byte{1})
	if err != nil || recalled.ID != code.Grant.SID || trips != 0 {
		t.Fatalf("recalled %q, %v in %d round trips, want the session as it was", recalled.ID, err, trips)
	}
	bought := code
	bought.Hash = grant.CodeHash{2}
	_, err = s.Allow(t.Context(), "sub", "shop", func(*consent.Consent) consent.Approval { return consent.Approval{Code: bought} })
	if !errors.Is(err, session.ErrNotFound) || !errors.Is(s.CreateCode(t.Context(), bought), session.ErrNotFound) {
		t.Errorf("a code in a session that has ended elsewhere: %v, want %v", err, session.ErrNotFound)
	}
}

// The user of a known device comes along with the attempts of the browser.
func TestForeseenPerson(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	number, err := phone.FromDigits("46701740600")
	if err != nil {
		t.Fatal(err)
	}
	signedIn(t, s, number, "sub", 1)
	trips := 0
	ctx := request(t.Context(), &trips)
	s.ForeseePerson(ctx, "sub")
	s.ForeseePerson(ctx, "nobody")
	if _, err := s.LiveAttempts(ctx, [32]byte{9}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for sub, want := range map[string]error{"sub": nil, "nobody": subject.ErrNotFound} {
		if _, err := s.Person(ctx, sub); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", sub, err, want)
		}
	}
	if trips != 1 {
		t.Errorf("%d round trips, want one", trips)
	}
	if _, err := s.Person(ctx, "sub"); err != nil || trips != 2 {
		t.Errorf("asked again: %v after %d round trips, want that it is read again", err, trips)
	}
}
