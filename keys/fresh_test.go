// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
)

func shared(c *keys.Config) { c.Shared = true }

// publishedNow returns the kids that a process publishes to whoever asks now.
func publishedNow(t *testing.T, r *keys.Ring) []string {
	t.Helper()
	if err := r.Freshen(t.Context()); err != nil {
		t.Fatal(err)
	}
	return published(t, r)
}

// signsWith returns the kid with which a process signs.
func signsWith(t *testing.T, r *keys.Ring) string {
	t.Helper()
	header, _, _ := strings.Cut(signed(t, r, "ES256"), ".")
	raw, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}

// Of processes that share a store and tell each other nothing, all publish a key before
// one signs with it, and none signs with one that was removed: also when an operator
// insists, again and again, at any of them.
func TestProcessesThatShareAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		rings := []*keys.Ring{open(t, store, shared), open(t, store, shared), open(t, store, shared)}
		ctx, stop := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		check := func() {
			for _, signing := range rings {
				kid := signsWith(t, signing)
				for _, publishing := range rings {
					if !slices.Contains(publishedNow(t, publishing), kid) {
						t.Error("a key signs that another process does not publish")
					}
				}
				if records, _, err := store.SigningKeys(ctx); err != nil || !slices.ContainsFunc(records, func(k keys.Record) bool { return k.ID == kid }) {
					t.Error("a key signs that was removed")
				}
			}
		}
		watching.Go(func() {
			for ctx.Err() == nil {
				check()
				time.Sleep(70 * time.Millisecond)
			}
		})
		for i := range 6 {
			before := kid(t, rings[i%3], "ES256", keys.Active)
			if err := rings[i%3].Rotate(ctx, "ES256", true); err != nil {
				t.Fatal(err)
			}
			check()
			remover := rings[(i+1)%3]
			if err := remover.Freshen(ctx); err != nil {
				t.Fatal(err)
			}
			if err := remover.Remove(ctx, before); err != nil {
				t.Fatal(err)
			}
			check()
			if i%2 == 0 {
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
			}
		}
		stop()
		watching.Wait()
	})
}

// A process that cannot read the store does not know which keys were retired.
func TestNothingIsSignedWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r, alone := open(t, store, shared), open(t, store)
		gone := errors.New("gone")
		store.unreadable = gone
		signed(t, r, "ES256")
		time.Sleep(2 * time.Second)
		if _, err := r.Sign("ES256", "JWT", []byte("{}")); !errors.Is(err, gone) {
			t.Errorf("signing: %v, want %v", err, gone)
		}
		if err := r.Freshen(t.Context()); !errors.Is(err, gone) || len(published(t, r)) != 6 {
			t.Errorf("publishing: %v and %d keys, want %v and the known ones", err, len(published(t, r)), gone)
		}
		signed(t, alone, "ES256") // it is the only one that changes them
		store.unreadable = nil
		signed(t, r, "ES256")
	})
}

// Reading is shared: a crowd reads the store once a second at most, and an alone
// process never.
func TestACrowdReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r, alone := open(t, store, shared), open(t, store)
		time.Sleep(time.Minute)
		before := store.reads
		store.slow = 100 * time.Millisecond
		var crowd sync.WaitGroup
		for range 50 {
			crowd.Go(func() {
				publishedNow(t, r)
				signed(t, r, "ES256")
				publishedNow(t, alone)
				signed(t, alone, "ES256")
			})
		}
		crowd.Wait()
		if n := store.reads - before; n != 1 {
			t.Errorf("%d reads, want one", n)
		}
	})
}

// A token of a key that another process has just made verifies.
func TestVerifyKeysOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		a, b := open(t, store, shared), open(t, store, shared)
		for range 2 {
			if err := a.Rotate(t.Context(), "ES256", true); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Verify(signed(t, a, "ES256")); err != nil {
			t.Error(err)
		}
	})
}
