// SPDX-License-Identifier: Apache-2.0

package truecaller

import "testing"

func TestAnyNative(t *testing.T) {
	web, native := App{ID: "web"}, App{ID: "native", NativeClientID: "x"}
	for want, apps := range map[bool]map[string]App{true: {"web": web, "native": native}, false: {"web": web}} {
		if got := (Apps{ByID: apps}).AnyNative(); got != want {
			t.Errorf("%d apps: got %v, want %v", len(apps), got, want)
		}
	}
}
