package keys

import (
	"crypto/rand"
	"encoding/base64"
)

// RandomText returns n random bytes as base64url, without padding.
func RandomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
