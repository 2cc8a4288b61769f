// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"testing"
)

// The first user who is bound to an operator's number stays.
func testOperators(t *testing.T, w *world) {
	n, other := newNumber(), newNumber()
	for range 2 {
		w.reads("first")(w.BindOperator(w.ctx, n, "first"))
		w.reads("first")(w.BindOperator(w.ctx, n, "second"))
		w.reads("another")(w.BindOperator(w.ctx, other, "another"))
		w.reopen()
	}
	w.reads("first")(w.BindOperator(w.ctx, n, "second"))

	// Of many at once, all see the same one.
	n = newNumber()
	bound := make(chan string, 8)
	atOnce(func(i int) {
		user, err := w.BindOperator(w.ctx, n, newID())
		if err != nil {
			t.Error(err)
		}
		select {
		case bound <- user:
		default:
		}
	})
	close(bound)
	first := <-bound
	for user := range bound {
		if user != first {
			t.Errorf("two users are bound to one number: %s and %s", first, user)
		}
	}
}
