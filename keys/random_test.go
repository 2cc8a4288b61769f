// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"testing"

	"calleridp/keys"
)

// An id can be an argument of a command.
func TestRandomTextIsNoFlag(t *testing.T) {
	seen := map[string]bool{}
	for range 2000 { // one in 64 would begin with a hyphen
		text := keys.RandomText(16)
		if text[0] == '-' || len(text) != 22 || seen[text] {
			t.Fatalf("RandomText(16) = %q", text)
		}
		seen[text] = true
	}
}
