// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/keys"
)

const day = 24 * time.Hour

func master(t testing.TB, fill byte) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster(bytes.Repeat([]byte{fill}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, store keys.Store, change ...func(*keys.Config)) *keys.Ring {
	t.Helper()
	c := keys.Config{Store: store, Master: master(t, 1), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	r, err := keys.OpenRing(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kids returns the kids of the keys of alg in this state.
func kids(r *keys.Ring, alg string, state keys.State) []string {
	var ids []string
	for _, k := range r.Keys() {
		if k.Algorithm == alg && k.State == state {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

func kid(t testing.TB, r *keys.Ring, alg string, state keys.State) string {
	t.Helper()
	ids := kids(r, alg, state)
	if len(ids) != 1 {
		t.Fatalf("%d %s keys for %s, want one", len(ids), state, alg)
	}
	return ids[0]
}

func published(t testing.TB, r *keys.Ring) []string {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	return ids
}

func TestFirstStartMakesOneActiveAndOneNextKeyOfEachAlgorithm(t *testing.T) {
	store := &memory{}
	r := open(t, store)
	if got := r.Algorithms(); !slices.Equal(got, []string{"RS256", "ES256", "EdDSA"}) {
		t.Errorf("algorithms %v", got)
	}
	for _, alg := range r.Algorithms() {
		active, next := kid(t, r, alg, keys.Active), kid(t, r, alg, keys.Next)
		for _, id := range []string{active, next} {
			if !slices.Contains(published(t, r), id) {
				t.Errorf("%s key %s is not in the JWKS", alg, id)
			}
		}
	}
	if store.writes != 1 {
		t.Errorf("%d writes, want one: a crash between two would leave half a set", store.writes)
	}
	again := open(t, store)
	if store.writes != 1 || !bytes.Equal(again.JWKS(), r.JWKS()) {
		t.Error("a second start changed the keys")
	}
}

func TestWhatIsLostIsNeverReplacedByNewKeys(t *testing.T) {
	store := &memory{}
	open(t, store)
	whole := store.records
	byAlg := func(alg string, state keys.State) int {
		return slices.IndexFunc(store.records, func(k keys.Record) bool { return k.Algorithm == alg && k.State == state })
	}
	for name, row := range map[string]struct {
		spoil  func()
		master byte
		says   string
	}{
		"wrong master key":     {func() {}, 2, "master_key_file"},
		"no keys left":         {func() { store.records = nil }, 1, "restore the store from a backup"},
		"no key that signs":    {func() { store.records = slices.Delete(store.records, 0, 1) }, 1, "0 active and 1 next keys for RS256"},
		"no next key":          {func() { store.records = slices.Delete(store.records, 1, 2) }, 1, "1 active and 0 next keys for RS256"},
		"two keys that sign":   {func() { store.records[1].State = keys.Active }, 1, "2 active and 0 next keys for RS256"},
		"sealed part changed":  {func() { store.records[2].Sealed = append([]byte{9}, store.records[2].Sealed...) }, 1, "master key"},
		"sealed parts swapped": {func() { store.records[0].Sealed, store.records[1].Sealed = whole[1].Sealed, whole[0].Sealed }, 1, "master key"},
		"public part of another key": {func() {
			store.records[0].Public = whole[1].Public
		}, 1, "public and private halves"},
		"public part unreadable": {func() { store.records[0].Public = []byte("{") }, 1, "public and private halves"},
		"algorithm of another key": {func() {
			store.records[byAlg("ES256", keys.Active)].Algorithm = "EdDSA"
		}, 1, "does not sign EdDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			store.records = slices.Clone(whole)
			row.spoil()
			_, err := keys.OpenRing(t.Context(), keys.Config{Store: store, Master: master(t, row.master), Log: slog.New(slog.DiscardHandler)})
			if !errors.Is(err, keys.ErrUnreadable) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("error %v; want ErrUnreadable that says %q", err, row.says)
			}
			if store.writes != 1 {
				t.Error("the set was written")
			}
		})
	}
}

func TestSmallRSAKeysAreRefused(t *testing.T) {
	store := &memory{}
	open(t, store)
	k := &store.records[0]
	k.Public, k.Sealed = weakRSA(t, master(t, 1), k.ID)
	_, err := keys.OpenRing(t.Context(), keys.Config{Store: store, Master: master(t, 1), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, keys.ErrUnreadable) || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("error %v", err)
	}
}

// A key is published a day before it signs, signs for 30 days, and stays published
// until its last token has expired.
func TestRotationTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := open(t, store, func(c *keys.Config) { c.RetireFor = 2 * day })
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.Run(ctx) })
		first, second := kid(t, r, "RS256", keys.Active), kid(t, r, "RS256", keys.Next)

		time.Sleep(30*day - time.Hour)
		synctest.Wait()
		if got := kid(t, r, "RS256", keys.Active); got != first {
			t.Fatal("rotated before its time")
		}
		before := signed(t, r, "RS256")

		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if got := kid(t, r, "RS256", keys.Active); got != second {
			t.Fatalf("%s signs after 30 days, want the one that was next", got)
		}
		third := kid(t, r, "RS256", keys.Next)
		if got := kid(t, r, "RS256", keys.Retired); got != first {
			t.Fatal("the key before is not retired")
		}
		for _, id := range []string{first, second, third} {
			if !slices.Contains(published(t, r), id) {
				t.Error("one of the three keys is not published")
			}
		}
		if _, err := r.Verify(before); err != nil {
			t.Errorf("a token of the retired key: %v", err)
		}
		for _, alg := range r.Algorithms() {
			if len(kids(r, alg, keys.Retired)) != 1 {
				t.Errorf("%s did not rotate", alg)
			}
		}

		time.Sleep(2*day - 2*time.Minute)
		synctest.Wait()
		if !slices.Contains(published(t, r), first) {
			t.Error("forgotten while its tokens may still live")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if slices.Contains(published(t, r), first) {
			t.Error("still published after its last token has expired")
		}
		if _, err := r.Verify(before); err == nil {
			t.Error("a token of a forgotten key verifies")
		}
		stop()
		done.Wait()
	})
}

func TestScheduleWaitsUntilTheNextKeyIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, &memory{}, func(c *keys.Config) { c.RotateEvery, c.PublishBefore = day, 3*day })
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.Run(ctx) })
		first := kid(t, r, "ES256", keys.Active)
		time.Sleep(3*day - time.Minute)
		synctest.Wait()
		if kid(t, r, "ES256", keys.Active) != first {
			t.Error("signs with a key that clients may not know")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if kid(t, r, "ES256", keys.Active) == first {
			t.Error("does not rotate at all")
		}
		stop()
		done.Wait()
	})
}

