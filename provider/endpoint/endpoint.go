// SPDX-License-Identifier: Apache-2.0

// Package endpoint holds what all protocol endpoints have in common. The rooms
// of the protocol (authorize, token, logout, account, discovery) import it and
// the domain packages; it imports none of them.
//
//	paths.go       every path under the issuer
//	parameters.go  strict request parameters (RFC 6749 §3.1, §3.2)
//	browser.go     pages: methods, same-origin forms, error pages
//	direct.go      endpoints that clients call: error responses, CORS
//	metadata.go    how a room describes itself to the discovery document
//	sealed.go      requests that travel sealed in a form
//	cookies.go     the cookies
//	views.go       views that the pages of several rooms share
package endpoint

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"calleridp/keys"
	"calleridp/provider/limit"
)

// AccountClientID stands for the account page where an attempt names its client.
// No application can have it, because a client_id has no colon.
const AccountClientID = "urn:calleridp:account"

// Failures logs the causes of failures that must not reach a browser or a
// client (invariant 10).
type Failures struct {
	Log *slog.Logger
}

// Correlate logs the cause of a failure and returns the correlation id that
// connects the response with the log entry.
func (f Failures) Correlate(ctx context.Context, what string, cause error) string {
	id := NewCorrelation()
	level := slog.LevelError
	if ctx.Err() != nil { // the browser or client disconnected
		level = slog.LevelInfo
	}
	f.Log.LogAttrs(ctx, level, what, slog.String("correlation", id), slog.Any("error", cause))
	return id
}

// NewCorrelation returns a random correlation id: 12 characters of base64url.
func NewCorrelation() string { return keys.RandomText(9) }

// NoStore keeps a response out of every cache (RFC 6749 §5.1, OpenID Connect
// Core §3.1.3.3).
func NoStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// ClientAddr returns the address of the user's browser, behind whatever proxies
// are trusted.
type ClientAddr func(*http.Request) netip.Addr

// Network returns the network whose rate limits a request spends.
func (addr ClientAddr) Network(r *http.Request) string { return limit.NetworkOf(addr(r)) }

// ConnectionAddr is a ClientAddr for a server without a proxy: the address of
// the connection.
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

// Clip shortens untrusted text to a length that fits a page and a log entry.
func Clip(s string) string {
	const most = 300 // bytes
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
