// SPDX-License-Identifier: Apache-2.0

package login

import (
	"strconv"
	"testing"
)

// A page that takes nothing costs no more than this, and hears of the first.
func TestWhatAWatcherHasNotTakenIsBounded(t *testing.T) {
	h := newHub(func(ID) {})
	watcher := h.watch(Attempt{ID: "watched"}, browserHash{1})
	defer watcher.End()
	for range 2 {
		for i := range 1000 {
			h.wake(Attempt{ID: ID(strconv.Itoa(i)), Browser: browserHash{1}})
		}
	}
	if ids := watcher.Others(); len(ids) != maxOthers || ids[0] != "0" || ids[maxOthers-1] != ID(strconv.Itoa(maxOthers-1)) {
		t.Errorf("%d others are kept: %v", len(ids), ids)
	}
	watcher.End()
	if len(h.attempts)+len(h.browsers) != 0 {
		t.Errorf("%d attempts and %d browsers are remembered", len(h.attempts), len(h.browsers))
	}
}
