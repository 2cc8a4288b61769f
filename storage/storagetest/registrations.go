// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/redact"
)

// registrationBudget is what registrations of n clients in an hour spend.
func registrationBudget(n int) limit.Spend {
	return limit.Spend{Asker: []limit.Charge{{
		Key:  limit.Key{Kind: limit.RegistrationDeployment},
		Rate: limit.Rate{Burst: n, Period: time.Hour},
	}}}
}

func registered(id string) client.Client {
	return client.Client{ID: id, Registration: &client.Registration{TokenHash: newHash()}}
}

// A client is registered on all of its terms, or nothing is stored and nothing spent.
func testRegistrations(t *testing.T, w *world) {
	terms := func(most, budget int) client.Terms {
		return client.Terms{Most: most, Spend: registrationBudget(budget)}
	}
	w.must(w.CreateClient(w.ctx, client.Client{ID: "an operator's"})) // which the quota does not count
	a := registered("a")
	w.must(w.RegisterClient(w.ctx, a, terms(2, 3), w.now))
	w.is(w.RegisterClient(w.ctx, registered("a"), terms(9, 9), w.now), client.ErrExists)
	w.must(w.RegisterClient(w.ctx, registered("b"), terms(2, 3), w.now))
	w.is(w.RegisterClient(w.ctx, registered("c"), terms(2, 3), w.now), client.ErrFull)
	unknown := redact.Hash(newHash())
	absent := terms(9, 9)
	absent.Token = &unknown
	w.is(w.RegisterClient(w.ctx, registered("c"), absent, w.now), client.ErrInitialToken)
	w.must(w.RegisterClient(w.ctx, registered("c"), terms(3, 3), w.now)) // the refused ones have spent nothing
	err := w.RegisterClient(w.ctx, registered("d"), terms(9, 3), w.now)
	if exceeded, ok := errors.AsType[*limit.Exceeded](err); !ok || exceeded.Kind != limit.RegistrationDeployment || !exceeded.RetryAt.After(w.now) {
		t.Errorf("the fourth of three: got %v, want *limit.Exceeded", err)
	}
	// What has no budget is not told that there is no room, and gets none made.
	if _, ok := errors.AsType[*limit.Exceeded](w.RegisterClient(w.ctx, registered("d"), terms(3, 3), w.now)); !ok {
		t.Error("the fourth of three, where there is room for three: want *limit.Exceeded")
	}
	w.reopen()
	got, err := w.Client(w.ctx, "a")
	w.must(err)
	w.same(got, a)

	w.is(w.DeleteClientIf(w.ctx, "none", func(client.Client) error { return nil }), client.ErrNotFound)
	refused := errors.New("refused")
	w.is(w.DeleteClientIf(w.ctx, "a", func(c client.Client) error {
		w.same(c, a)
		return refused
	}), refused)
	_, err = w.Client(w.ctx, "a")
	w.must(err)
	w.must(w.DeleteClientIf(w.ctx, "a", func(client.Client) error { return nil }))
	_, err = w.Client(w.ctx, "a")
	w.is(err, client.ErrNotFound)
	w.must(w.RegisterClient(w.ctx, registered("d"), terms(3, 9), w.now.Add(2*time.Hour))) // it has left a place

	spend := limit.Spend{Asker: []limit.Charge{{Key: limit.Key{Kind: limit.RegistrationNetwork, ID: "192.0.2.1/32"}, Rate: limit.Rate{Burst: 1, Period: time.Hour}}}}
	w.must(w.Spend(w.ctx, spend, w.now))
	w.reopen()
	if _, ok := errors.AsType[*limit.Exceeded](w.Spend(w.ctx, spend, w.now)); !ok {
		t.Error("a budget of one try took two")
	}
}

// Of many at a time, no more clients register than there is room for, and a token permits
// no more than it may.
func testParallelRegistrations(t *testing.T, w *world) {
	token := client.InitialToken{Hash: newHash(), ID: "t", Created: w.now, Expires: w.now.Add(time.Hour), Left: 3}
	w.must(w.CreateInitialToken(w.ctx, token))
	for _, row := range []struct {
		terms client.Terms
		want  int
		err   error
	}{
		{client.Terms{Token: &token.Hash, Most: 100, Spend: registrationBudget(100)}, 3, client.ErrInitialToken},
		{client.Terms{Most: 5, Spend: registrationBudget(100)}, 2, client.ErrFull},
	} {
		outcomes := make(chan error)
		const many = 8
		for i := range many {
			go func() {
				outcomes <- w.RegisterClient(w.ctx, registered(fmt.Sprintf("%v-%d", row.err, i)), row.terms, w.now)
			}()
		}
		stored := 0
		for range many {
			if err := <-outcomes; err == nil {
				stored++
			} else {
				w.is(err, row.err)
			}
		}
		if stored != row.want {
			t.Errorf("%d of %d were registered, want %d, then %v", stored, many, row.want, row.err)
		}
	}
	all, err := w.Clients(w.ctx)
	w.must(err)
	if len(all) != 5 {
		t.Errorf("%d clients are stored, want 5", len(all))
	}
}

func testInitialTokens(t *testing.T, w *world) {
	a := Filled[client.InitialToken](w.now)
	a.Expires, a.Left = w.now.Add(time.Hour), 2
	old := client.InitialToken{Hash: newHash(), ID: "old", Expires: w.now.Add(-time.Minute), Left: 1}
	w.must(w.CreateInitialToken(w.ctx, a))
	w.must(w.CreateInitialToken(w.ctx, old))
	w.reopen()
	got, err := w.InitialToken(w.ctx, a.Hash)
	w.must(err)
	w.same(got, a)
	w.reads([]client.InitialToken{a})(w.InitialTokens(w.ctx))
	for what, hash := range map[string]redact.Hash{"an unknown one": newHash(), "an expired one": old.Hash} {
		if _, err := w.InitialToken(w.ctx, hash); !errors.Is(err, client.ErrInitialToken) {
			t.Errorf("%s: got %v", what, err)
		}
		terms := client.Terms{Token: &hash, Most: 9, Spend: registrationBudget(9)}
		w.is(w.RegisterClient(w.ctx, registered("x"), terms, w.now), client.ErrInitialToken)
	}
	w.is(w.DeleteInitialToken(w.ctx, newHash()), client.ErrInitialToken)

	terms := client.Terms{Token: &a.Hash, Most: 9, Spend: registrationBudget(9)}
	w.must(w.RegisterClient(w.ctx, registered("1"), terms, w.now))
	a.Left = 1
	w.reads([]client.InitialToken{a})(w.InitialTokens(w.ctx))
	w.must(w.DeleteInitialToken(w.ctx, a.Hash))
	w.is(w.RegisterClient(w.ctx, registered("2"), terms, w.now), client.ErrInitialToken)

	w.must(w.CreateInitialToken(w.ctx, a))
	w.must(w.RegisterClient(w.ctx, registered("2"), terms, w.now))
	w.is(w.RegisterClient(w.ctx, registered("3"), terms, w.now), client.ErrInitialToken)
}
