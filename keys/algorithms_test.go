package keys_test

import (
	"errors"
	"slices"
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
