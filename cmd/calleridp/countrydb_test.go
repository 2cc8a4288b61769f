package main

import (
	"net/netip"
	"testing"

	"calleridp/provider/limit"
)

// testdata/config/files/country.mmdb was written with
// github.com/maxmind/mmdbwriter: a country for the networks that documents use,
// one that is only registered, one that is no code.
func TestCountryDatabase(t *testing.T) {
	c, err := openCountryDatabase("testdata/config/files/country.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"127.0.0.1": "SE", "192.0.2.7": "IN", "198.51.100.9": "NO", "2001:db8:1:2::3": "KE",
		"::ffff:192.0.2.7": "IN", // as limit.NetworkOf writes it
		"203.0.113.1":      "",   // not a code
		"10.0.0.1":         "",   // not known
		"2a00::1":          "",
	} {
		if got := c.of(limit.NetworkOf(netip.MustParseAddr(address))); got != want {
			t.Errorf("%s is in %q, want %q", address, got, want)
		}
	}
	for _, nothing := range []string{"", "invalid IP", "192.0.2.7"} {
		if got := c.of(nothing); got != "" {
			t.Errorf("%q is in %q", nothing, got)
		}
	}
}
