// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"calleridp/provider/client"
)

// sameOriginOpener separates a page from the window that opened it. Only pages on
// which a window's visit ends may set it: on any other page it would cut the window
// off from the client that opened it and waits for a response.
const sameOriginOpener = "same-origin"

// policy is what differs between the security headers of pages.
type policy struct {
	script     string   // the name of the page's script; "" for none
	joins      bool     // the script runs before the page is drawn
	solver     string   // the name of the script that solves the page's challenge; "" for none
	connect    bool     // the script sends requests to the server
	formAction string   // beside 'self'; "" for none
	forms      string   // in place of 'self' and formAction
	referrer   string   // "" for same-origin
	frames     []string // addresses that the page has in frames
	framedBy   string   // sameOrigin, or the origin whose pages may have the page in a frame; "" for none
	opener     string   // Cross-Origin-Opener-Policy; "" for none
}

// sameOrigin is the CSP source of the page's own origin.
const sameOrigin = "'self'"

// permissions turns off what a sign-in by phone never uses.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), " +
	"microphone=(), midi=(), payment=(), usb=(), browsing-topics=()"

// writeHeaders sets the headers of a page.
func (p policy) writeHeaders(h http.Header, nonce string) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", p.contentSecurityPolicy(nonce))
	if p.framedBy == "" { // X-Frame-Options cannot name an origin
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with it, browsers send "Origin: null" with our own forms.
	h.Set("Referrer-Policy", cmp.Or(p.referrer, "same-origin"))
	h.Set("Permissions-Policy", permissions)
	if p.opener != "" {
		h.Set("Cross-Origin-Opener-Policy", p.opener)
	}
}

// contentSecurityPolicy returns a policy that allows what the page has and nothing
// else.
func (p policy) contentSecurityPolicy(nonce string) string {
	var b strings.Builder
	b.Grow(320)
	b.WriteString("default-src 'none'; style-src 'nonce-")
	b.WriteString(nonce)
	b.WriteString("'; img-src 'self'")
	if p.script != "" {
		b.WriteString("; script-src 'nonce-")
		b.WriteString(nonce)
		b.WriteByte('\'')
	}
	if p.connect {
		b.WriteString("; connect-src 'self'")
	}
	if len(p.frames) > 0 {
		b.WriteString("; frame-src")
		for _, source := range frameSources(p.frames) {
			b.WriteByte(' ')
			b.WriteString(source)
		}
	}
	b.WriteString("; form-action ")
	if p.forms != "" {
		b.WriteString(p.forms)
	} else {
		b.WriteString("'self'")
		if source := cspSource(p.formAction); source != "" {
			b.WriteByte(' ')
			b.WriteString(source)
		}
	}
	b.WriteString("; frame-ancestors ")
	if p.framedBy == sameOrigin {
		b.WriteString(sameOrigin)
	} else {
		b.WriteString(cmp.Or(cspSource(p.framedBy), "'none'"))
	}
	b.WriteString("; base-uri 'none'")
	return b.String()
}

// frameSources returns the origins of these addresses, each once.
func frameSources(addresses []string) []string {
	var sources []string
	for _, address := range addresses {
		source := cspSource(client.OriginOf(address))
		if source != "" && !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	return sources
}

// cspSource returns an origin or a scheme as a CSP source, "" if it is neither. CSP
// cannot name an IPv6 address, so that such an origin becomes its scheme.
func cspSource(s string) string {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" {
		return ""
	}
	for i := range len(scheme) {
		switch c := scheme[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return ""
		}
	}
	switch host, isHost := strings.CutPrefix(rest, "//"); {
	case rest == "":
		return s
	case !isHost || host == "":
		return ""
	case strings.HasPrefix(host, "["):
		return scheme + ":"
	default:
		for i := range len(host) {
			switch c := host[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == ':', c == '_':
			default:
				return ""
			}
		}
		return s
	}
}

// anywhere returns the form-action of a page whose form leads to a client at once.
// The client may redirect further, to another of its sites, and browsers apply
// form-action to that redirect as well. Such a page has one form, and everything in
// it is escaped.
func anywhere(uri string) string {
	switch scheme, _, _ := strings.Cut(uri, ":"); scheme {
	case "https":
		return "https:"
	case "http": // on a developer's machine
		return "https: http:"
	default:
		return cspSource(scheme + ":")
	}
}
