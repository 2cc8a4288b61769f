// SPDX-License-Identifier: Apache-2.0

package page

import (
	"strings"
	"testing"
)

func TestCSPSource(t *testing.T) {
	for in, want := range map[string]string{
		"https://app.example":           "https://app.example",
		"http://127.0.0.1:9442":         "http://127.0.0.1:9442",
		"http://[::1]:8080":             "http:",
		"com.example.app:":              "com.example.app:",
		"":                              "",
		"app.example":                   "",
		"https://a b":                   "",
		"https://a;script-src *":        "",
		"https://a/path":                "",
		"https://*":                     "",
		"https://*.example":             "",
		"*:":                            "",
		"'unsafe-inline':":              "",
		"1a:":                           "",
		"https:":                        "https:",
		"https://":                      "",
		"javascript:alert(1)":           "",
		"https://a, default-src *":      "",
		"https://a\r\nSet-Cookie: x=y;": "",
	} {
		if got := cspSource(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzCSPSourceAddsNothing(f *testing.F) {
	for _, s := range []string{"https://app.example", "com.example:", "https://[::1]", "https://a;x", "a:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := cspSource(in)
		if strings.ContainsAny(got, " ;,'*\"\r\n\t") || got != "" && !strings.HasPrefix(in, strings.TrimSuffix(got, ":")) {
			t.Errorf("%q: got %q", in, got)
		}
	})
}
