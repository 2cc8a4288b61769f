// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

// What stands in Truecaller's place is named, whatever it is called.
func TestForeignAddresses(t *testing.T) {
	for _, row := range []struct {
		app       Truecaller
		foreign   string // keys, with spaces between
		simulated bool
	}{
		{app: Truecaller{}},
		{app: Truecaller{APIURL: "https://API5.Truecaller.com", ProfileURLs: []string{"https://truecaller.com"}}},
		{app: Truecaller{APIURL: "https://api4.truecaller.com.evil.example"}, foreign: "api_url"},
		{app: Truecaller{APIURL: "https://nottruecaller.com"}, foreign: "api_url"},
		{app: Truecaller{APIURL: "https://truecaller.com@evil.example"}, foreign: "api_url"},
		{app: Truecaller{ProfileURLs: []string{"https://profile4.truecaller.com", "https://gateway.example"}}, foreign: "profile_urls"},
		{app: Truecaller{OAuthURL: "https://gateway.example"}}, // no native application uses it
		{app: Truecaller{Methods: []string{MethodNative}, OAuthURL: "https://gateway.example"}, foreign: "oauth_url"},
		{app: Truecaller{Methods: []string{MethodNative}, APIURL: "http://127.0.0.1:9441"}},
		{app: Truecaller{APIURL: "http://127.0.0.1:9441", ProfileURLs: []string{"http://[::1]:9441"}}, foreign: "api_url profile_urls", simulated: true},
		{app: Truecaller{Methods: []string{MethodOneTap}, ProfileURLs: []string{"https://localhost"}}, foreign: "profile_urls", simulated: true},
	} {
		row.app.setDefaults()
		var keys []string
		for _, a := range row.app.foreign() {
			keys = append(keys, a.key)
		}
		if got := strings.Join(keys, " "); got != row.foreign {
			t.Errorf("%+v: got %q, want %q", row.app, got, row.foreign)
		}
		s := Settings{Config: Config{Truecaller: row.app}}
		if s.Simulated() != row.simulated {
			t.Errorf("%+v: simulated is %t", row.app, s.Simulated())
		}
		if got := strings.Count(strings.Join(s.Warnings(), "\n"), "IS NOT TRUECALLER"); got != len(keys) {
			t.Errorf("%+v: %d warnings, want %d", row.app, got, len(keys))
		}
	}
}
