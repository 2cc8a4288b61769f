// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"calleridp/provider/client"
)

func TestLeadsTo(t *testing.T) {
	c := client.Client{RedirectURIs: []string{"https://App.example:8443/cb", "com.example.app:/cb"}}
	for address, want := range map[string]bool{
		"https://app.example/about": true, "https://bank.example": false, "https://app.example.evil": false, "": false, "%": false,
	} {
		if got := c.LeadsTo(address); got != want {
			t.Errorf("%q: got %v, want %v", address, got, want)
		}
	}
}

// Nothing is sent to a redirect URI when a device signs a user in: a stranger may register
// anybody's, and be given the tokens all the same.
func TestThreat_NoHostVouchesForADevice(t *testing.T) {
	stranger := client.Client{ID: "yR3k_0", Name: "Your Bank", Registration: &client.Registration{}, DeviceFlow: true}
	both := stranger
	both.RedirectURIs = []string{"https://bank.example/cb"}
	own := both
	own.Registration = nil
	for _, row := range []struct {
		c                 client.Client
		redirectURI, want string
	}{
		{stranger, "", "Your Bank (yR3k_0)"},
		{both, "", "Your Bank (yR3k_0)"},
		{both, "https://bank.example/cb", "Your Bank (bank.example)"}, // the response goes there
		{own, "", "Your Bank"},
	} {
		if got := row.c.Shown(row.redirectURI); got != row.want {
			t.Errorf("%v in a response to %q: got %q, want %q", row.c.RedirectURIs, row.redirectURI, got, row.want)
		}
	}
}

// A scheme may look like the host of a web address, and proves nothing of it: whoever
// installs an application chooses its schemes.
func TestThreat_ASchemeLooksLikeNoHost(t *testing.T) {
	c := client.Client{Name: "Bank", RedirectURIs: []string{"bank.example:/cb"}, Registration: &client.Registration{}}
	for _, uri := range []string{"bank.example:/cb", ""} {
		if got := c.Shown(uri); got != "Bank (bank.example:)" {
			t.Errorf("%q: got %q, want the scheme with its colon", uri, got)
		}
	}
	if c.LeadsTo("https://bank.example/") {
		t.Error("a home page on the host that the scheme looks like: it would be shown")
	}
}

// Whatever a stranger calls their client: the host is there, whole, last, and in the only
// brackets.
func FuzzShown(f *testing.F) {
	for _, name := range []string{"Bank (bank.example)", "（bank.example）", "متجر", "a\u0301\u0301\u0301\u0301\u0301", "", "(", "app.example", "\u2066x", "\xff", strings.Repeat("x", 300)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c := client.Client{Name: name, RedirectURIs: []string{"https://app.example/cb"}, Registration: &client.Registration{}}
		got := c.Shown("https://app.example/cb")
		plain := strings.Map(func(r rune) rune {
			if r >= '\u2066' && r <= '\u2069' {
				return -1
			}
			return r
		}, got)
		brackets := 0
		for _, r := range got {
			if unicode.In(r, unicode.Ps, unicode.Pe) {
				brackets++
			}
		}
		whole := plain == "app.example" && brackets == 0 || strings.HasSuffix(plain, " (app.example)") && brackets == 2
		if !whole || utf8.RuneCountInString(plain) > 60+len("… (app.example)") || strings.ContainsAny(got, "\u202a\u202b\u202d\u202e\n") {
			t.Errorf("%q: got %q", name, got)
		}
	})
}
