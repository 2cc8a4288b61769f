// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"context"
	"errors"
	"testing"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/session"
)

// Everything is stored after a restart.
func testReopen(t *testing.T, w *world) {
	a, d, s, c := w.create(), w.delivery(), w.session(), w.code("")
	p := w.person(a.Number)
	w.put(d)
	w.approve(a.ID, p)
	w.signIn(s, session.SecretHash{})
	token := w.redeem(c)
	w.must(w.CreateClient(w.ctx, client.Client{ID: "shop"}))
	w.must(w.ReplaceSigningKeys(w.ctx, []keys.Record{{ID: "k"}}, 0))

	for range 2 {
		w.reopen()
		got, err := w.AttemptByCorrelation(w.ctx, a.Correlation)
		w.must(err)
		if got.State != login.Approved {
			t.Errorf("%+v", got)
		}
		if !w.inbox(d.ID) {
			t.Error("the delivery is gone")
		}
		_, err = w.Person(w.ctx, p.Sub)
		w.must(err)
		_, err = w.Session(w.ctx, s.ID)
		w.must(err)
		_, err = w.SessionBySecret(w.ctx, s.Secret)
		w.must(err)
		_, _, err = w.AccessToken(w.ctx, token.Hash)
		w.must(err)
		_, err = w.Client(w.ctx, "shop")
		w.must(err)
		set, version, err := w.SigningKeys(w.ctx)
		w.must(err)
		if len(set) != 1 || version == 0 {
			t.Errorf("%+v version %d", set, version)
		}
	}
}

// An operation whose context is done returns an error and changes nothing.
func testEndedContext(t *testing.T, w *world) {
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	a, d := w.attempt(), w.delivery()
	w.is(w.CreateAttempt(ended, a, limit.Spend{}, w.now), context.Canceled)
	if held, err := w.PutDelivery(ended, d); held || !errors.Is(err, context.Canceled) {
		t.Errorf("held %v, %v", held, err)
	}
	_, err := w.Attempt(ended, a.ID)
	w.is(err, context.Canceled)
	_, err = w.Attempt(w.ctx, a.ID)
	w.is(err, login.ErrNotFound)
	if w.inbox(d.ID) {
		t.Error("the delivery was kept")
	}

	// If the context is done at any time meanwhile, the result is accurate.
	for range 200 {
		ctx, cancel := context.WithCancel(w.ctx)
		a := w.attempt()
		go cancel()
		err := w.CreateAttempt(ctx, a, limit.Spend{}, w.now)
		if _, found := w.Attempt(w.ctx, a.ID); (err == nil) != (found == nil) {
			t.Fatalf("create: %v, and yet reading it: %v", err, found)
		}
	}
}

func testIssuer(t *testing.T, w *world) {
	w.must(w.PinIssuer(w.ctx, "https://id.example"))
	w.must(w.PinIssuer(w.ctx, "https://id.example"))
	for range 2 {
		for _, other := range []string{"https://id.example/", "https://other.example", ""} {
			if w.PinIssuer(w.ctx, other) == nil {
				t.Errorf("%q was accepted", other)
			}
		}
		w.reopen()
	}
	w.must(w.PinIssuer(w.ctx, "https://id.example"))
}
