// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"sync"
	"time"
)

// SecretGrace is how long a callback secret stays valid after its replacement: the time
// to change the address in Truecaller's portal, and for callbacks in transit.
const SecretGrace = time.Hour

// OldSecret is a replaced callback secret, by its SHA-256.
type OldSecret struct {
	Hash  [32]byte
	Until time.Time // the secret is valid before this time
}

// Secrets stores which callback secrets were in use, so that a replaced one stays valid
// for a while, even after a restart.
type Secrets interface {
	// UseCallbackSecret makes the secret with this SHA-256 the current one of an app,
	// and returns the others that are still valid at now. The secret that it replaces
	// is valid until now plus grace. It is durable when it returns, and may be repeated.
	UseCallbackSecret(ctx context.Context, app string, hash [32]byte, now time.Time, grace time.Duration) ([]OldSecret, error)

	// CallbackSecrets returns the secrets of an app that are valid at now: the current
	// one, which another server may have made so, until now plus grace.
	CallbackSecrets(ctx context.Context, app string, now time.Time, grace time.Duration) ([]OldSecret, error)
}

// askSecrets is how long a server does not ask the store about secrets again after it
// has: an attacker who guesses paths must not make it read more often.
const askSecrets = time.Second

// secretBook holds the valid secrets of each app's callback path.
type secretBook struct {
	mu     sync.RWMutex
	good   map[string][]OldSecret // by App.ID; the zero Until never expires
	shared map[string][]OldSecret // by App.ID, that the store has besides, see ask
	kept   Secrets                // nil until UseSecret
	asked  map[string]time.Time   // by App.ID
}

func newSecretBook(apps map[string]App) *secretBook {
	b := &secretBook{good: map[string][]OldSecret{}, shared: map[string][]OldSecret{}, asked: map[string]time.Time{}}
	for id, app := range apps {
		for _, secret := range app.CallbackSecrets {
			b.good[id] = append(b.good[id], OldSecret{Hash: sha256.Sum256([]byte(secret))})
		}
	}
	return b
}

// opens reports whether secret is valid for the app at now. It compares all secrets in
// constant time; an unknown app takes as long as a known one.
func (b *secretBook) opens(app, secret string, now time.Time) bool {
	b.mu.RLock()
	known := slices.Concat(b.good[app], b.shared[app])
	b.mu.RUnlock()
	given := sha256.Sum256([]byte(secret))
	match := 0
	if len(known) == 0 {
		known = []OldSecret{{}} // no secret has this hash
	}
	for _, want := range known {
		if want.Until.IsZero() || now.Before(want.Until) {
			match |= subtle.ConstantTimeCompare(given[:], want.Hash[:])
		}
	}
	return match == 1 && secret != ""
}

// ask reads the secrets of an app from the store, where another server may have changed
// them: its file is read seconds or minutes before that of this one. It reports whether
// it has asked.
func (b *secretBook) ask(ctx context.Context, app string, now time.Time) bool {
	b.mu.Lock()
	_, ours := b.good[app]
	if b.kept == nil || !ours || now.Sub(b.asked[app]) < askSecrets {
		b.mu.Unlock()
		return false
	}
	b.asked[app] = now
	b.mu.Unlock()
	shared, err := b.kept.CallbackSecrets(ctx, app, now, SecretGrace)
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared[app] = slices.DeleteFunc(shared, func(s OldSecret) bool { return s.Until.IsZero() })
	return true
}

// UseSecret makes secret the current one of an app's callback path. The secret that it
// replaces stays valid for SecretGrace, and earlier ones until the end of theirs.
func (rc *Receiver) UseSecret(ctx context.Context, kept Secrets, app, secret string) error {
	if _, ok := rc.cfg.Apps[app]; !ok || !consistsOf(secret, pathSafe) {
		return fmt.Errorf("truecaller: app %q: a callback secret is empty, or has characters other than letters, digits, '-', '_' and '.'", app)
	}
	hash := sha256.Sum256([]byte(secret))
	old, err := kept.UseCallbackSecret(ctx, app, hash, time.Now(), SecretGrace)
	if err != nil {
		return err
	}
	good := []OldSecret{{Hash: hash}}
	for _, o := range old {
		if o.Hash != hash && !o.Until.IsZero() {
			good = append(good, o)
		}
	}
	rc.secrets.mu.Lock()
	defer rc.secrets.mu.Unlock()
	rc.secrets.good[app], rc.secrets.kept = good, kept
	return nil
}
