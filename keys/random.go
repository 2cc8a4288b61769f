package keys

import (
	"crypto/rand"
	"encoding/base64"
)

// RandomText returns n random bytes as base64url without padding (RFC 4648 §5):
// 16 for an id, 32 for a secret.
func RandomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
