package provider

import (
	"net"
	"net/http"
	"net/netip"

	"calleridp/provider/limit"
	"calleridp/provider/login"
)

// few is from how many tries on a page says what is left.
const few = 3

// fewLeft is what a page says of the tries that are left: nil while there are
// plenty.
func fewLeft(t login.Tries) *login.Tries {
	if t.Left > few || t.Next.IsZero() {
		return nil
	}
	return &t
}

// network is whose budget a browser's request spends.
func (p *Provider) network(r *http.Request) string { return limit.NetworkOf(p.ClientAddr(r)) }

// ConnectionAddr is the address of the connection, for a server without a proxy
// in front of it.
func ConnectionAddr(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}
