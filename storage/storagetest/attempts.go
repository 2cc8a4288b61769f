// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"slices"
	"strings"
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

func testAttempts(t *testing.T, w *world) {
	_, err := w.Attempt(w.ctx, "absent")
	w.is(err, login.ErrNotFound)
	_, err = w.AttemptByCorrelation(w.ctx, newHash())
	w.is(err, login.ErrNotFound)
	_, err = w.update("absent", func(*login.Attempt) (login.Effects, error) {
		t.Error("a step ran for an absent attempt")
		return login.Effects{}, nil
	})
	w.is(err, login.ErrNotFound)
	_, err = w.approveBy("absent", phone.Number{}, func(*login.Attempt, *subject.Person) (subject.Person, login.Effects, error) {
		t.Error("a step ran for an absent attempt")
		return subject.Person{}, login.Effects{}, nil
	})
	w.is(err, login.ErrNotFound)
	_, err = w.finish("absent", session.SecretHash{}, func(*login.Attempt) (session.Session, grant.Code, error) {
		t.Error("a step ran for an absent attempt")
		return session.Session{}, grant.Code{}, nil
	})
	w.is(err, login.ErrNotFound)
	_, err = w.redeemAttempt("absent", func(*login.Attempt) (grant.Redemption, error) {
		t.Error("a step ran for an absent attempt")
		return grant.Redemption{}, nil
	})
	w.is(err, login.ErrNotFound)

	a := w.create()
	twice := w.attempt()
	twice.ID = a.ID
	w.is(w.CreateAttempt(w.ctx, twice, limit.Spend{}, w.now), login.ErrExists)
	twice = w.attempt()
	twice.Correlation = a.Correlation // invariant 6: single use
	w.is(w.CreateAttempt(w.ctx, twice, limit.Spend{}, w.now), login.ErrExists)

	after, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
		a.State, a.RequestID = login.Waiting, "r1"
		return login.Effects{}, nil
	})
	w.must(err)
	a.State, a.RequestID = login.Waiting, "r1"
	w.same(after, a)
	got, err := w.Attempt(w.ctx, a.ID)
	w.must(err)
	w.same(got, a)
	w.reads(a)(w.RecallAttempt(w.ctx, a.ID))
	w.reads(a)(w.HeardAttempt(w.ctx, a.ID))
	w.reads(a)(w.OpenAttempt(w.ctx, a.ID))
	w.reads(a)(w.OpenAttempt(w.ctx, a.ID))
	w.reads(a)(w.RecallByCorrelation(w.ctx, a.Correlation))
	for _, recall := range []func(context.Context, login.ID) (login.Attempt, error){w.RecallAttempt, w.HeardAttempt, w.OpenAttempt} {
		_, err = recall(w.ctx, "absent")
		w.is(err, login.ErrNotFound)
	}
	_, err = w.RecallByCorrelation(w.ctx, newHash())
	w.is(err, login.ErrNotFound)

	// It is still there for a while after its end, as it was.
	late := w.attempt()
	late.Created, late.Expires = w.now.Add(-6*time.Minute), w.now.Add(-time.Minute)
	w.must(w.CreateAttempt(w.ctx, late, limit.Spend{}, w.now))
	got, err = w.Attempt(w.ctx, late.ID)
	w.must(err)
	w.same(got, late)
	_, err = w.AttemptByCorrelation(w.ctx, late.Correlation)
	w.must(err)
}

