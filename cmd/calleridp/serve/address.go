package serve

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddresses finds the address that a request came from. It trusts
// X-Forwarded-For only as far as trusted proxies wrote it: from the right end to
// the first address that is not a proxy's.
type ClientAddresses struct{ Trusted []netip.Prefix }

// Of returns the address of the client, the zero Addr if the connection has none.
func (a ClientAddresses) Of(r *http.Request) netip.Addr {
	addr := peer(r)
	if !a.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return addr
		}
		if addr = hop.Unmap(); !a.trusts(addr) {
			return addr
		}
	}
	return addr
}

// FromProxy reports whether a trusted proxy sent the request.
func (a ClientAddresses) FromProxy(r *http.Request) bool { return a.trusts(peer(r)) }

// peer returns the address at the other side of the connection.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

func (a ClientAddresses) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.Trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}
