// SPDX-License-Identifier: Apache-2.0

package storagetest

import (
	"slices"
	"testing"
	"time"

	"calleridp/truecaller"
)

// A replaced callback secret stays valid for the grace period and no longer, also
// after a restart and after further replacements.
func testCallbackSecrets(t *testing.T, w *world) {
	same := func(a, b truecaller.OldSecret) bool { return a.Hash == b.Hash && a.Until.Equal(b.Until) }
	use := func(app string, secret byte, at time.Time, want ...truecaller.OldSecret) {
		t.Helper()
		got, err := w.UseCallbackSecret(w.ctx, app, [32]byte{secret}, at, time.Hour)
		w.must(err)
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("%s with secret %d at %s: %v, want %v", app, secret, at.Sub(w.now), got, want)
		}
	}
	old := func(secret byte, until time.Duration) truecaller.OldSecret {
		return truecaller.OldSecret{Hash: [32]byte{secret}, Until: w.now.Add(until)}
	}
	minute := func(n int) time.Time { return w.now.Add(time.Duration(n) * time.Minute) }
	use("one", 1, minute(0))
	use("one", 1, minute(1))
	use("two", 9, minute(1)) // another app has its own secrets
	use("one", 2, minute(10), old(1, 70*time.Minute))
	w.reopen()
	use("one", 2, minute(69), old(1, 70*time.Minute))
	use("one", 3, minute(69), old(1, 70*time.Minute), old(2, 129*time.Minute))
	use("one", 3, minute(70), old(2, 129*time.Minute))
	use("one", 2, minute(80), old(3, 140*time.Minute)) // back again
	use("one", 2, minute(140))
	// Another server asks, and changes nothing.
	use("one", 3, minute(150), old(2, 210*time.Minute))
	for at, want := range map[int][]truecaller.OldSecret{
		209: {old(2, 210*time.Minute), old(3, 269*time.Minute)},
		210: {old(3, 270*time.Minute)},
	} {
		got, err := w.CallbackSecrets(w.ctx, "one", minute(at), time.Hour)
		w.must(err)
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("after %d minutes: %v, want %v", at, got, want)
		}
	}
	if got, err := w.CallbackSecrets(w.ctx, "none", minute(0), time.Hour); err != nil || len(got) > 0 {
		t.Errorf("an unknown app has secrets: %v, %v", got, err)
	}
	use("two", 9, minute(140))
}
