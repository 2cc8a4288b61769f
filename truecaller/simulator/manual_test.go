// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// docs/simulator.md lists every number that does something by itself, and no other.
func TestManualListsEveryNumber(t *testing.T) {
	raw, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d\d)(?:, (\d\d))? \|`).FindAllStringSubmatch(string(raw), -1) {
		listed[row[1]] = true
		if row[2] != "" {
			listed[row[2]] = true
		}
	}
	known := map[string]bool{}
	for xx := range behaviours {
		known[xx] = true
	}
	for xx := range natives {
		known[xx] = true
	}
	if !maps.Equal(listed, known) {
		t.Errorf("listed %v\nknown  %v", slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(known)))
	}
}
