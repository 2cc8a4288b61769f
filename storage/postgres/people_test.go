// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

// Who changes to whom a number leads gives nobody a new user, or another one's: the
// sign-in fails.
func TestThreat_NumberThatLeadsElsewhere(t *testing.T) {
	dsn := database(t)
	s := open(t, Options{DSN: redact.Text(dsn)})
	ctx := t.Context()
	signIn := func(s *Store, digits, sub string) (known *subject.Person, err error) {
		number, err := phone.FromDigits(digits)
		if err != nil {
			t.Fatal(err)
		}
		a := newAttempt()
		a.Number = number
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err = s.ApproveAttempt(ctx, a.ID, number, func(a login.Attempt, p *subject.Person) (login.Approval, error) {
			known = p
			person := subject.Person{Sub: sub, Number: number, Created: time.Now()}
			if p != nil {
				person = *p
			}
			return login.Approval{Attempt: a, Person: person}, nil
		})
		return known, err
	}
	const asha, ravi = "46701740605", "46701740610"
	for digits, sub := range map[string]string{asha: "asha", ravi: "ravi"} {
		if known, err := signIn(s, digits, sub); known != nil || err != nil {
			t.Fatalf("%v, %v", known, err)
		}
	}
	number, _ := phone.FromDigits(asha)
	for name, sql := range map[string]string{
		"to nobody":           "UPDATE numbers SET sub = 'nobody' WHERE sub = 'asha'",
		"to no user":          "UPDATE numbers SET sub = '' WHERE sub = 'asha'",
		"to another user":     "UPDATE numbers SET sub = 'ravi' WHERE sub = 'asha'",
		"to one who has gone": "UPDATE people SET key = 'gone' WHERE key = 'asha'",
	} {
		tx := []string{"CREATE TABLE kept AS TABLE numbers", "CREATE TABLE keptpeople AS TABLE people", sql}
		for _, sql := range tx {
			exec(t, dsn, sql)
		}
		if known, err := signIn(open(t, Options{DSN: redact.Text(dsn)}), asha, "new"); known != nil || !errors.Is(err, record.ErrUnreadable) {
			t.Errorf("%s: signed in as %v, %v, want an error", name, known, err)
		}
		// A process that remembers the user goes by the seals alone.
		if known, err := signIn(s, asha, "new"); !errors.Is(err, record.ErrUnreadable) && (err != nil || known == nil || known.Sub != "asha") {
			t.Errorf("%s: signed in as %v, %v, want an error, or the user whom the seal names", name, known, err)
		}
		if p, err := s.PersonOf(ctx, number); !errors.Is(err, record.ErrUnreadable) {
			t.Errorf("%s: the number is %s's, %v", name, p.Sub, err)
		}
		for _, sql := range []string{"DELETE FROM numbers", "DELETE FROM people", "INSERT INTO numbers TABLE kept",
			"INSERT INTO people TABLE keptpeople", "DROP TABLE kept, keptpeople"} {
			exec(t, dsn, sql)
		}
	}
	if known, err := signIn(s, asha, "asha"); err != nil || known == nil || known.Sub != "asha" {
		t.Errorf("%v, %v, want the user of before", known, err)
	}
}
