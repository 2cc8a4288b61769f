// SPDX-License-Identifier: Apache-2.0

package country

import (
	"net/netip"
	"testing"

	"calleridp/provider/limit"
)

// The test database was written with github.com/maxmind/mmdbwriter. It has a
// country for the networks that documentation uses, one that is only registered,
// and one that is no code.
func TestDatabase(t *testing.T) {
	d, err := Open("../config/testdata/config/files/country.mmdb")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"127.0.0.1":        "SE",
		"192.0.2.7":        "IN",
		"198.51.100.9":     "NO",
		"2001:db8:1:2::3":  "KE",
		"::ffff:192.0.2.7": "IN", // as limit.NetworkOf writes it
		"203.0.113.1":      "",   // not a code
		"10.0.0.1":         "",   // unknown
		"2a00::1":          "",
	} {
		if got := d.Of(limit.NetworkOf(netip.MustParseAddr(address))); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	for _, invalid := range []string{"", "invalid IP", "192.0.2.7"} {
		if got := d.Of(invalid); got != "" {
			t.Errorf("%q: got %q, want none", invalid, got)
		}
	}
}
