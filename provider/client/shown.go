// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/url"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/bidi"
)

// Bounds of the name that a stranger has given their client, as users see it.
const (
	maxShown = 60 // characters
	maxMarks = 3  // combining marks one after the other: more would be drawn over what stands beside
	maxHosts = 3
)

// Shown returns the name under which users see the client in a response to redirectURI, ""
// for no particular response. An operator vouches for the names of their clients. A client
// that registered itself is shown with the host of the response, because nothing proves its
// name: "Your Bank (app.example)". Without a particular response, all of its hosts are named;
// or its ID, if its devices may get tokens (RFC 8628): those go to none of the hosts, which it
// may have registered to borrow their names.
//
// The parentheses are ours alone: the name can neither have any, nor push the host out of
// sight, nor turn the order of the text around (Unicode Standard Annex 9 §2.4). The host is
// in ASCII (checkRedirect), so letters that look like others are seen as xn--.
func (c Client) Shown(redirectURI string) string {
	if c.Registration == nil {
		return c.Name
	}
	name, hosts := tame(c.Name), c.hosts(redirectURI)
	switch {
	case hosts == "" || name == hosts:
		return name
	case name == "":
		return hosts
	case strings.ContainsFunc(name, isRightToLeft):
		return "\u2068" + name + "\u2069 \u2066(" + hosts + ")\u2069"
	}
	return name + " (" + hosts + ")"
}

// hosts returns the host of a redirect URI or, for "", those of all that the client has
// registered, as far as they say where its tokens go.
func (c Client) hosts(redirectURI string) string {
	uris := []string{redirectURI}
	switch {
	case redirectURI != "":
	case c.DeviceFlow:
		return c.ID
	default:
		uris = c.RedirectURIs
	}
	var hosts []string
	for _, uri := range uris {
		if host := hostOf(uri); host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) > maxHosts {
		hosts = append(hosts[:maxHosts], "…")
	}
	return strings.Join(hosts, ", ")
}

// LeadsTo reports whether a redirect URI of the client is on the host of a web address.
func (c Client) LeadsTo(address string) bool {
	host := hostOf(address)
	return host != "" && slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return hostOf(uri) == host })
}

// hostOf returns the host of a web address, the scheme of another URI with its colon: a
// scheme such as bank.example is no host, and must not look like one.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "":
		return ""
	case u.Scheme == "https" || u.Scheme == "http":
		return strings.ToLower(u.Hostname())
	}
	return u.Scheme + ":"
}

// tame returns a stranger's name without what could make it look like more than a name.
func tame(name string) string {
	var b strings.Builder
	marks, n := 0, 0
	for _, r := range strings.Join(strings.Fields(name), " ") {
		switch {
		case unicode.In(r, unicode.Ps, unicode.Pe, unicode.C):
			continue // an opening or a closing bracket; an invisible character
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > maxMarks {
				continue
			}
		default:
			marks = 0
		}
		if n++; n > maxShown {
			return strings.TrimSpace(b.String()) + "…"
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func isRightToLeft(r rune) bool {
	properties, _ := bidi.LookupRune(r)
	return properties.Class() == bidi.R || properties.Class() == bidi.AL || properties.Class() == bidi.AN
}
