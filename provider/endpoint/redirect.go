package endpoint

import (
	"net/http"
	"net/url"
	"strings"
)

// Parameter is one parameter of a response, in order.
type Parameter struct{ Name, Value string }

// WithParameters appends parameters to a registered URI, which keeps its own
// query as it is (RFC 6749 §3.1.2, §4.1.2).
func WithParameters(uri string, params ...Parameter) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := byte('?')
	if strings.Contains(uri, "?") {
		separator = '&'
		if last := uri[len(uri)-1]; last == '?' || last == '&' {
			separator = 0
		}
	}
	for _, param := range params {
		if separator != 0 {
			b.WriteByte(separator)
		}
		separator = '&'
		b.WriteString(url.QueryEscape(param.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(param.Value))
	}
	return b.String()
}

// Redirect sends the browser to a client. The response is never cached, and no
// referrer leaves it.
func Redirect(w http.ResponseWriter, uri string) {
	NoStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	SeeOther(w, uri)
}
