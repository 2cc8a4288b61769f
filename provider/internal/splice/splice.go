// SPDX-License-Identifier: Apache-2.0

// Package splice changes sealed texts for fuzzing. A sealed text differs in each
// process, so a fuzz target changes one instead of making one up.
package splice

import "testing"

// Seed adds seeds for At.
func Seed(f *testing.F) {
	f.Add("", uint8(0), uint8(0))
	f.Add("", uint8(0), uint8(255))
	f.Add("A", uint8(40), uint8(1))
	f.Add("\r\n", uint8(9), uint8(0))
	f.Add("=", uint8(255), uint8(0))
	f.Add("", uint8(255), uint8(1))
}

// At puts piece in the place of out bytes of text, at that offset, or at the end
// for 255.
func At(text, piece string, offset, out uint8) string {
	from := min(int(offset), len(text))
	if offset == 255 {
		from = max(0, len(text)-int(out))
	}
	return text[:from] + piece + text[min(from+int(out), len(text)):]
}
