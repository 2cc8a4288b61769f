// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"

	"github.com/jackc/pgx/v5"
)

// Two servers that finish sign-ins of one user at the same time wait for each other, and
// neither has to run again: none locks the user twice, the second time more strongly.
func TestTwoFinishAtOnce(t *testing.T) {
	dsn := database(t)
	o := Options{DSN: redact.Text(dsn)}
	s, ctx, now := open(t, o), t.Context(), time.Now()
	number, err := phone.FromDigits("46701740600")
	if err != nil {
		t.Fatal(err)
	}
	var ids []login.ID
	for range 2 {
		a := newAttempt()
		a.Number, a.ClientID = number, "shop"
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, now); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApproveAttempt(ctx, a.ID, number, func(a login.Attempt, _ *subject.Person) (login.Approval, error) {
			a.State, a.Sub = login.Approved, "sub"
			return login.Approval{Attempt: a, Person: subject.Person{Sub: "sub", Number: number, Created: now}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	// As somebody who gives the user a record: see living.
	if _, err := conn.Exec(ctx, "BEGIN; SELECT FROM people WHERE key = 'sub' FOR KEY SHARE"); err != nil {
		t.Fatal(err)
	}
	others := []*Store{open(t, o), open(t, o)} // which remember nothing, and so read
	finished := make(chan error)
	for i, other := range others {
		go func() {
			_, err := other.FinishAttempt(ctx, ids[i], func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
				a.State = login.Done
				return login.SignIn{Attempt: a, Session: session.Session{
					ID: string(a.ID), Secret: [32]byte{1 + byte(i)}, Sub: "sub", Created: now, Expires: now.Add(time.Minute)}}, nil
			})
			finished <- err
		}()
	}
	until(t, "both wait", func() bool {
		var n int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
		return err == nil && n == len(others)
	})
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	for range others {
		if err := <-finished; err != nil {
			t.Error(err)
		}
	}
	for _, other := range others {
		if n := other.Stats().Retries; n > 0 {
			t.Errorf("a finish ran %d times again, want that it waits", n)
		}
	}
}
