// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/rand"
	"encoding/base64"
)

// RandomText returns n random bytes as base64url without padding (RFC 4648 §5):
// 16 for an id, 32 for a secret. It never begins with a hyphen, because ids are
// arguments of commands, where a hyphen begins a flag.
func RandomText(n int) string {
	b := make([]byte, n)
	for {
		rand.Read(b)
		if text := base64.RawURLEncoding.EncodeToString(b); text[0] != '-' {
			return text
		}
	}
}
