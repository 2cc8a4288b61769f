// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/url"
	"slices"
	"strings"

	"calleridp/truecaller"
)

// OriginAllowed reports whether pages of the origin may call the token endpoint and
// userinfo for the client (CORS).
func (c Client) OriginAllowed(origin string) bool { return slices.Contains(c.Origins(), origin) }

// Origins returns those origins: the registered ones or, for a public client without
// any, those of its redirect URIs, where its pages are. A confidential client calls
// from its server.
func (c Client) Origins() []string {
	if len(c.AllowedOrigins) > 0 || !c.Public {
		return c.AllowedOrigins
	}
	return c.Pages()
}

// Pages returns the origins of the client's redirect URIs, where its pages are.
func (c Client) Pages() []string {
	var origins []string
	for _, uri := range c.RedirectURIs {
		if origin := OriginOf(uri); origin != "" && !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}

// OriginOf returns the origin of a web address as browsers write it (RFC 6454 §6.2),
// "" for another URI.
func OriginOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "" || port == defaultPort[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

var defaultPort = map[string]string{"https": "443", "http": "80"}

// appSchemes are the schemes of pages that no web server serves: those of hybrid
// applications (Capacitor, Ionic, Tauri) and of browser extensions.
var appSchemes = []string{"capacitor", "ionic", "tauri", "chrome-extension", "moz-extension", "safari-web-extension"}

// CheckOrigin returns why a CORS origin is refused, "" if it is not.
func CheckOrigin(origin string) (reason string) {
	u, err := url.Parse(origin)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(origin, "*% "):
		return "is not an origin such as https://app.example.com"
	case u.Scheme != "https" && u.Scheme != "http" && !slices.Contains(appSchemes, u.Scheme) && !strings.Contains(u.Scheme, "."):
		return "uses an unknown scheme; use https, that of a hybrid application or browser extension, or a reversed domain name such as com.example.app"
	case u.Scheme == "http" && !truecaller.IsLoopback(u.Hostname()) && !strings.HasSuffix(u.Hostname(), ".localhost"):
		return "uses http, which is accepted for loopback addresses and names under localhost only"
	case origin != u.Scheme+"://"+u.Host || origin != strings.ToLower(origin):
		return "is not an origin: write it in lower case, without a path or a trailing slash"
	case u.Port() != "" && u.Port() == defaultPort[u.Scheme]:
		return "names the default port, which browsers leave out"
	}
	return ""
}
