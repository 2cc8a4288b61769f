// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/url"
	"strings"
	"testing"
)

// Whatever is registered and requested: a redirect never leaves the registered set. It is the
// registered address, with "/" or nothing as its empty path, or a port of the same loopback
// address where RFC 8252 §7.3 lets a public client choose one; and it is one that could be
// registered itself.
func FuzzRedirectAllowed(f *testing.F) {
	for _, registered := range []string{"https://app.example/cb", "https://app.example", "http://127.0.0.1/cb", "http://[::1]/", "http://127.0.0.1", "http://localhost/cb", "com.example.app:/cb", "http://127.0.0.1:80/"} {
		for _, requested := range []string{
			registered, registered + "/", registered + "?x=1", registered + "#x", registered + "@evil.example/", "https://evil.example/" + registered, strings.ToUpper(registered),
			strings.Replace(registered, "127.0.0.1", "127.0.0.1:8000", 1), strings.Replace(registered, "127.0.0.1", "127.0.0.1:@evil.example", 1),
			strings.Replace(registered, "127.0.0.1", "127.0.0.1:080", 1), strings.Replace(registered, "127.0.0.1", "127.0.0.1:65536", 1),
			strings.Replace(registered, "[::1]", "[::1]:1", 1), strings.Replace(registered, "localhost", "localhost:1", 1), strings.Replace(registered, "/cb", "/%63b", 1), strings.Replace(registered, "/cb", "/x/../cb", 1),
		} {
			f.Add(registered, requested, true)
			f.Add(registered, requested, false)
		}
	}
	f.Fuzz(func(t *testing.T, registered, requested string, public bool) {
		c := Client{Public: public, RedirectURIs: []string{registered}, PostLogoutRedirectURIs: []string{registered}}
		allowed := c.RedirectAllowed(requested)
		if allowed != c.PostLogoutAllowed(requested) {
			t.Errorf("%q: the same after signing out is not", requested)
		}
		if !allowed || checkRedirect(registered) != "" {
			return
		}
		if reason := checkRedirect(requested); reason != "" && len(requested) <= 2048 {
			t.Errorf("%q leads to %q, which %s", registered, requested, reason)
		}
		want, err := url.Parse(registered)
		if err != nil {
			t.Fatal(err)
		}
		got, err := url.Parse(requested)
		if err != nil {
			t.Fatalf("%q leads to %q: %v", registered, requested, err)
		}
		chosen := public && want.Scheme == "http" && (want.Hostname() == "127.0.0.1" || want.Hostname() == "::1") && want.Port() == ""
		path := func(u *url.URL) string {
			if u.EscapedPath() == "" && (u.Scheme == "https" || u.Scheme == "http") {
				return "/"
			}
			return u.EscapedPath()
		}
		if got.Scheme != want.Scheme || got.Hostname() != want.Hostname() || got.User != nil || got.Port() != want.Port() && !chosen ||
			path(got) != path(want) || got.RawQuery != want.RawQuery || got.Fragment != "" || got.Opaque != want.Opaque {
			t.Errorf("%q leads to %q (public: %t)", registered, requested, public)
		}
	})
}
