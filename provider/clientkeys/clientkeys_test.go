// SPDX-License-Identifier: Apache-2.0

package clientkeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/provider/client"

	"github.com/go-jose/go-jose/v4"
)

// address is where a client publishes its keys.
type address struct {
	mu      sync.Mutex
	kids    []string
	fails   bool
	takes   time.Duration
	begun   int
	fetched int
}

func (a *address) Get(ctx context.Context, _, _ string) ([]byte, error) {
	a.mu.Lock()
	a.begun++
	a.mu.Unlock()
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fetched++
	if a.fails {
		return nil, errors.New("down")
	}
	var set jose.JSONWebKeySet
	for _, kid := range a.kids {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: kid})
	}
	return json.Marshal(set)
}

// publish changes what is at the address.
func (a *address) publish(fails bool, kids ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fails, a.kids = fails, kids
}

// Keys are fetched when they are needed, and again when they are old or a kid is new;
// never more than twice a minute.
func TestPublishedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &address{}
		keys := New(at, slog.New(slog.DiscardHandler))
		app := client.Client{ID: "app", KeysURI: "https://app.example/keys"}
		want := func(what, kid string, known bool, fetched int) {
			t.Helper()
			got, err := keys.Of(t.Context(), app, kid)
			found := false
			for _, key := range got {
				found = found || key.KeyID == kid
			}
			if found != known || at.fetched != fetched {
				t.Errorf("%s: got the key %t (%v) after %d fetches, want %t after %d", what, found, err, at.fetched, known, fetched)
			}
		}
		at.publish(true)
		want("an address that fails", "a", false, 1)
		want("again at once", "a", false, 1)
		at.publish(false, "a")
		time.Sleep(againAfter)
		want("half a minute later", "a", true, 2)
		want("again", "a", true, 2)
		at.publish(false, "a", "b")
		want("a new key at once", "b", false, 2)
		time.Sleep(againAfter)
		want("a new key later", "b", true, 3)
		for range 100 {
			want("a kid that somebody made up", "x", false, 3)
		}
		at.publish(false, "b")
		time.Sleep(freshFor)
		want("a key that was withdrawn", "a", false, 4)
		at.publish(false)
		time.Sleep(freshFor)
		want("when all were withdrawn", "b", false, 5)
		want("again", "b", false, 5)
		at.publish(false, "b")
		time.Sleep(againAfter)
		want("when there is one again", "b", true, 6)
		at.publish(true)
		time.Sleep(freshFor)
		want("while the address is down", "b", true, 7)
		time.Sleep(staleFor - freshFor)
		want("while it is down for an hour", "b", false, 8)
	})
}

// A caller that goes away ends no fetch, and many callers fetch once.
func TestPublishedKeysAreFetchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &address{kids: []string{"a"}, takes: time.Second}
		keys := New(at, slog.New(slog.DiscardHandler))
		app := client.Client{ID: "app", KeysURI: "https://app.example/keys"}
		gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := keys.Of(gone, app, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that goes away: got %v", err)
		}
		for range 10 {
			go func() {
				if got, err := keys.Of(t.Context(), app, "a"); err != nil || len(got) != 1 {
					t.Errorf("got %d keys and %v, want 1", len(got), err)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		at.mu.Lock()
		defer at.mu.Unlock()
		if at.fetched != 1 {
			t.Errorf("fetched %d times, want once", at.fetched)
		}
	})
}

// Whoever hangs up while an address is asked has had a fetch all the same: no crowd of
// callers with made-up kids makes us ask more than twice a minute.
func TestThreat_HangingUpBuysNoFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &address{kids: []string{"a"}, takes: time.Second}
		keys := New(at, slog.New(slog.DiscardHandler))
		app := client.Client{ID: "app", KeysURI: "https://app.example/keys"}
		for range 60 { // for a minute
			gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = keys.Of(gone, app, "made up")
			cancel()
			time.Sleep(time.Second - time.Millisecond)
		}
		at.mu.Lock()
		defer at.mu.Unlock()
		if at.begun > 2 {
			t.Errorf("the address was asked %d times in a minute, want 2 at most", at.begun)
		}
	})
}

// What is remembered is bounded.
func TestPublishedKeysAreBounded(t *testing.T) {
	keys := New(&address{kids: []string{"a"}}, slog.New(slog.DiscardHandler))
	for i := range maxPublished + 10 {
		keys.at(string(rune('a' + i)))
	}
	if len(keys.published) != maxPublished {
		t.Errorf("remembers %d addresses, want %d", len(keys.published), maxPublished)
	}
}
