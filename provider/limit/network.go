// SPDX-License-Identifier: Apache-2.0

package limit

import "net/netip"

// Widths are the prefixes of IPv6 that have budgets of their own, in bits. A
// provider gives one customer a /64, a /56 or a /48, so that who counts by the
// first alone counts one attacker 65,536 times.
var widths = [...]int{64, 56, 48}

// widestIPv4 is the prefix of IPv4 that has a share of a number, in bits: a provider
// gives a server a few neighbouring addresses, and a carrier sends its users out from
// many.
const widestIPv4 = 24

// NetworkOf is the network whose budget an address spends: the whole IPv4
// address, or the first 64 bits of an IPv6 one.
func NetworkOf(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return netip.PrefixFrom(a, 32).String()
	}
	return netip.PrefixFrom(a, widths[0]).Masked().String()
}

// NetworksOf returns the networks whose budgets an attempt from a network spends,
// the narrowest first: an IPv4 address alone; of an IPv6 /64 also its /56 and its
// /48. network is as NetworkOf writes it.
func NetworksOf(network string) []string {
	prefix, err := netip.ParsePrefix(network)
	if err != nil || !prefix.Addr().Is6() || prefix.Bits() != widths[0] {
		return []string{network}
	}
	all := make([]string, len(widths))
	for i, bits := range widths {
		all[i] = netip.PrefixFrom(prefix.Addr(), bits).Masked().String()
	}
	return all
}

// OnNetworks returns a charge for each of the networks whose budgets something from a
// network spends, the narrowest first. The wider ones have as many times the rate: four
// for an IPv6 /56, sixteen for a /48. network is as NetworkOf writes it.
func OnNetworks(kind Kind, network string, rate Rate) []Charge {
	var charges []Charge
	times := 1
	for _, id := range NetworksOf(network) {
		charges = append(charges, Charge{Key: Key{Kind: kind, ID: id}, Rate: rate.Times(times)})
		times *= 4
	}
	return charges
}

// SharesOf returns the networks that have a share of a number each, for an attempt from
// a network: the network itself, and the widest one around it, which is an IPv4 /24 or an
// IPv6 /48. network is as NetworkOf writes it.
func SharesOf(network string) []string {
	prefix, err := netip.ParsePrefix(network)
	switch {
	case err != nil:
		return []string{network}
	case prefix.Addr().Is4():
		return []string{network, netip.PrefixFrom(prefix.Addr(), widestIPv4).Masked().String()}
	}
	all := NetworksOf(network)
	return []string{network, all[len(all)-1]}
}