// Whether a next key is known long enough is asked of each algorithm.
func TestScheduleOfEachAlgorithm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, &memory{}, func(c *keys.Config) { c.RotateEvery, c.PublishBefore = day, 3*day })
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.Run(ctx) })
		time.Sleep(day)
		if err := r.Rotate(t.Context(), "RS256", true); err != nil { // its next key is known on the fourth day
			t.Fatal(err)
		}
		rs, es := kid(t, r, "RS256", keys.Active), kid(t, r, "ES256", keys.Active)
		time.Sleep(2*day + time.Hour)
		synctest.Wait()
		if kid(t, r, "RS256", keys.Active) != rs || kid(t, r, "ES256", keys.Active) == es {
			t.Error("on the third day: want ES256 rotated, and RS256 not")
		}
		time.Sleep(day)
		synctest.Wait()
		if kid(t, r, "RS256", keys.Active) == rs {
			t.Error("on the fourth day: want RS256 rotated")
		}
		for _, k := range r.Keys() {
			if k.Created.IsZero() || k.Activated.IsZero() != (k.State == keys.Next) || k.Retired.IsZero() != (k.State != keys.Retired) {
				t.Errorf("got %+v, want the times of its state", k)
			}
		}
		stop()
		done.Wait()
	})
}

func TestNegativeScheduleNeverRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := open(t, store, func(c *keys.Config) { c.RotateEvery = -1 })
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Hour)
		defer stop()
		r.Run(ctx)
		if store.writes != 1 {
			t.Error("rotated")
		}
	})
}

func TestRotateByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		r := open(t, store)
		next := kid(t, r, "RS256", keys.Next)

		err := r.Rotate(t.Context(), "", false)
		if !errors.Is(err, keys.ErrTooYoung) || !strings.Contains(err.Error(), "2000-01-02 00:00 UTC") || !strings.Contains(err.Error(), "a forced rotation") {
			t.Errorf("error %v; want when it may, and how to insist", err)
		}
		if store.writes != 1 || kid(t, r, "RS256", keys.Next) != next {
			t.Error("a refused rotation changed the keys")
		}

		if err := r.Rotate(t.Context(), "", true); err != nil {
			t.Fatal(err)
		}
		if kid(t, r, "RS256", keys.Active) != next {
			t.Error("--force did not promote the next key")
		}

		time.Sleep(day)
		if err := r.Rotate(t.Context(), "", false); err != nil {
			t.Errorf("a day later: %v", err)
		}
		for _, alg := range r.Algorithms() {
			if got := len(kids(r, alg, keys.Retired)); got != 2 {
				t.Errorf("%s: %d retired keys, want 2", alg, got)
			}
		}
	})
}

