// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"testing"
	"time"

	"calleridp/keys"
	"calleridp/truecaller/phone"
)

// What an expired entry of a cookie says does not get into the next one.
func TestDevicesDoNotMix(t *testing.T) {
	master, err := keys.NewMaster(make([]byte, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	n, err := phone.FromDigits("46701740605")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ds := devices{master: master}
	seal := func(d device) string {
		sealed, err := ds.seal(d, n)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	want := device{ID: "good", Sub: "user", Until: now.Add(time.Hour).Unix()}
	cookie := []string{seal(device{ID: "old", Sub: "user", SignOuts: 1, Until: now.Add(-time.Hour).Unix()}), seal(want)}
	if got, at, ok := ds.open(cookie, n, now); got != want || at != 1 || !ok {
		t.Errorf("got %+v at %d, %t; want %+v at 1", got, at, ok, want)
	}
}
