package provider

import (
	"net/http"
	"net/url"
	"strings"
)

// Write sends the response: a redirect, or a page of pages that posts a form.
func (resp Response) Write(w http.ResponseWriter, r *http.Request, pages Pages) {
	noStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	if resp.FormPost {
		pages.FormPost(w, r, resp.RedirectURI, resp.Params)
		return
	}
	w.Header().Set("Location", resp.URL())
	// 303, so that the answer to a form is fetched with GET.
	w.WriteHeader(http.StatusSeeOther)
}

// URL is the redirect's address: the registered one as it is, its own query
// kept, with the parameters after it (RFC 6749 §3.1.2, §4.1.2).
func (resp Response) URL() string {
	var b strings.Builder
	b.WriteString(resp.RedirectURI)
	separator := byte('?')
	if strings.Contains(resp.RedirectURI, "?") {
		separator = '&'
		if last := resp.RedirectURI[len(resp.RedirectURI)-1]; last == '?' || last == '&' {
			separator = 0
		}
	}
	for _, param := range resp.Params {
		if separator != 0 {
			b.WriteByte(separator)
		}
		separator = '&'
		b.WriteString(url.QueryEscape(param[0]))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(param[1]))
	}
	return b.String()
}

// formAction is what a page's Content-Security-Policy must name so that a form
// may end at uri: the origin of a web address, the scheme of another.
func formAction(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" { // or a page of our own
		return ""
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}
