// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestNetworkOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"::ffff:192.0.2.7":     "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := NetworkOf(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s -> %s, want %s", in, got, want)
		}
	}
	if got := NetworkOf(netip.Addr{}); got != "unknown" {
		t.Errorf("no address -> %s", got)
	}
}

func TestNetworksOf(t *testing.T) {
	for in, want := range map[string][]string{
		"192.0.2.7":            {"192.0.2.7/32"},
		"2001:db8:1:2345::6":   {"2001:db8:1:2345::/64", "2001:db8:1:2300::/56", "2001:db8:1::/48"},
		"2001:db8:1:2:ffff::1": {"2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48"},
	} {
		if got := NetworksOf(NetworkOf(netip.MustParseAddr(in))); !slices.Equal(got, want) {
			t.Errorf("%s -> %v, want %v", in, got, want)
		}
	}
	if got := NetworksOf("unknown"); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("no address -> %v", got)
	}
}

func TestSharesOf(t *testing.T) {
	for in, want := range map[string][]string{
		"192.0.2.7":          {"192.0.2.7/32", "192.0.2.0/24"},
		"::ffff:192.0.2.7":   {"192.0.2.7/32", "192.0.2.0/24"},
		"2001:db8:1:2345::6": {"2001:db8:1:2345::/64", "2001:db8:1::/48"},
	} {
		if got := SharesOf(NetworkOf(netip.MustParseAddr(in))); !slices.Equal(got, want) {
			t.Errorf("%s -> %v, want %v", in, got, want)
		}
	}
	if got := SharesOf("unknown"); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("no address -> %v", got)
	}
}

func TestOnNetworks(t *testing.T) {
	rate := Rate{Burst: 5, Period: time.Hour}
	for _, row := range []struct {
		network string
		bursts  map[string]int
	}{
		{"192.0.2.1/32", map[string]int{"192.0.2.1/32": 5}},
		{"2001:db8:1:2::/64", map[string]int{"2001:db8:1:2::/64": 5, "2001:db8:1::/56": 20, "2001:db8:1::/48": 80}},
	} {
		got := map[string]int{}
		for _, c := range OnNetworks(RegistrationNetwork, row.network, rate) {
			if c.Key.Kind != RegistrationNetwork || c.Rate.Period != time.Hour || c.Own {
				t.Errorf("%s: got %+v", row.network, c)
			}
			got[c.Key.ID] = c.Rate.Burst
		}
		if !maps.Equal(got, row.bursts) {
			t.Errorf("%s: got %v, want %v", row.network, got, row.bursts)
		}
	}
}
