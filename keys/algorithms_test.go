// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"calleridp/keys"
)

func only(algs ...string) func(*keys.Config) {
	return func(c *keys.Config) { c.Algorithms = algs }
}

// An algorithm that is turned off does not sign, and nobody sees its keys. What it
// signed still verifies, and its keys return with it.
func TestAlgorithmsAreTurnedOffAndOn(t *testing.T) {
	store := &memory{}
	all := open(t, store)
	token, err := all.Sign("ES256", "JWT", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, store, only("RS256"))
	want := []string{kid(t, r, "RS256", keys.Active), kid(t, r, "RS256", keys.Next)}
	if got := published(t, r); !slices.Equal(r.Algorithms(), []string{"RS256"}) || !slices.Equal(got, want) || len(r.Keys()) != 2 {
		t.Errorf("got algorithms %v and the keys %v, want RS256 and %v", r.Algorithms(), got, want)
	}
	if _, err := r.Sign("ES256", "JWT", []byte("{}")); err == nil {
		t.Error("ES256 signs, want an error")
	}
	if _, err := r.Verify(token); err != nil {
		t.Errorf("an earlier token: got %v, want it to verify", err)
	}
	if err := r.Rotate(t.Context(), "ES256", true); !errors.Is(err, keys.ErrNoAlgorithm) {
		t.Errorf("rotating ES256: got %v, want %v", err, keys.ErrNoAlgorithm)
	}
	if err := r.Rotate(t.Context(), "", true); err != nil {
		t.Fatal(err)
	}
	if again := open(t, store); kid(t, again, "ES256", keys.Active) != kid(t, all, "ES256", keys.Active) || len(kids(again, "RS256", keys.Retired)) != 1 {
		t.Error("ES256 has other keys after it was turned on again")
	}
	if store.writes != 2 {
		t.Errorf("%d writes, want the first keys and the rotation", store.writes)
	}
}

// A set that was made without an algorithm gets its keys when it is turned on, also
// if another ring does it at the same time.
func TestAnAlgorithmIsTurnedOnLater(t *testing.T) {
	store := &memory{}
	was := kid(t, open(t, store, only("RS256")), "RS256", keys.Active)
	var other *keys.Ring
	store.before = func() { other = open(t, store) }
	r := open(t, store)
	for _, alg := range []string{"ES256", "EdDSA"} {
		if kid(t, r, alg, keys.Active) != kid(t, other, alg, keys.Active) {
			t.Errorf("%s: the rings disagree", alg)
		}
	}
	if kid(t, r, "RS256", keys.Active) != was || store.writes != 2 {
		t.Errorf("got another RS256 key or %d writes, want the same key and 2", store.writes)
	}
}

func TestRotateOneAlgorithm(t *testing.T) {
	r := open(t, &memory{})
	rs, es := kid(t, r, "RS256", keys.Active), kid(t, r, "ES256", keys.Active)
	if err := r.Rotate(t.Context(), "ES256", false); !errors.Is(err, keys.ErrTooYoung) {
		t.Errorf("got %v, want %v", err, keys.ErrTooYoung)
	}
	if err := r.Rotate(t.Context(), "ES256", true); err != nil {
		t.Fatal(err)
	}
	if kid(t, r, "RS256", keys.Active) != rs || kid(t, r, "ES256", keys.Active) == es {
		t.Error("got the wrong keys rotated, want those of ES256 alone")
	}
}

func TestCheckAlgorithms(t *testing.T) {
	for _, bad := range [][]string{nil, {"ES256"}, {"RS256", "HS256"}, {"RS256", "none"}, {"RS256", "RS256"}} {
		if keys.CheckAlgorithms(bad) == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	if err := keys.CheckAlgorithms([]string{"EdDSA", "RS256"}); err != nil {
		t.Error(err)
	}
}

// No two algorithms share a key, also where the keys have one type (RFC 8725 §3.1): a
// header that names another algorithm of the type verifies nothing.
func TestNoKeyServesTwoAlgorithms(t *testing.T) {
	r := open(t, &memory{}, only("RS256", "RS512", "PS256"))
	ids := map[string]bool{}
	for _, alg := range r.Algorithms() {
		ids[kid(t, r, alg, keys.Active)] = true
		ids[kid(t, r, alg, keys.Next)] = true
	}
	if len(ids) != 6 {
		t.Errorf("got %d keys, want two for each algorithm", len(ids))
	}
	enc := base64.RawURLEncoding
	for _, alg := range r.Algorithms() {
		token := signed(t, r, alg)
		_, rest, _ := strings.Cut(token, ".")
		for _, other := range r.Algorithms() {
			header := enc.EncodeToString([]byte(`{"alg":"` + other + `","kid":"` + kid(t, r, alg, keys.Active) + `","typ":"JWT"}`))
			if _, err := r.Verify(header + "." + rest); (err == nil) != (other == alg) {
				t.Errorf("a token of %s with a header of %s: got %v, want it accepted only as %s", alg, other, err, alg)
			}
		}
	}
}

// An algorithm that nobody has named costs nothing: it has no key.
func TestUnusualAlgorithmsHaveNoKeys(t *testing.T) {
	store := &memory{}
	open(t, store)
	for _, k := range store.records {
		if !slices.Contains(keys.UsualAlgorithms(), k.Algorithm) {
			t.Errorf("got a key for %s, want none", k.Algorithm)
		}
	}
	r := open(t, store, only("RS256", "PS256"))
	signed(t, r, "PS256")
	rs := kid(t, r, "RS256", keys.Active)
	if err := r.Rotate(t.Context(), "PS256", true); err != nil {
		t.Fatal(err)
	}
	if kid(t, r, "RS256", keys.Active) != rs || len(kids(r, "PS256", keys.Retired)) != 1 {
		t.Error("got the wrong keys rotated, want those of PS256 alone")
	}
}
