// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"crypto/sha256"
	"testing"
	"testing/synctest"
	"time"
)

// secretsDouble returns what the test says and stores nothing. storagetest tests the
// engines.
type secretsDouble []OldSecret

func (d secretsDouble) UseCallbackSecret(_ context.Context, _ string, _ [32]byte, now time.Time, grace time.Duration) ([]OldSecret, error) {
	if grace != time.Hour {
		panic("the grace is an hour")
	}
	return d, nil
}

func (d secretsDouble) CallbackSecrets(_ context.Context, _ string, now time.Time, grace time.Duration) ([]OldSecret, error) {
	if grace != time.Hour {
		panic("the grace is an hour")
	}
	return d, nil
}

// A secret that another server has read from its file opens the path here, too, and
// guesses do not make this server read the store more often than once a second.
func TestInvariant4_CallbackSecretOfAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		kept := &countedSecrets{}
		if err := w.rc.UseSecret(t.Context(), kept, "main", "secret-one"); err != nil {
			t.Fatal(err)
		}
		status := func(secret string, want int) {
			t.Helper()
			if got := w.post("/callback/main/"+secret, callbackBody).Code; got != want {
				t.Errorf("%s: %d, want %d", secret, got, want)
			}
		}
		for range 50 {
			status("guessed", 404)
		}
		if kept.asked != 1 {
			t.Errorf("asked %d times within a second, want once", kept.asked)
		}
		time.Sleep(time.Second)
		kept.secretsDouble = secretsDouble{{Hash: sum("next"), Until: time.Now().Add(time.Hour)}, {Hash: sum("endless")}}
		status("next", 200)
		status("secret-one", 200)
		status("endless", 404)
		time.Sleep(time.Hour)
		kept.secretsDouble = nil
		status("next", 404)
		if got := w.post("/callback/nobody/next", callbackBody).Code; got != 404 || kept.asked != 3 {
			t.Errorf("an unknown app: %d; asked %d times, want 3", got, kept.asked)
		}
	})
}

type countedSecrets struct {
	secretsDouble
	asked int
}

func (c *countedSecrets) CallbackSecrets(ctx context.Context, app string, now time.Time, grace time.Duration) ([]OldSecret, error) {
	c.asked++
	return c.secretsDouble.CallbackSecrets(ctx, app, now, grace)
}

// After a rotation the old secret opens the path for its hour, the new one at
// once, and nothing else ever does (invariant 4).
func TestInvariant4_RotatedCallbackSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		opens := func(want int, secrets ...string) {
			t.Helper()
			for _, secret := range secrets {
				if got := w.post("/callback/main/"+secret, callbackBody).Code; got != want {
					t.Errorf("%s: %d, want %d", secret, got, want)
				}
			}
		}
		opens(200, "secret-one", "secret-two")
		old := OldSecret{Hash: sum("secret-one"), Until: time.Now().Add(time.Hour)}
		if err := w.rc.UseSecret(t.Context(), secretsDouble{old, {Hash: sum("endless")}}, "main", "secret-three"); err != nil {
			t.Fatal(err)
		}
		opens(200, "secret-one", "secret-three")
		opens(404, "secret-two", "endless", "")
		time.Sleep(time.Hour - time.Nanosecond)
		opens(200, "secret-one")
		time.Sleep(time.Nanosecond)
		opens(404, "secret-one")
		opens(200, "secret-three")
		for app, secret := range map[string]string{"other": "secret-four", "main": "a/b"} {
			if err := w.rc.UseSecret(t.Context(), secretsDouble{}, app, secret); err == nil {
				t.Errorf("UseSecret(%s, %q) succeeded, want an error", app, secret)
			}
		}
	})
}

func sum(s string) [32]byte { return sha256.Sum256([]byte(s)) }
