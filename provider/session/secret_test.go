// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Neither a secret nor its hash is ever printed.
func TestInvariant10_SecretsAreRedacted(t *testing.T) {
	secret := NewSecret()
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	for _, value := range []any{secret, secret.Hash()} {
		logger.Info("x", "value", value)
		got := fmt.Sprintf("%v %+v %#v %s %x %q", value, value, value, value, value, value)
		if want := strings.TrimSpace(strings.Repeat("[redacted] ", 6)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := fmt.Sprintf("%+v", Session{Secret: secret.Hash()}); !strings.Contains(got, "Secret:[redacted]") {
		t.Errorf("a session prints as %s", got)
	}
	if n := strings.Count(log.String(), `"value":"[redacted]"`); n != 2 {
		t.Errorf("got the log %s", log.String())
	}
}

// The stored hash is the SHA-256 of the secret, which no change may lose.
func TestHash(t *testing.T) {
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if hash := Secret("abc").Hash(); hex.EncodeToString(hash[:]) != abc {
		t.Errorf("got %x, want the SHA-256 of abc", hash[:])
	}
}
