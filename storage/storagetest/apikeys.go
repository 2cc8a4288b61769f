// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"cmp"
	"slices"
	"sync"
	"testing"
	"time"

	"calleridp/provider/apikey"
	"calleridp/provider/grant"
	"calleridp/provider/idempotency"
	"calleridp/provider/subject"
)

func testAPIKeys(t *testing.T, w *world) {
	k := apikey.Key{ID: "key-1", Hash: newHash(), Name: "ops", Scopes: []apikey.Scope{apikey.ClientsRead}, By: "uid 7", Created: w.now, Expires: w.now.Add(time.Hour)}
	other := k
	other.ID, other.Hash, other.Scopes = "key-2", newHash(), nil
	gone := k
	gone.ID, gone.Expires = "key-3", w.now.Add(-time.Hour)
	_, err := w.APIKey(w.ctx, k.ID)
	w.is(err, apikey.ErrNotFound)
	for _, one := range []apikey.Key{k, other, gone} {
		w.must(w.CreateAPIKey(w.ctx, one))
	}
	w.reads(k)(w.APIKey(w.ctx, k.ID))
	w.must(w.UseAPIKey(w.ctx, k.ID, w.now.Add(time.Second)))
	k.LastUsed = w.now.Add(time.Second)
	w.reopen()
	w.reads(k)(w.APIKey(w.ctx, k.ID))
	all, err := w.APIKeys(w.ctx)
	slices.SortFunc(all, func(a, b apikey.Key) int { return cmp.Compare(a.ID, b.ID) })
	w.reads([]apikey.Key{k, other})(all, err)
	w.must(w.DeleteAPIKey(w.ctx, k.ID))
	for _, id := range []string{k.ID, gone.ID, "nobody"} {
		_, err = w.APIKey(w.ctx, id)
		w.is(err, apikey.ErrNotFound)
		w.is(w.UseAPIKey(w.ctx, id, w.now), apikey.ErrNotFound)
		w.is(w.DeleteAPIKey(w.ctx, id), apikey.ErrNotFound)
	}
	w.reads([]apikey.Key{other})(w.APIKeys(w.ctx))
}

func testRequests(t *testing.T, w *world) {
	r := idempotency.Request{Key: newHash(), Digest: newHash(), Began: w.now}
	began := func(r, stored idempotency.Request, want bool) {
		t.Helper()
		got, began, err := w.BeginRequest(w.ctx, r)
		w.reads(stored)(got, err)
		if began != want {
			t.Errorf("began: got %v, want %v", began, want)
		}
	}
	// Of many at once, one begins.
	var wg sync.WaitGroup
	results := make([]bool, 8)
	for i := range results {
		wg.Go(func() {
			_, began, err := w.BeginRequest(w.ctx, r)
			if err != nil {
				t.Error(err)
			}
			results[i] = began
		})
	}
	wg.Wait()
	if n := len(slices.DeleteFunc(slices.Clone(results), func(began bool) bool { return !began })); n != 1 {
		t.Fatalf("%d of 8 began, want 1", n)
	}
	again := r
	again.Digest = newHash()
	began(again, r, false)
	r.Response = []byte(`{"done":true}`)
	w.must(w.EndRequest(w.ctx, r))
	w.reopen()
	began(again, r, false)
	w.must(w.ForgetRequest(w.ctx, r.Key))
	w.must(w.ForgetRequest(w.ctx, r.Key))
	began(again, again, true)

	// After its life another one may have its key.
	old := idempotency.Request{Key: newHash(), Began: w.now.Add(-idempotency.Retention - time.Minute), Response: []byte("x")}
	w.must(w.EndRequest(w.ctx, old))
	next := old
	next.Began, next.Response = w.now, nil
	began(next, next, true)
	began(next, next, false)
}

// Lists are read in parts, in the order of the keys.
func testLists(t *testing.T, w *world) {
	var people []subject.Person
	var grants []grant.Grant
	for range 5 {
		a := w.create()
		p := w.person(a.Number)
		w.approve(a.ID, p)
		people = append(people, p)
		c := w.code("")
		w.redeem(c)
		g, err := w.Grant(w.ctx, c.Grant.ID)
		w.must(err)
		grants = append(grants, g)
	}
	slices.SortFunc(people, func(a, b subject.Person) int { return cmp.Compare(a.Sub, b.Sub) })
	slices.SortFunc(grants, func(a, b grant.Grant) int { return cmp.Compare(a.ID, b.ID) })
	w.reads(people[:2])(w.ListPeople(w.ctx, "", 2))
	w.reads(people[2:])(w.ListPeople(w.ctx, people[1].Sub, 100))
	w.reads([]subject.Person(nil))(w.ListPeople(w.ctx, people[4].Sub, 2))
	w.reads(grants[:2])(w.ListGrants(w.ctx, "", 2))
	w.reads(grants[2:])(w.ListGrants(w.ctx, grants[1].ID, 100))
	// Behind what is gone meanwhile.
	w.must(w.DeletePerson(w.ctx, people[1].Sub))
	w.reads(people[2:4])(w.ListPeople(w.ctx, people[1].Sub, 2))
}
