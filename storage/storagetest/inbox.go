// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"calleridp/provider/login"
	"calleridp/provider/subject"
)

func testInbox(t *testing.T, w *world) {
	none, err := w.Deliveries(w.ctx, 10)
	w.must(err)
	if len(none) != 0 {
		t.Fatalf("a new inbox has %+v", none)
	}
	w.must(w.DropDelivery(w.ctx, "absent"))

	second, first, third := w.delivery(), w.delivery(), w.delivery()
	first.Received = w.now.Add(-time.Minute)
	third.Received = w.now.Add(time.Second)
	w.put(second)
	w.put(third)
	w.put(first)
	again := second
	again.Received = w.now.Add(time.Minute)
	w.put(again)

	order := func(most int, want ...string) {
		t.Helper()
		all, err := w.Deliveries(w.ctx, most)
		w.must(err)
		var got []string
		for _, d := range all {
			got = append(got, d.ID)
		}
		w.same(got, want)
	}
	order(10, first.ID, second.ID, third.ID)
	order(2, first.ID, second.ID)

	w.must(w.DropDelivery(w.ctx, second.ID))
	w.must(w.DropDelivery(w.ctx, second.ID))
	order(10, first.ID, third.ID)
	w.put(second)
	order(10, first.ID, second.ID, third.ID)

	// A change of an attempt that finishes a delivery deletes it.
	a := w.create()
	_, err = w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return login.Effects{Drop: first.ID}, nil })
	w.must(err)
	order(10, second.ID, third.ID)
	// Without the delivery, the change is not made.
	for _, absent := range []string{"absent", first.ID} {
		_, err = w.update(a.ID, func(a *login.Attempt) (login.Effects, error) {
			a.State = login.Failed
			return login.Effects{Drop: absent, Unlock: true}, nil
		})
		w.is(err, login.ErrNotHeld)
	}
	_, err = w.approveBy(a.ID, a.Number, func(a *login.Attempt, _ *subject.Person) (subject.Person, login.Effects, error) {
		a.State = login.Approved
		return w.person(a.Number), login.Effects{Drop: "absent"}, nil
	})
	w.is(err, login.ErrNotHeld)
	w.reads(a)(w.Attempt(w.ctx, a.ID))
	if !w.locked(a, w.now) {
		t.Error("the lock was released")
	}

	hold := func(id string, want bool) {
		t.Helper()
		held, err := w.HoldDelivery(w.ctx, id)
		w.must(err)
		if held != want {
			t.Errorf("delivery %s: held %v, want %v", id, held, want)
		}
	}
	hold(second.ID, true)
	hold(first.ID, false)
	w.must(w.DropDelivery(w.ctx, third.ID))
	hold(third.ID, false)
	order(10, second.ID)

	old := w.delivery()
	old.Received = w.now.Add(-2 * time.Hour)
	w.put(old)
	order(10, second.ID) // it has expired

	// After a restart, the process holds what it had.
	w.reopen()
	order(10, second.ID)
	hold(second.ID, true)
	w.put(second)
	order(10, second.ID)
}

// OneHoldsADelivery tests the inbox of several processes over the same data: one of them
// holds a delivery.
func OneHoldsADelivery(t *testing.T, processes ...Engine) {
	w := &world{Engine: processes[0], t: t, ctx: t.Context(), now: time.Now().UTC().Truncate(time.Millisecond)}
	for range 50 {
		d, a := w.delivery(), w.create()
		var wg sync.WaitGroup
		held := make([]bool, len(processes))
		for i, p := range processes { // Truecaller sends it to all of them at once
			wg.Go(func() {
				var err error
				if held[i], err = p.PutDelivery(w.ctx, d); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		holder := slices.Index(held, true)
		if holder < 0 || slices.Contains(held[holder+1:], true) {
			t.Fatalf("held by %v, want one", held)
		}
		settle := func(p Engine) error {
			_, err := p.UpdateAttempt(w.ctx, a.ID, func(a login.Attempt) (login.Update, error) {
				a.State = login.Failed
				return login.Update{Attempt: a, Effects: login.Effects{Drop: d.ID}}, nil
			})
			return err
		}
		for i, p := range processes {
			again, err := p.PutDelivery(w.ctx, d) // and again later
			w.must(err)
			stays, err := p.HoldDelivery(w.ctx, d.ID)
			w.must(err)
			listed, err := p.Deliveries(w.ctx, 10)
			w.must(err)
			if ours := i == holder; again != ours || stays != ours || (len(listed) == 1) != ours {
				t.Errorf("process %d: held %v and %v, %d listed; process %d holds it", i, again, stays, len(listed), holder)
			}
			if i == holder {
				continue
			}
			w.is(settle(p), login.ErrNotHeld)
			w.must(p.DropDelivery(w.ctx, d.ID))
		}
		w.reads(a)(processes[holder].Attempt(w.ctx, a.ID))
		w.must(settle(processes[holder]))
	}
}
