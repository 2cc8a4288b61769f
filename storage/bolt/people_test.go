// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"
)

// A record of before, under the hash of an old spelling, is found and moves to today's
// with the next sign-in. If there are two, today's has the line and the other has lost it.
func TestRecordsUnderOldSpellings(t *testing.T) {
	for _, both := range []bool{false, true} {
		s := open(t, Options{})
		ctx := context.Background()
		old, _ := phone.FromDigits("5215512345678")
		today := old.Line()
		bound := func(i int, sub string) {
			t.Helper()
			err := s.write(ctx, func(t *txn) error {
				key := t.s.sealer.NumberKeys(old)[i]
				if err := t.put(&people, []byte(sub), never, &record.Person{Sub: sub, Number: old}); err != nil {
					return err
				}
				return t.put(&numbers, key[:], never, (*record.Text)(&sub))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		want := "before"
		bound(1, "before")
		if both {
			bound(0, "today")
			want = "today"
		}
		for _, n := range []phone.Number{old, today} {
			if p, err := s.PersonOf(ctx, n); err != nil || p.Sub != want {
				t.Errorf("both %v: %s is %q's, %v; want %q's", both, n.Digits(), p.Sub, err, want)
			}
		}
		if r, err := s.Account(ctx, "before"); err != nil || r.Bound == both {
			t.Errorf("both %v: the first one's number is bound: %v, %v", both, r.Bound, err)
		}
		a := login.Attempt{ID: "a", Number: today, Expires: time.Now().Add(time.Minute)}
		if err := s.CreateAttempt(ctx, a, limit.Spend{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err := s.ApproveAttempt(ctx, a.ID, today, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
			known.Number = today
			return login.Approval{Attempt: a, Person: *known}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := records(t, s)["numbers"]; n != 1 {
			t.Errorf("both %v: %d numbers are kept, want one for the line", both, n)
		}
		if p, err := s.Person(ctx, "before"); err != nil || p.NumberLost != both {
			t.Errorf("both %v: the first one has lost the number: %v, %v", both, p.NumberLost, err)
		}
		intact(t, s)
	}
}
