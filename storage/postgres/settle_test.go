// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"slices"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/postgres/pgtest"
	"calleridp/truecaller/phone"
)

// approving approves a push to a number, by this delivery, in a guess if s remembers the
// attempt.
func approving(t *testing.T, s *Store, id login.ID, number phone.Number, delivery string) error {
	_, err := s.ApproveAttempt(t.Context(), id, number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
		person := subject.Person{Sub: "sub", Number: number, Created: time.Now()}
		if known != nil {
			person = *known
		}
		a.State, a.Sub = login.Approved, person.Sub
		return login.Approval{Attempt: a, Person: person, Effects: login.Effects{
			Unlock: true, Drop: delivery, Push: limit.Ended{How: limit.Answered, At: time.Now()}}}, nil
	})
	return err
}

// What a guess settles with the attempt is as true as what it guesses: another process's
// delivery is not settled (invariant 8), and budgets that others have charged meanwhile get
// back what this push has paid, and no more (invariant 7).
func TestWhatAGuessSettles(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			dsn := database(t)
			o := Options{DSN: redact.Text(dsn), Isolation: isolation}
			s, other := open(t, o), open(t, o)
			ctx, now := t.Context(), time.Now()
			number, err := phone.FromDigits("46701740600")
			if err != nil {
				t.Fatal(err)
			}
			lock, rate := limit.Key{Kind: limit.Lock, ID: "a"}, limit.Rate{Burst: 10, Period: 10 * time.Hour}
			ofNumber := []limit.Charge{{Key: limit.Key{Kind: limit.Number, ID: "a"}, Rate: rate}}
			share := []limit.Charge{{Key: limit.Key{Kind: limit.NumberNetwork, ID: "a b"}, Rate: rate}}
			create := func() login.Attempt {
				t.Helper()
				a := newAttempt()
				a.Number, a.ClientID = number, "shop"
				if err := s.CreateAttempt(ctx, a, limit.Spend{Lock: lock, LockFor: time.Minute, Share: share, Number: ofNumber}, now); err != nil {
					t.Fatal(err)
				}
				put(t, s, "d")
				return a
			}
			a := create()
			wants := func(what string, locked bool, charges ...int) {
				t.Helper()
				states, err := other.LimitStates(ctx, lock, share[0].Key, ofNumber[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				for i, n := range charges {
					if got := states[i+1].Until.Sub(now).Round(time.Minute); n > 0 && got != time.Duration(n)*time.Hour || n == 0 && !states[i+1].Until.IsZero() {
						t.Errorf("%s: budget %d is charged until %s, want %d charges", what, i, got, n)
					}
				}
				if got := !states[0].Until.IsZero(); got != locked {
					t.Errorf("%s: the number is locked: %v, want %v", what, got, locked)
				}
			}
			wants("created", true, 1, 1)

			if err := other.CreateAttempt(ctx, newAttempt(), limit.Spend{Number: ofNumber}, now); err != nil {
				t.Fatal(err)
			}
			wants("charged by another", true, 1, 2)
			if err := approving(t, s, a.ID, number, "d"); err != nil {
				t.Fatal(err)
			}
			wants("approved", false, 0, 1)
			if n := rows(t, s)["deliveries"]; n != 0 {
				t.Errorf("%d deliveries are left", n)
			}

			a = create()
			wants("created", true, 1, 2)
			exec(t, dsn, "UPDATE deliveries SET node = 'another'")
			if err := approving(t, s, a.ID, number, "d"); !errors.Is(err, login.ErrNotHeld) {
				t.Errorf("with another process's delivery: %v, want ErrNotHeld", err)
			}
			if got, err := other.Attempt(ctx, a.ID); err != nil || got.State != a.State {
				t.Errorf("the attempt is %s, %v, want %s", got.State, err, a.State)
			}
			wants("refused", true, 1, 2)
		})
	}
}

