// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"testing"

	"calleridp/keys"
)

// BenchmarkSeal measures sealing and opening a record of 300 bytes.
func BenchmarkSeal(b *testing.B) {
	m := master(b, 1)
	const purpose = keys.PurposeSessionRecord
	plain, ad := bytes.Repeat([]byte{1}, 300), []byte("sessions\x00key")
	box := m.Seal(purpose, plain, ad)
	b.Run("Seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Seal(purpose, plain, ad)
		}
	})
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Open(purpose, box, ad); err != nil {
				b.Fatal(err)
			}
		}
	})
}
