package ui

import (
	"net/http"
	"net/url"
	"strings"
)

// secure sets the headers of every page. formAction is where the page's form
// may lead in the end, beyond ourselves: browsers apply form-action to the
// redirects after a form too. logo is the address of an image, "" for none.
//
// The referrer policy is same-origin rather than no-referrer, because with the
// latter browsers send "Origin: null" with our own forms.
func secure(h http.Header, formAction, logo string) {
	policy := []string{
		"default-src 'none'",
		"style-src 'self'",
		"script-src 'self'",
		"connect-src 'self'",
		strings.TrimRight("form-action 'self' "+source(formAction), " "),
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}
	if origin := originOf(logo); origin != "" {
		policy = append(policy, "img-src "+origin)
	}
	h.Set("Content-Security-Policy", strings.Join(policy, "; "))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	// Applications open sign-ins in pop-ups and read their own callback there.
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// source is a CSP source, "" for anything that could change the policy.
func source(s string) string {
	if strings.ContainsAny(s, " ;,'\"\r\n\t") {
		return ""
	}
	return s
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return source(u.Scheme + "://" + u.Host)
}
