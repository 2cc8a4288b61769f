package truecaller

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
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
}

// secretBook holds the valid secrets of each app's callback path.
type secretBook struct {
	mu   sync.RWMutex
	good map[string][]OldSecret // by App.ID; the zero Until never expires
}

func newSecretBook(apps map[string]App) *secretBook {
	b := &secretBook{good: map[string][]OldSecret{}}
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
	known := b.good[app]
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

// UseSecret makes secret the current one of an app's callback path. The secret that it
// replaces stays valid for SecretGrace, and earlier ones until the end of theirs.
func (rc *Receiver) UseSecret(ctx context.Context, kept Secrets, app, secret string) error {
	if _, ok := rc.cfg.Apps[app]; !ok || !consistsOf(secret, pathSafe) {
		return fmt.Errorf("truecaller: app %q: a callback secret is empty, or has other characters than letters, digits, '-', '_' and '.'", app)
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
	rc.secrets.good[app] = good
	return nil
}
