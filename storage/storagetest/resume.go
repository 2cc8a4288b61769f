// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
)

// resume resumes an attempt for a request of another client and form.
func (w *world) resume(id login.ID, clientID string, form redact.Hash, spend limit.Spend) (login.Attempt, error) {
	return w.ResumeAttempt(w.ctx, id, form, spend, w.now, func(a login.Attempt) (login.Attempt, error) {
		a.ClientID, a.Request, a.Form, a.Network = clientID, []byte("the request of "+clientID), form, "198.51.100.1/32"
		return a, nil
	})
}

// An attempt that is resumed is all that it was, but for its request. Its new form leads
// to it, and the one before to nothing. It is paid for in the same transaction.
func testResume(t *testing.T, w *world) {
	first, second := redact.Hash(newHash()), redact.Hash(newHash())
	once := limit.Charge{Key: limit.Key{Kind: limit.Client, ID: newID()}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}
	spend := limit.Spend{Asker: []limit.Charge{once}}
	left := func(want bool) {
		t.Helper()
		states, err := w.LimitStates(w.ctx, once.Key)
		w.must(err)
		if taken := !states[0].Until.IsZero(); taken == want {
			t.Errorf("the budget is spent: %v, want %v", taken, !want)
		}
	}

	_, err := w.resume("absent", "other", second, spend)
	w.is(err, login.ErrNotFound)
	a := w.attempt()
	a.Form = first
	w.must(w.CreateAttempt(w.ctx, a, lockOf(a), w.now))

	refused := errors.New("refused")
	_, err = w.ResumeAttempt(w.ctx, a.ID, second, spend, w.now, func(a login.Attempt) (login.Attempt, error) {
		a.ClientID, a.Form = "spoilt", second
		return a, refused
	})
	w.is(err, refused)
	same, err := w.ResumeAttempt(w.ctx, a.ID, second, spend, w.now, func(a login.Attempt) (login.Attempt, error) { return a, nil })
	w.must(err)
	w.same(same, a)
	left(true)
	w.reads(a)(w.AttemptByForm(w.ctx, first))

	// What was noted is in it.
	w.NoteAttempt(w.ctx, a.ID, login.Note{Kind: login.NoteAccepted, At: w.now, RequestID: "noted"})
	a.State, a.RequestID = login.Waiting, "noted"
	got, err := w.resume(a.ID, "other", second, spend)
	w.must(err)
	a.ClientID, a.Request, a.Form, a.Network = "other", []byte("the request of other"), second, "198.51.100.1/32"
	w.same(got, a)
	left(false)
	for range 2 {
		w.reads(a)(w.Attempt(w.ctx, a.ID))
		w.reads(a)(w.AttemptByForm(w.ctx, second))
		w.reads(a)(w.AttemptByCorrelation(w.ctx, a.Correlation))
		_, err = w.AttemptByForm(w.ctx, first)
		w.is(err, login.ErrNotFound)
		w.reopen()
	}
	if !w.locked(a, w.now) {
		t.Error("the lock was released")
	}

	// A budget that is spent refuses, and all stays as it is.
	_, err = w.resume(a.ID, "third", first, spend)
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); !ok || exceeded.Kind != limit.Client || !exceeded.RetryAt.After(w.now) {
		t.Errorf("a spent budget: got %v, want a refusal", err)
	}
	w.reads(a)(w.Attempt(w.ctx, a.ID))
	_, err = w.AttemptByForm(w.ctx, first)
	w.is(err, login.ErrNotFound)

	// Its new form starts no other attempt while it is live; the one before does.
	twice := w.attempt()
	twice.Form = second
	w.is(w.CreateAttempt(w.ctx, twice, limit.Spend{}, w.now), login.ErrExists)
	twice.Form = first
	w.must(w.CreateAttempt(w.ctx, twice, limit.Spend{}, w.now))
	w.reads(twice)(w.AttemptByForm(w.ctx, first))
	w.reads(a)(w.AttemptByForm(w.ctx, second))

	// Back to a form that has started another one since: it leads to the latest.
	got, err = w.resume(a.ID, "other", first, limit.Spend{})
	w.must(err)
	w.reads(got)(w.AttemptByForm(w.ctx, first))
	// Without a form, none leads to it.
	_, err = w.resume(a.ID, "other", redact.Hash{}, limit.Spend{})
	w.must(err)
	_, err = w.AttemptByForm(w.ctx, first)
	w.is(err, login.ErrNotFound)
	_, err = w.AttemptByForm(w.ctx, [32]byte{})
	w.is(err, login.ErrNotFound)
}

// The two halves of a double click, an earlier form that is sent again and the end of
// the attempt meet: each change sees the one before, and none is lost.
func testParallelResume(t *testing.T, w *world) {
	charge := limit.Charge{Key: limit.Key{Kind: limit.Network, ID: newID()}, Rate: limit.Rate{Burst: 1000, Period: time.Hour}, Own: true}
	for range 5 {
		forms := []redact.Hash{newHash(), newHash()}
		a := w.attempt()
		a.Form = forms[0]
		spend := lockOf(a)
		spend.Asker = []limit.Charge{charge}
		w.must(w.CreateAttempt(w.ctx, a, spend, w.now))
		var wg sync.WaitGroup
		for i := range 8 {
			form := forms[i%2]
			wg.Go(func() {
				again := w.attempt()
				again.Number, again.Form = a.Number, form
				err := w.CreateAttempt(w.ctx, again, spend, w.now)
				if _, locked := errors.AsType[*limit.Exceeded](err); err != nil && !locked && !errors.Is(err, login.ErrExists) {
					t.Errorf("a second attempt: got %v, want none, or a refusal", err)
				}
				_, err = w.ResumeAttempt(w.ctx, a.ID, form, limit.Spend{Asker: spend.Asker}, w.now, func(a login.Attempt) (login.Attempt, error) {
					if a.State.Terminal() {
						return a, login.ErrState
					}
					a.Form = form
					a.Request = append(a.Request[:len(a.Request):len(a.Request)], '+')
					return a, nil
				})
				if err != nil && !errors.Is(err, login.ErrState) {
					t.Errorf("resuming: %v", err)
				}
			})
		}
		wg.Go(func() {
			_, err := w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
				a.State = login.Rejected
				return login.Effects{Unlock: true}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		got, err := w.Attempt(w.ctx, a.ID)
		w.must(err)
		if got.State != login.Rejected {
			t.Errorf("the attempt is %s: its end was lost", got.State)
		}
	}
}
