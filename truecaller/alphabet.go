// SPDX-License-Identifier: Apache-2.0

package truecaller

import "strings"

// The alphabets of what Truecaller and this package exchange.
const (
	digits    = "0123456789"
	hexDigits = digits + "abcdefABCDEF"
	letters   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base64URL = letters + digits + "-_"

	// pathSafe are the characters of a path segment that no client escapes: RFC 3986
	// §2.3's unreserved ones except '~'.
	pathSafe   = base64URL + "."
	unreserved = pathSafe + "~"
)

// consistsOf reports whether s is not empty and has no characters outside
// alphabet.
func consistsOf(s, alphabet string) bool { return s != "" && strings.Trim(s, alphabet) == "" }

// isBearer reports whether token can stand in an Authorization header. Truecaller
// does not document its alphabet; RFC 6750 §2.1 and the samples need visible ASCII.
func isBearer(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}