// One algorithm rotates whatever the age of the keys of others, and leaves those alone.
func TestOneAlgorithmRotatesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t, &memory{})
		time.Sleep(day)
		if err := r.Rotate(t.Context(), "RS256", false); err != nil { // its next key is new now
			t.Fatal(err)
		}
		rs, es, ed := kid(t, r, "RS256", keys.Active), kid(t, r, "ES256", keys.Active), kid(t, r, "EdDSA", keys.Active)
		if err := r.Rotate(t.Context(), "ES256", false); err != nil {
			t.Errorf("ES256: %v", err)
		}
		if kid(t, r, "RS256", keys.Active) != rs || kid(t, r, "ES256", keys.Active) == es || kid(t, r, "EdDSA", keys.Active) != ed {
			t.Error("want ES256 rotated alone")
		}
		if err := r.Rotate(t.Context(), "RS256", false); !errors.Is(err, keys.ErrTooYoung) {
			t.Errorf("RS256 again: %v, want %v", err, keys.ErrTooYoung)
		}
		if err := r.Rotate(t.Context(), "HS256", true); !errors.Is(err, keys.ErrNoAlgorithm) {
			t.Errorf("HS256: %v, want %v", err, keys.ErrNoAlgorithm)
		}
	})
}

// Removing a stolen key takes it out of the JWKS at once. The tokens that it signed
// no longer verify.
func TestRemove(t *testing.T) {
	r := open(t, &memory{})
	stolen := kid(t, r, "RS256", keys.Active)
	token := signed(t, r, "RS256")
	if err := r.Remove(t.Context(), stolen); !errors.Is(err, keys.ErrInUse) {
		t.Errorf("a key that signs: %v", err)
	}
	if err := r.Remove(t.Context(), kid(t, r, "RS256", keys.Next)); !errors.Is(err, keys.ErrInUse) {
		t.Errorf("a next key: %v", err)
	}
	if err := r.Remove(t.Context(), "nobody"); !errors.Is(err, keys.ErrNoKey) {
		t.Errorf("no key: %v", err)
	}
	if err := r.Rotate(t.Context(), "", true); err != nil {
		t.Fatal(err)
	}
	if err := r.Remove(t.Context(), stolen); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(published(t, r), stolen) || len(published(t, r)) != 8 {
		t.Errorf("published: %v", published(t, r))
	}
	if _, err := r.Verify(token); err == nil {
		t.Error("a token of the removed key verifies")
	}
}

// Of two rings over one store, the loser of a race reads the set again, and both
// use the same set.
func TestTwoRingsRotateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		a, b := open(t, store), open(t, store)
		time.Sleep(31 * day)
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { a.Run(ctx) })
		done.Go(func() { b.Run(ctx) })
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if store.writes != 2 {
			t.Errorf("%d writes, want the first keys and one rotation", store.writes)
		}
		if !bytes.Equal(a.JWKS(), b.JWKS()) {
			t.Error("the rings disagree")
		}
		stop()
		done.Wait()
	})
}

// What one process rotates or removes is in the JWKS of another one as soon as that
// one asks, also after a rotation that did not wait.
func TestRefreshReadsWhatAnotherRingHasStored(t *testing.T) {
	store := &memory{}
	a, b := open(t, store), open(t, store)
	if err := a.Rotate(t.Context(), "", true); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.JWKS(), b.JWKS()) {
		t.Fatal("the rotation shows nothing")
	}
	if err := b.Refresh(t.Context()); err != nil || !bytes.Equal(a.JWKS(), b.JWKS()) {
		t.Errorf("the rings disagree after refreshing, %v", err)
	}
}

func TestTwoRingsStartOnAnEmptyStore(t *testing.T) {
	store := &memory{}
	var other *keys.Ring
	store.before = func() { other = open(t, store) } // between the read and the write
	r := open(t, store)
	if store.writes != 1 || !bytes.Equal(r.JWKS(), other.JWKS()) {
		t.Error("both made first keys")
	}
}

func TestLoserOfARotationDecidesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		a, b := open(t, store), open(t, store)
		time.Sleep(2 * day)
		store.before = func() {
			if err := b.Rotate(t.Context(), "", false); err != nil {
				t.Error(err)
			}
		}
		// b has just rotated, as a wants to. The next key is new now and must not
		// sign at once.
		if err := a.Rotate(t.Context(), "", false); !errors.Is(err, keys.ErrTooYoung) {
			t.Errorf("error %v, want ErrTooYoung", err)
		}
		if !bytes.Equal(a.JWKS(), b.JWKS()) {
			t.Error("the loser did not take up the winner's set")
		}
	})
}

func TestFailedWriteChangesNothing(t *testing.T) {
	store := &memory{}
	r := open(t, store)
	before := r.JWKS()
	store.fails = errors.New("disk full")
	if err := r.Rotate(t.Context(), "", true); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(before, r.JWKS()) {
		t.Error("keys that were not stored are in use")
	}
	if err := r.Rotate(t.Context(), "", true); err != nil {
		t.Errorf("the next try: %v", err)
	}
}

// A store that cannot be read is not an empty one: no keys are made, and those in use go
// on signing.
func TestAStoreThatCannotBeReadIsNotEmpty(t *testing.T) {
	disk := errors.New("the disk is gone")
	store := &memory{unreadable: disk}
	_, err := keys.OpenRing(t.Context(), keys.Config{Store: store, Master: master(t, 1), Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, keys.ErrUnreadable) || !errors.Is(err, disk) || store.writes != 0 {
		t.Errorf("opening: got %v and %d writes, want %v, %v and none", err, store.writes, keys.ErrUnreadable, disk)
	}
	store.unreadable = nil
	r := open(t, store)
	before := r.JWKS()
	store.unreadable = disk
	for what, err := range map[string]error{
		"rotating": r.Rotate(t.Context(), "", true),
		"removing": r.Remove(t.Context(), kid(t, r, "RS256", keys.Active)),
	} {
		if !errors.Is(err, keys.ErrUnreadable) || !errors.Is(err, disk) {
			t.Errorf("%s: got %v, want %v and %v", what, err, keys.ErrUnreadable, disk)
		}
	}
	if _, err := r.Verify(signed(t, r, "RS256")); err != nil || !bytes.Equal(before, r.JWKS()) || store.writes != 1 {
		t.Errorf("afterwards: got %v and %d writes, want the same keys in use", err, store.writes)
	}
}

// The first keys that could not be stored sign nothing.
func TestFirstKeysThatAreNotStored(t *testing.T) {
	store := &memory{fails: errors.New("disk full")}
	r, err := keys.OpenRing(t.Context(), keys.Config{Store: store, Master: master(t, 1), Log: slog.New(slog.DiscardHandler)})
	if r != nil || err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v, %v, want no ring and why", r, err)
	}
}

func TestRingNeedsItsParts(t *testing.T) {
	if _, err := keys.OpenRing(t.Context(), keys.Config{}); err == nil {
		t.Error("no error")
	}
}

// An active key was in an earlier JWKS, so a client that cached it can verify.
func TestNextKeyIsPublishedBeforeItSigns(t *testing.T) {
	r := open(t, &memory{})
	cached := published(t, r)
	if err := r.Rotate(t.Context(), "", true); err != nil {
		t.Fatal(err)
	}
	for _, alg := range r.Algorithms() {
		if !slices.Contains(cached, kid(t, r, alg, keys.Active)) {
			t.Errorf("%s: the key that signs now was not published before", alg)
		}
	}
}

// Concurrent forced rotations all happen, one after the other. They leave a
// complete set, which every ring uses.
func TestForcedRotationsAtOnce(t *testing.T) {
	store := &memory{}
	rings := []*keys.Ring{open(t, store), open(t, store)}
	var done sync.WaitGroup
	for _, r := range rings {
		done.Go(func() {
			if err := r.Rotate(t.Context(), "", true); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if store.writes != 3 {
		t.Errorf("%d writes, want the first keys and two rotations", store.writes)
	}
	r := open(t, store)
	for _, alg := range r.Algorithms() {
		kid(t, r, alg, keys.Active)
		kid(t, r, alg, keys.Next)
		if n := len(kids(r, alg, keys.Retired)); n != 2 {
			t.Errorf("%s: %d retired keys, want 2", alg, n)
		}
	}
}
