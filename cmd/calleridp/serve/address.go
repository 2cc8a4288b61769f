// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// ClientAddresses finds the address that a request came from. It trusts
// X-Forwarded-For only as far as trusted proxies wrote it: from the right end to
// the first address that is not a proxy's.
//
// The Forwarded header (RFC 7239) is not read. A proxy that writes X-Forwarded-For
// passes on the Forwarded header of any sender, who could name any address in it.
type ClientAddresses struct {
	Trusted []netip.Prefix

	// Unreadable is called with an element of X-Forwarded-For that a trusted proxy
	// sent and that is no address. If nil, it is not reported.
	Unreadable func(element string)
}

// NewClientAddresses returns a ClientAddresses that logs the first element that it
// cannot read, and no other.
func NewClientAddresses(trusted []netip.Prefix, log *slog.Logger) ClientAddresses {
	var once sync.Once
	return ClientAddresses{
		Trusted: trusted,
		Unreadable: func(element string) {
			once.Do(func() {
				log.Warn("a trusted proxy's X-Forwarded-For has an element that is no address; its users share the proxy's own limits.network budget",
					"element", loggedText(element, 64))
			})
		},
	}
}

// Of returns the address of the client, the zero Addr if the connection has none.
//
// An element that is no address ends the chain: its proxy does not say who sent the
// request, so that whatever stands left of it may be forged. Only empty elements are
// skipped (RFC 9110 §5.6.1.2).
func (a ClientAddresses) Of(r *http.Request) netip.Addr {
	addr := peer(r)
	if !a.trusts(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		hop, ok := parseHop(text)
		if !ok {
			if a.Unreadable != nil {
				a.Unreadable(text)
			}
			return addr
		}
		if addr = hop; !a.trusts(addr) {
			return addr
		}
	}
	return addr
}

// parseHop reads one element as RFC 7239 §6 and proxies write it: an address, with
// or without a port, an IPv6 address with or without brackets, quoted or not.
// "unknown" and obfuscated identifiers (§6.2, §6.3) are no addresses.
func parseHop(text string) (addr netip.Addr, ok bool) {
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	host, port := text, ""
	bracketed := strings.HasPrefix(text, "[")
	if bracketed {
		if host, port, ok = strings.Cut(text[1:], "]"); !ok {
			return netip.Addr{}, false
		}
	} else if colon := strings.IndexByte(text, ':'); strings.Count(text, ":") == 1 {
		host, port = text[:colon], text[colon:]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || port != "" && !isNodePort(port) || bracketed && !addr.Is6() {
		return netip.Addr{}, false
	}
	return addr.WithZone("").Unmap(), true
}

// isNodePort reports whether text is a colon and a port, which may be obfuscated
// (RFC 7239 §6).
func isNodePort(text string) bool {
	port, ok := strings.CutPrefix(text, ":")
	if hidden, obfuscated := strings.CutPrefix(port, "_"); obfuscated {
		return ok && hidden != "" && strings.Trim(hidden, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
	}
	return ok && len(port) > 0 && len(port) <= 5 && strings.Trim(port, "0123456789") == ""
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
