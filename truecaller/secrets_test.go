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
