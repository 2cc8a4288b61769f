// SPDX-License-Identifier: Apache-2.0

// Package envtest keeps the environment of a developer's shell out of tests.
package envtest

import (
	"os"
	"strings"
	"testing"
)

// Clear empties every variable of calleridp for the duration of a test.
func Clear(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "CALLERIDP_") {
			t.Setenv(name, "")
		}
	}
}
