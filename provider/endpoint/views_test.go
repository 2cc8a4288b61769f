// SPDX-License-Identifier: Apache-2.0

package endpoint

import "testing"

func TestFormAction(t *testing.T) {
	for uri, want := range map[string]string{
		"https://app.example:8443/cb?x": "https://app.example:8443",
		"http://127.0.0.1:51004/cb":     "http://127.0.0.1:51004",
		"http://[::1]/cb":               "http://[::1]",
		"com.example.app:/cb":           "com.example.app:",
		"":                              "",
	} {
		if got := FormAction(uri); got != want {
			t.Errorf("%q: got %q, want %q", uri, got, want)
		}
	}
}
