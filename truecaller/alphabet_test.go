// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"strings"
	"testing"
)

// Each character of a token and of a path segment, whether it may be there.
func TestAlphabets(t *testing.T) {
	const segment = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	for r := range rune(0x180) {
		text := "x" + string(r) + "x"
		if got, want := isBearer(text), r > ' ' && r < 0x7f; got != want {
			t.Errorf("a token with %q: got %v, want %v", r, got, want)
		}
		if got, want := isPathSegment(text), strings.ContainsRune(segment, r); got != want {
			t.Errorf("a path segment with %q: got %v, want %v", r, got, want)
		}
	}
	if isBearer("") || isPathSegment("") {
		t.Error("nothing: got a token or a segment, want none")
	}
}
