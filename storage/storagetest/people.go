// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"testing"

	"calleridp/provider/login"
	"calleridp/provider/subject"
	"calleridp/truecaller/phone"
)

func testPeople(t *testing.T, w *world) {
	_, err := w.Person(w.ctx, "absent")
	w.is(err, subject.ErrNotFound)

	first := w.create()
	again := func() login.Attempt {
		t.Helper()
		a := w.attempt()
		a.Number = first.Number
		w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now))
		return a
	}
	p := w.person(first.Number)
	if known := w.approve(first.ID, p); known != nil {
		t.Fatalf("a new number is bound to %+v", known)
	}
	a, err := w.Attempt(w.ctx, first.ID)
	w.must(err)
	if a.State != login.Approved || a.Sub != p.Sub {
		t.Fatalf("%+v", a)
	}
	if w.locked(first, w.now) {
		t.Error("the approval did not release the lock")
	}

	// The same user again.
	known := w.approve(again().ID, p)
	if known == nil {
		t.Fatal("the number is not bound")
	}
	w.same(*known, p)

	// If the attempt fails, the number stays with its user.
	failed := again()
	after, err := w.approveBy(failed.ID, failed.Number, func(a *login.Attempt, _ *subject.Person) (subject.Person, login.Effects, error) {
		a.State, a.Reason = login.Failed, login.PhoneMismatch
		return subject.Person{}, login.Effects{Unlock: true}, nil
	})
	w.must(err)
	if after.State != login.Failed {
		t.Fatalf("%+v", after)
	}

	// Another user has the number now. A sub is never issued again, so the first
	// user stays known by it, and has lost the number.
	p2 := w.person(first.Number)
	if known := w.approve(again().ID, p2); known == nil || known.Sub != p.Sub {
		t.Fatalf("bound to %+v, want the first person", known)
	}
	if known := w.approve(again().ID, p2); known == nil || known.Sub != p2.Sub {
		t.Fatalf("bound to %+v, want the second person", known)
	}
	kept, err := w.Person(w.ctx, p.Sub)
	w.must(err)
	p.NumberLost, p.SignOuts = true, p.SignOuts+1
	w.same(kept, p)

	// A new profile replaces the stored one.
	p2.Profile.FirstName, p2.TruecallerID = "Bina", "tc-2"
	w.approve(again().ID, p2)
	kept, err = w.Person(w.ctx, p2.Sub)
	w.must(err)
	w.same(kept, p2)
}

// A line is one number, however it is spelled.
func testSpellings(t *testing.T, w *world) {
	spelled := func(digits string) phone.Number {
		t.Helper()
		n, err := phone.FromDigits(digits)
		w.must(err)
		return n
	}
	start := func(n phone.Number) login.Attempt {
		t.Helper()
		a := w.attempt()
		a.Number = n
		w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now))
		return a
	}
	old, today, other := spelled("5215512345678"), spelled("525512345678"), spelled("525512345679")
	p := w.person(old)
	if known := w.approve(start(old).ID, p); known != nil {
		t.Fatalf("a new number is bound to %+v", known)
	}
	for _, n := range []phone.Number{old, today} {
		found, err := w.PersonOf(w.ctx, n)
		w.must(err)
		w.same(found, p)
	}
	_, err := w.PersonOf(w.ctx, other)
	w.is(err, subject.ErrNotFound)
	if !w.account(p.Sub).Bound {
		t.Error("the number is not the user's")
	}

	p2 := w.person(today)
	if known := w.approve(start(today).ID, p2); known == nil || known.Sub != p.Sub {
		t.Fatalf("bound to %+v, want the first person", known)
	}
	if w.account(p.Sub).Bound || !w.account(p.Sub).Person.NumberLost || !w.account(p2.Sub).Bound {
		t.Error("the number is not the second user's alone")
	}
	w.must(w.DeletePerson(w.ctx, p.Sub)) // who has lost it
	found, err := w.PersonOf(w.ctx, old)
	w.must(err)
	w.same(found, p2)
	w.must(w.DeletePerson(w.ctx, p2.Sub))
	for _, n := range []phone.Number{old, today} {
		_, err := w.PersonOf(w.ctx, n)
		w.is(err, subject.ErrNotFound)
	}
}
