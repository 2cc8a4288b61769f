// SPDX-License-Identifier: Apache-2.0

package client

import (
	"strings"
	"testing"
)

func TestFrontChannel(t *testing.T) {
	for uri, want := range map[string]string{
		"":                                     "",
		"https://app.example/out":              "",
		"https://app.example/out?a=b":          "",
		"https://app.example:443/out":          "", // the default port
		"https://APP.example/out":              "",
		"https://app.example":                  "",
		"http://127.0.0.1:8080/out":            "",
		"https://app.example:8443/out":         "has not the scheme, host and port",
		"http://app.example/out":               "uses http",
		"http://127.0.0.1:8081/out":            "has not the scheme, host and port",
		"https://evil.example/out":             "has not the scheme, host and port",
		"https://app.example.evil.example/out": "has not the scheme, host and port",
		"https://app.example@evil.example/out": "has a user name",
		"https://app.example/out#x":            "has a fragment",
		"https://*.example/out":                "has a wildcard",
		"com.example.app:/out":                 "is not an https address",
		"javascript:alert(1)":                  "uses a scheme",
		"//app.example/out":                    "is not absolute",
		"/out":                                 "is not absolute",
		"https://app.example/ out":             "has a character",
	} {
		c := Client{
			ID:           "app",
			Public:       true,
			RedirectURIs: []string{"https://app.example/cb", "http://127.0.0.1:8080/cb", "com.example.app:/cb"},
			FrontChannel: FrontChannel{LogoutURI: uri},
		}
		invalid := Validate(c)
		if (invalid == nil) != (want == "") || invalid != nil && (invalid[0].Field != "frontchannel_logout_uri" || !strings.Contains(invalid[0].Reason, want)) {
			t.Errorf("%q: got %v, want %q", uri, invalid, want)
		}
	}
	c := Client{ID: "app", Public: true, RedirectURIs: []string{"https://app.example/cb"}, FrontChannel: FrontChannel{SessionRequired: true}}
	if invalid := Validate(c); len(invalid) != 1 || invalid[0].Field != "frontchannel_logout_uri" {
		t.Errorf("without an address: got %v, want it refused", invalid)
	}
}
