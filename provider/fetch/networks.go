// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"net/netip"
	"slices"
)

// reserved are the networks among the global unicast addresses that are not public
// (IANA's registries of special-purpose addresses, RFC 6890), or that lead to an IPv4
// address of the sender's choice.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
}

// global is what IANA has given out of IPv6. Outside of it lie NAT64 (64:ff9b::/96),
// unique local and link-local addresses.
var global = netip.MustParsePrefix("2000::/3")

// permitted reports whether an address is public, or in one of the networks.
func permitted(address netip.Addr, networks []netip.Prefix) bool {
	address = address.Unmap().WithZone("")
	contains := func(p netip.Prefix) bool { return p.Contains(address) }
	switch {
	case slices.ContainsFunc(networks, contains):
		return true
	case !address.IsGlobalUnicast() || address.IsPrivate() || slices.ContainsFunc(reserved, contains):
		return false
	}
	return address.Is4() || global.Contains(address)
}