// A note is seen at once, and is applied in order with everything else.
func testNotes(t *testing.T, w *world) {
	a := w.create()
	accepted := func(requestID string) {
		w.NoteAttempt(w.ctx, a.ID, login.Note{Kind: login.NoteAccepted, At: w.now, RequestID: redact.Text(requestID)})
	}
	expect := func(want string) {
		t.Helper()
		got, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		byState, err := w.AttemptByCorrelation(w.ctx, a.Correlation)
		w.must(err)
		if string(got.RequestID) != want || string(byState.RequestID) != want {
			t.Fatalf("got %q and %q, want %q", string(got.RequestID), string(byState.RequestID), want)
		}
	}
	accepted("1")
	expect("1")
	accepted("2")
	expect("2")
	_, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
		if a.RequestID != "2" || a.State != login.Waiting {
			t.Errorf("an update came before the notes: %q", a.RequestID)
		}
		a.RequestID += "3"
		return login.Effects{}, nil
	})
	w.must(err)
	expect("23")

	// A note that does not apply is dropped, and so is one of an unknown attempt.
	w.NoteAttempt(w.ctx, a.ID, login.Note{Kind: login.NoteInvoked, At: w.now, App: "another app", RequestID: "23"})
	w.NoteAttempt(w.ctx, "absent", login.Note{Kind: login.NoteAccepted, At: w.now})
	got, err := w.Attempt(w.ctx, a.ID)
	w.must(err)
	if !got.Invoked.IsZero() || got.RequestID != "23" {
		t.Errorf("got %+v, want no change by a note that does not apply", got)
	}

	for i := range 200 { // also while they are being committed
		accepted(strings.Repeat("x", 1+i))
		expect(strings.Repeat("x", 1+i))
		if i%10 == 0 {
			w.put(w.delivery())
		}
	}

	// Notes of all kinds, one after the other; closing makes them durable.
	accepted("last")
	invoked := w.now.Add(time.Second)
	w.NoteAttempt(w.ctx, a.ID, login.Note{Kind: login.NoteInvoked, At: invoked, App: a.App, RequestID: "last"})
	for _, delivery := range []string{"d1", "d2"} {
		w.NoteAttempt(w.ctx, a.ID, login.Note{Kind: login.NoteToken, At: w.now, App: a.App, RequestID: "last", Delivery: delivery})
	}
	native := w.attempt()
	native.Method, native.State = login.Native, login.Created
	w.must(w.CreateAttempt(w.ctx, native, limit.Spend{}, w.now))
	w.NoteAttempt(w.ctx, native.ID, login.Note{Kind: login.NoteExchanged, At: w.now})
	a.State, a.RequestID, a.Invoked, a.Trying = login.TokenReceived, "last", invoked, []string{"d1", "d2"}
	native.State = login.TokenReceived
	for range 2 {
		for _, want := range []login.Attempt{a, native} {
			got, err := w.Attempt(w.ctx, want.ID)
			w.must(err)
			w.same(got, want)
		}
		w.reopen()
	}
}

// A step that returns an error leaves nothing behind, whatever it did before.
func testStepErrors(t *testing.T, w *world) {
	refused := errors.New("refused")
	a, d := w.create(), w.delivery()
	w.put(d)
	p, s, c := w.person(a.Number), w.session(), w.code("")
	old := w.session()
	w.signIn(old, session.SecretHash{})

	effects := login.Effects{Unlock: true, Drop: d.ID}
	spoil := func(a *login.Attempt) { a.State, a.RequestID, a.Trying = login.Failed, "spoilt", []string{"spoilt"} }
	_, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
		spoil(a)
		return effects, refused
	})
	if err != refused {
		t.Errorf("the error of a step comes back as %v", err)
	}
	_, err = w.approveBy(a.ID, a.Number, func(a *login.Attempt, _ *subject.Person) (subject.Person, login.Effects, error) {
		spoil(a)
		return p, effects, refused
	})
	if err != refused {
		t.Errorf("the error of a step comes back as %v", err)
	}
	_, err = w.finish(a.ID, old.Secret, func(a *login.Attempt) (session.Session, grant.Code, error) {
		spoil(a)
		return s, c, refused
	})
	if err != refused {
		t.Errorf("the error of a step comes back as %v", err)
	}

	got, err := w.Attempt(w.ctx, a.ID)
	w.must(err)
	w.same(got, a)
	if !w.inbox(d.ID) {
		t.Error("the delivery was dropped")
	}
	if !w.locked(a, w.now) {
		t.Error("the lock was released")
	}
	_, err = w.Person(w.ctx, p.Sub)
	w.is(err, subject.ErrNotFound)
	_, err = w.Session(w.ctx, s.ID)
	w.is(err, session.ErrNotFound)
	_, err = w.Session(w.ctx, old.ID)
	w.must(err)
	w.is(w.useCode(c.Hash, func(grant.Code, *grant.Grant) grant.Redemption { return grant.Redemption{} }), grant.ErrNotFound)
	if known := w.approve(a.ID, p); known != nil {
		t.Errorf("the number was bound to %v", known.Sub)
	}

	// One that returns none has each of its effects.
	for what, row := range map[string]struct {
		effects login.Effects
		locked  bool
	}{
		"unlock":    {login.Effects{Unlock: true}, false},
		"cool down": {login.Effects{CoolDown: w.now.Add(time.Hour)}, true},
		"approve":   {login.Effects{Approved: w.now.Add(time.Hour)}, true},
		"nothing":   {login.Effects{}, true},
	} {
		a, d := w.create(), w.delivery()
		w.put(d)
		row.effects.Drop = d.ID
		_, err := w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return row.effects, nil })
		w.must(err)
		if dropped, locked := !w.inbox(d.ID), w.locked(a, w.now); !dropped || locked != row.locked {
			t.Errorf("%s: the delivery dropped %v, the number locked %v; want true, %v", what, dropped, locked, row.locked)
		}
	}
}

