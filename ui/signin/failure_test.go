// SPDX-License-Identifier: Apache-2.0

package signin

import "testing"

// Each error has one kind of page.
func TestKindsAreUnique(t *testing.T) {
	seen := map[error]bool{}
	for _, k := range kinds {
		if seen[k.err] {
			t.Errorf("got %v twice, want each error once", k.err)
		}
		seen[k.err] = true
	}
}
