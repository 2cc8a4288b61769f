// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/url"
	"slices"
	"strings"

	"calleridp/truecaller"
)

// RedirectAllowed reports whether uri is one of the client's redirect URIs. They are
// compared as strings, unchanged and whole (RFC 9700 §2.1, OpenID Connect Core
// §3.1.2.1): nothing is decoded or normalised. There are two exceptions: WithPath,
// and RFC 8252 §7.3, by which a public client that has registered a loopback address
// without a port may name any port in its request.
func (c Client) RedirectAllowed(uri string) bool { return c.allowed(c.RedirectURIs, uri) }

// PostLogoutAllowed is the same for the addresses after signing out (OpenID
// Connect RP-Initiated Logout §3).
func (c Client) PostLogoutAllowed(uri string) bool { return c.allowed(c.PostLogoutRedirectURIs, uri) }

func (c Client) allowed(registered []string, uri string) bool {
	if uri == "" {
		return false
	}
	uri = WithPath(uri)
	return slices.ContainsFunc(registered, func(r string) bool {
		r = WithPath(r)
		return r == uri || c.Public && loopbackPort(r, uri)
	})
}

// WithPath returns a web address with the path "/" in the place of an empty one,
// which is the same address (RFC 3986 §6.2.3): some clients register one and send the
// other. It changes nothing else, and no other URI.
func WithPath(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme != "https" && scheme != "http" {
		return uri
	}
	end := strings.IndexAny(rest, "/?#")
	switch {
	case end < 0:
		return uri + "/"
	case rest[end] == '/':
		return uri
	}
	return scheme + "://" + rest[:end] + "/" + rest[end:]
}

// loopbackPrefixes are the loopback addresses whose port may vary. localhost is
// not among them (RFC 8252 §8.3).
var loopbackPrefixes = []string{"http://127.0.0.1", "http://[::1]"}

// loopbackPort reports whether uri is the registered loopback address without a port,
// with a port added.
func loopbackPort(registered, uri string) bool {
	for _, prefix := range loopbackPrefixes {
		path, ok := strings.CutPrefix(registered, prefix)
		if !ok || !strings.HasPrefix(path, "/") {
			continue
		}
		rest, ok := strings.CutPrefix(uri, prefix+":")
		if !ok {
			continue
		}
		port, ok := strings.CutSuffix(rest, path)
		if ok && isPort(port) {
			return true
		}
	}
	return false
}

func isPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// NearestRedirect returns the registered redirect URI most like uri, to tell the
// client's developer what is different; "" when none is registered.
func (c Client) NearestRedirect(uri string) string {
	best, bestScore := "", -1
	for _, r := range c.RedirectURIs {
		n := 0
		for n < len(r) && n < len(uri) && r[n] == uri[n] {
			n++
		}
		if score := 2*n - len(r); score > bestScore || best == "" {
			best, bestScore = r, score
		}
	}
	return best
}

// knownSchemes are private-use schemes without a dot that established
// consumers use all the same: Microsoft Authenticator's.
var knownSchemes = []string{"vcclient"}

// checkRedirect returns why a redirect URI is refused, "" if it is not.
func checkRedirect(uri string) (reason string) {
	if uri == "" {
		return "is empty"
	}
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] >= 0x7f || strings.IndexByte(`"<>\^`+"`{|}", uri[i]) >= 0 {
			return "has a character that no URI has (RFC 3986 §2)"
		}
	}
	if len(uri) > 2048 {
		return "is longer than 2048 bytes"
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return "is not a URI"
	case u.Scheme == "" || strings.HasPrefix(uri, "//"):
		return "is not absolute (RFC 6749 §3.1.2)"
	case strings.Contains(uri, "#"):
		return "has a fragment (RFC 6749 §3.1.2)"
	case u.User != nil:
		return "has a user name"
	case strings.Contains(uri, "*"):
		return "has a wildcard; redirect URIs are matched exactly (RFC 9700 §2.1)"
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !truecaller.IsLoopback(u.Hostname()) {
			return "uses http, which is accepted for loopback addresses only (RFC 8252 §7.3)"
		}
	default:
		if !strings.Contains(u.Scheme, ".") && !slices.Contains(knownSchemes, u.Scheme) {
			return "uses a scheme that is neither https nor a reversed domain name such as com.example.app (RFC 8252 §7.1)"
		}
		if u.Opaque != "" || u.Path == "" && u.Host == "" {
			return "has no path; write com.example.app:/callback"
		}
		return ""
	}
	if u.Hostname() == "" {
		return "has no host"
	}
	return ""
}

// adviseRedirect returns why a valid redirect URI is unwise, "" if it is not.
func adviseRedirect(c Client, uri string) (reason string) {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "http" && u.Hostname() == "localhost" && c.Public:
		return "may lead to another machine; register http://127.0.0.1 without a port, with which any port is allowed (RFC 8252 §8.3)"
	case u.Scheme != "https" && u.Scheme != "http" && u.Host != "" && !slices.Contains(knownSchemes, u.Scheme):
		return "names a host, which its scheme does not have: write " + u.Scheme + ":/ and the path (RFC 8252 §7.1)"
	}
	return ""
}

// checkLink returns why a URL that a page shows is refused, "" if it is not.
func checkLink(link string) (reason string) {
	if link == "" {
		return ""
	}
	u, err := url.Parse(link)
	if err != nil || u.Hostname() == "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !truecaller.IsLoopback(u.Hostname())) {
		return "is not an https URL"
	}
	return ""
}

// Sector returns the host to which pairwise subs of the client belong, "" when it is
// not determined, which no valid pairwise client has (OpenID Connect Core §8.1).
func (c Client) Sector() string {
	if c.SectorHost != "" {
		return strings.ToLower(c.SectorHost)
	}
	host := ""
	for i, r := range c.RedirectURIs {
		u, err := url.Parse(r)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			return ""
		}
		if i > 0 && strings.ToLower(u.Hostname()) != host {
			return ""
		}
		host = strings.ToLower(u.Hostname())
	}
	return host
}
