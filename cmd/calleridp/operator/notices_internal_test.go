// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"strings"
	"testing"
	"time"

	"calleridp/provider/admin"
)

// Nothing is tried next where nothing waits, as after a drop.
func TestNoticeListNamesNoTryOfNothing(t *testing.T) {
	next := time.Date(2026, 11, 29, 23, 1, 0, 0, time.UTC)
	for _, row := range []struct {
		waiting int
		shows   bool
	}{{1, true}, {0, false}} {
		var out strings.Builder
		if err := writeNotices(&out, []admin.Receiver{{Client: "shop", Waiting: row.waiting, Failures: 2, Next: next}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), minute(next)); got != row.shows {
			t.Errorf("%d waiting: shows the next try: %t\n%s", row.waiting, got, out.String())
		}
	}
}
