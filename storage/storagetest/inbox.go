package storagetest

import (
	"testing"
	"time"

	"calleridp/provider/login"
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
	w.must(w.PutDelivery(w.ctx, second))
	w.must(w.PutDelivery(w.ctx, third))
	w.must(w.PutDelivery(w.ctx, first))
	again := second
	again.Received = w.now.Add(time.Minute)
	w.must(w.PutDelivery(w.ctx, again))

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
	w.must(w.PutDelivery(w.ctx, second))
	order(10, first.ID, second.ID, third.ID)

	// A change of an attempt that finishes a delivery deletes it.
	a := w.create()
	_, err = w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return login.Effects{Drop: first.ID}, nil })
	w.must(err)
	order(10, second.ID, third.ID)
	_, err = w.update(a.ID, func(*login.Attempt) (login.Effects, error) { return login.Effects{Drop: "absent"}, nil })
	w.must(err)

	old := w.delivery()
	old.Received = w.now.Add(-2 * time.Hour)
	w.must(w.PutDelivery(w.ctx, old))
	order(10, second.ID, third.ID) // it has expired
}
