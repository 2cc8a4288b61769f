// SPDX-License-Identifier: Apache-2.0

package grant

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"calleridp/provider/redact"
)

// IsChallenge reports whether s has the form of an S256 code_challenge: a SHA-256
// in base64url (RFC 7636 §4.2).
func IsChallenge(s string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(sum) == sha256.Size
}

// proves checks a PKCE verifier against an S256 challenge (RFC 7636 §4.6). A
// code without a challenge takes no verifier: one that comes anyway belongs to
// another request.
func proves(challenge string, verifier redact.Text) bool {
	if challenge == "" {
		return verifier == ""
	}
	if !validVerifier(string(verifier)) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

const verifierAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// validVerifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
func validVerifier(v string) bool {
	return len(v) >= 43 && len(v) <= 128 && strings.Trim(v, verifierAlphabet) == ""
}
