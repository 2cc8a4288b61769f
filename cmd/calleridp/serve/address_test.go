// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func proxies(t *testing.T, networks ...string) ClientAddresses {
	t.Helper()
	var a ClientAddresses
	for _, n := range networks {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			t.Fatal(err)
		}
		a.Trusted = append(a.Trusted, p)
	}
	return a
}

// X-Forwarded-For is trusted as far as trusted proxies wrote it, and no hop
// further: the budget per network depends on it (invariant 7).
func TestInvariant7_AddressBehindProxies(t *testing.T) {
	for _, row := range []struct {
		name      string
		trusted   []string
		from      string
		forwarded []string
		want      string
	}{
		{"no proxy", nil, "203.0.113.9:1", nil, "203.0.113.9"},
		{"none is trusted", nil, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"an untrusted sender forwards", []string{"10.0.0.0/8"}, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"one proxy", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"what the browser wrote is not trusted", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"several headers", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66", "198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"all are proxies", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"an invalid hop ends the chain", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"none", []string{"10.0.0.0/8"}, "10.0.0.1:1", nil, "10.0.0.1"},
		{"IPv6", []string{"::1/128"}, "[::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv4 in IPv6", []string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"a Unix socket", nil, "@", nil, "invalid IP"},
		{"a port", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.101:50001"}, "203.0.113.101"},
		{"IPv6 in brackets", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"[2001:db8::9]"}, "2001:db8::9"},
		{"IPv6 and a port", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"[2001:db8::9]:51008"}, "2001:db8::9"},
		{"quoted", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{`"[2001:db8::9]:51008"`}, "2001:db8::9"},
		{"an obfuscated port", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"203.0.113.101:_http"}, "203.0.113.101"},
		{"a zone", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"fe80::9%anything"}, "fe80::9"},
		{"a proxy's port", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"198.51.100.1:4000, 10.0.0.2:443"}, "198.51.100.1"},
		{"a trailing comma", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"198.51.100.1,"}, "198.51.100.1"},
		{"empty elements", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, ,198.51.100.1, ,", ""}, "198.51.100.1"},
		{"a proxy that does not know", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, unknown"}, "10.0.0.1"},
		{"a proxy that does not say", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, _hidden"}, "10.0.0.1"},
		{"unknown left of the client", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"unknown, 198.51.100.1"}, "198.51.100.1"},
		{"a bad port", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, 198.51.100.1:x"}, "10.0.0.1"},
		{"an open bracket", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, [2001:db8::9"}, "10.0.0.1"},
		{"IPv4 in brackets", []string{"10.0.0.0/8"}, "10.0.0.1:1", []string{"192.0.2.66, [198.51.100.1]"}, "10.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = row.from
			for _, f := range row.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := proxies(t, row.trusted...).Of(r).String(); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

// An operator hears once of what cannot be read, and sees that element alone: the
// others are addresses of users (invariant 10).
func TestUnreadableHopIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	a := NewClientAddresses(proxies(t, "10.0.0.0/8").Trusted, slog.New(slog.NewJSONHandler(&log, nil)))
	for _, forwarded := range []string{"198.51.100.1", "198.51.100.1, unix:" + strings.Repeat("x", 100), "198.51.100.1, unknown"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", forwarded)
		a.Of(r)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "203.0.113.9:1"
	r.Header.Set("X-Forwarded-For", "of a stranger")
	a.Of(r)
	got := log.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "unix:xxx") || strings.Contains(got, "198.51.100.1") ||
		strings.Contains(got, strings.Repeat("x", 65)) {
		t.Errorf("log: got %s, want one line with the start of the first unreadable element alone", got)
	}
}

// Forwarded is another sender's to write where a proxy writes X-Forwarded-For.
func TestThreat_ForwardedNamesNoAddress(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set("Forwarded", "for=192.0.2.66")
	if got := proxies(t, "10.0.0.0/8").Of(r).String(); got != "10.0.0.1" {
		t.Errorf("got %s, want the proxy's address", got)
	}
}