// A form leads to the latest attempt that it has started. While that one is live,
// there is no other.
func testForms(t *testing.T, w *world) {
	first := w.attempt()
	first.Form = newHash()
	_, err := w.AttemptByForm(w.ctx, first.Form)
	w.is(err, login.ErrNotFound)
	w.must(w.CreateAttempt(w.ctx, first, limit.Spend{}, w.now))
	w.reopen()
	w.reads(first)(w.AttemptByForm(w.ctx, first.Form))

	second := w.attempt()
	second.Form = first.Form
	charge := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: "forms"}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}
	spend := limit.Spend{Asker: []limit.Charge{charge}}
	w.is(w.CreateAttempt(w.ctx, second, spend, w.now), login.ErrExists)
	_, err = w.Attempt(w.ctx, second.ID)
	w.is(err, login.ErrNotFound)
	_, err = w.update(first.ID, func(a *login.Attempt) (login.Effects, error) {
		a.State = login.Rejected
		return login.Effects{}, nil
	})
	w.must(err)
	w.must(w.CreateAttempt(w.ctx, second, spend, w.now)) // nothing was spent before
	w.reads(second)(w.AttemptByForm(w.ctx, first.Form))

	third := w.attempt()
	third.Form = first.Form
	w.must(w.CreateAttempt(w.ctx, third, limit.Spend{}, second.Expires))
	w.reads(third)(w.AttemptByForm(w.ctx, first.Form))

	// No form is not one form.
	w.create()
	w.create()
	_, err = w.AttemptByForm(w.ctx, [32]byte{})
	w.is(err, login.ErrNotFound)
}

// The end of an attempt tells which others of its browser are live, and a new one what
// its budgets have left.
func testCharged(t *testing.T, w *world) {
	browser, rate := newHash(), limit.Rate{Burst: 3, Period: 3 * time.Hour}
	charge := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: newID()}, Rate: rate}
	spend := limit.Spend{
		Asker:   []limit.Charge{charge},
		Shown:   []limit.Charge{charge},
		Cooling: limit.Cooling{Key: limit.Key{Kind: limit.CoolingOff, ID: newID()}, Rule: limit.CoolDown{First: 10 * time.Second, Longest: time.Hour}},
	}
	var all []login.ID
	for n := range 3 {
		a := w.attempt()
		a.Browser = browser
		now := w.now.Add(time.Duration(n) * time.Minute) // after the cool-down
		w.must(w.CreateAttempt(w.ctx, a, spend, now))
		stored, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		if stored.Tries.Left != 2-n || stored.Pushes != n+1 {
			t.Errorf("attempt %d: %d tries left and %d pushes, want %d and %d", n, stored.Tries.Left, stored.Pushes, 2-n, n+1)
		}
		all = append(all, a.ID)
	}
	for n, id := range all {
		sub := newID()
		signIn, err := w.FinishAttempt(w.ctx, id, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
			a.State, a.Ended = login.Done, w.now
			return login.SignIn{Attempt: a, Session: session.Session{ID: newID(), Secret: newHash(), Sub: sub, Created: w.now, Expires: w.now.Add(time.Hour)}}, nil
		})
		w.must(err)
		slices.Sort(signIn.Others)
		want := slices.Sorted(slices.Values(all[n+1:]))
		if !slices.Equal(signIn.Others, want) {
			t.Errorf("finishing attempt %d: %v are live, want %v", n, signIn.Others, want)
		}
	}
}

// The live attempts of a browser are those that may still succeed.
func testLiveAttempts(t *testing.T, w *world) {
	browser := newHash()
	live := func(at time.Time, want ...login.Attempt) {
		t.Helper()
		got, err := w.LiveAttempts(w.ctx, browser, at)
		w.must(err)
		ids := map[login.ID]bool{}
		for _, id := range got {
			ids[id] = true
		}
		if len(got) != len(want) {
			t.Errorf("%d attempts are live, want %d", len(got), len(want))
		}
		for _, a := range want {
			if !ids[a.ID] {
				t.Errorf("attempt %s is not live", a.ID)
			}
		}
	}
	live(w.now)
	w.create() // another browser's
	create := func() login.Attempt {
		a := w.attempt()
		a.Browser = browser
		w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now))
		return a
	}
	a, b := create(), create()
	w.reopen()
	live(w.now, a, b)
	_, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
		a.State = login.Done
		return login.Effects{}, nil
	})
	w.must(err)
	live(w.now, b)
	live(b.Expires)
}
