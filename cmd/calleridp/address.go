package main

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddresses tells a browser's address. X-Forwarded-For is believed only as
// far as trusted proxies wrote it: from its right end to the first address that
// is none of theirs.
type clientAddresses struct{ trusted []netip.Prefix }

func (a clientAddresses) of(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if !a.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return addr
		}
		if addr = hop.Unmap(); !a.trusts(addr) {
			return addr
		}
	}
	return addr
}

// fromProxy says whether a trusted proxy sent the request.
func (a clientAddresses) fromProxy(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.trusts(at.Addr().Unmap())
}

func (a clientAddresses) trusts(addr netip.Addr) bool {
	for _, p := range a.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