// If the answer to a guess is lost, it is looked up, and what the answer would have told is
// read.
func TestInvariant9_ALostAnswerToAGuess(t *testing.T) {
	proxy, through := proxied(t, database(t))
	s := open(t, Options{DSN: redact.Text(through)})
	ctx, now := t.Context(), time.Now()
	number, err := phone.FromDigits("46701740600")
	if err != nil {
		t.Fatal(err)
	}
	a, tab := newAttempt(), newAttempt()
	a.Number, a.ClientID, a.Browser, tab.Browser = number, "shop", [32]byte{1}, [32]byte{1}
	for _, a := range []login.Attempt{a, tab} {
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, now); err != nil {
			t.Fatal(err)
		}
	}
	once := func(what string, run func() error) {
		t.Helper()
		for _, cut := range []pgtest.Cut{pgtest.BeforeCommit, pgtest.BeforeAnswer} { // it never arrived; its answer never did
			put(t, s, "d")
			before := s.Stats()
			proxy.CutCommits(cut)
			err := run()
			after := s.Stats()
			if lookups := after.Lookups - before.Lookups; err != nil || lookups != 1 || after.Commits-before.Commits != 1 {
				t.Errorf("%s: %v, %d lookups and %d commits, want one of each", what, err, lookups, after.Commits-before.Commits)
			}
		}
	}
	once("approving", func() error { return approving(t, s, a.ID, number, "d") })
	n := byte(0)
	once("finishing", func() error {
		n++
		signIn, err := s.FinishAttempt(ctx, a.ID, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State, a.Ended = login.Done, now
			sid := "sid" + string(rune('0'+n))
			code := grant.Code{Hash: grant.CodeHash{n}, Expires: now.Add(time.Minute),
				Grant: grant.Grant{ID: sid, Sub: "sub", SID: sid, ClientID: "shop", Created: now, Expires: now.Add(time.Minute)}}
			return login.SignIn{Attempt: a, Code: code,
				Session: session.Session{ID: sid, Secret: [32]byte{n}, Sub: "sub", Created: now, Expires: now.Add(time.Minute)}}, nil
		})
		if err == nil && !slices.Equal(signIn.Others, []login.ID{tab.ID}) {
			t.Errorf("the other live attempts are %v, want %v", signIn.Others, tab.ID)
		}
		return err
	})
}

// A spend that is guessed charges a budget and takes a lock also where the memory has that
// there are none (invariant 7).
func TestInvariant7_AGuessedSpend(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	ctx, now := t.Context(), time.Now()
	number, err := phone.FromDigits("46701740600")
	if err != nil {
		t.Fatal(err)
	}
	lock := limit.Key{Kind: limit.Lock, ID: "a"}
	charges := []limit.Charge{{Key: limit.Key{Kind: limit.Number, ID: "a"}, Rate: limit.Rate{Burst: 10, Period: 10 * time.Hour}}}
	a, b := newAttempt(), newAttempt()
	a.Number, a.ClientID = number, "shop"
	for _, err := range []error{
		s.CreateAttempt(ctx, b, limit.Spend{}, now),
		s.CreateAttempt(ctx, a, limit.Spend{Lock: lock, LockFor: time.Minute, Number: charges}, now),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, "d")
	if err := approving(t, s, a.ID, number, "d"); err != nil { // which gives both back
		t.Fatal(err)
	}
	spend := limit.Spend{Lock: lock, LockFor: time.Minute, Asker: charges}
	if _, err := s.ResumeAttempt(ctx, b.ID, [32]byte{}, spend, now, func(a login.Attempt) (login.Attempt, error) {
		a.ClientID = "another"
		return a, nil
	}); err != nil {
		t.Fatal(err)
	}
	states, err := s.LimitStates(ctx, lock, charges[0].Key)
	if err != nil || states[0].Until.IsZero() || states[1].Until.IsZero() {
		t.Errorf("locked until %v and charged until %v, %v; want both", states[0].Until, states[1].Until, err)
	}
}
