// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"sync"
	"testing"

	"calleridp/provider/subject"
)

// A user from elsewhere is added once, with their number, and gives neither a sub nor a
// number to another user.
func testImport(t *testing.T, w *world) {
	number := w.create().Number
	p := w.person(number)
	imports := func(p subject.Person, dryRun, want bool, wantErr error) {
		t.Helper()
		if added, err := w.ImportPerson(w.ctx, p, dryRun); added != want || !errors.Is(err, wantErr) {
			t.Errorf("added %v, %v; want %v, %v", added, err, want, wantErr)
		}
	}
	imports(p, true, true, nil)
	if _, err := w.PersonOf(w.ctx, number); !errors.Is(err, subject.ErrNotFound) {
		t.Errorf("a dry run has added the user: %v", err)
	}
	imports(p, false, true, nil)
	known, err := w.PersonOf(w.ctx, number)
	w.must(err)
	w.same(known, p)
	changed := p
	changed.LastSignIn = w.now.Add(1)
	imports(changed, false, false, nil) // what is here is newer
	known, err = w.Person(w.ctx, p.Sub)
	w.must(err)
	w.same(known, p)

	second := w.create()
	imports(w.person(number), false, false, subject.ErrConflict)
	elsewhere := p
	elsewhere.Number = second.Number
	imports(elsewhere, false, false, subject.ErrConflict)
	if _, err := w.PersonOf(w.ctx, second.Number); !errors.Is(err, subject.ErrNotFound) {
		t.Errorf("a refused user has a number: %v", err)
	}
	if known := w.approve(second.ID, w.person(second.Number)); known != nil {
		t.Errorf("the number of a refused user is bound to %+v", known)
	}
	w.must(w.DeletePerson(w.ctx, p.Sub))
	imports(p, false, false, subject.ErrNotFound)

	// The same file twice at once.
	third := w.create()
	again := w.person(third.Number)
	var wg sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for range 4 {
		wg.Go(func() {
			added, err := w.ImportPerson(w.ctx, again, false)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if added {
				n++
			}
		})
	}
	wg.Wait()
	if n != 1 {
		t.Errorf("%d of four imports have added the user, want one", n)
	}
}
