// SPDX-License-Identifier: Apache-2.0

package language

import (
	"testing"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// renamed holds only what the library does not know yet.
func TestRenamedCountriesAreStillNeeded(t *testing.T) {
	for region, old := range map[string]string{"MK": "Macedonia", "SZ": "Swaziland"} {
		if got := display.English.Regions().Name(language.MustParseRegion(region)); got != old {
			t.Errorf("%s: the library says %s, want %s; remove it from renamed", region, got, old)
		}
		if got := len(renamed[region]); got != 18 {
			t.Errorf("%s: got %d names, want 18", region, got)
		}
	}
	if len(renamed) != 2 {
		t.Errorf("got %d countries, want 2", len(renamed))
	}
}
