// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"calleridp/provider/redact"
)

// Parameter is one parameter of a response, in order.
type Parameter struct{ Name, Value string }

// The methods of package redact print the name alone: a value may be a code, or what
// a client has sent in secret (invariant 10).
func (p Parameter) String() string                 { return p.Name + "=" + redact.Mark }
func (p Parameter) Format(f fmt.State, _ rune)     { io.WriteString(f, p.String()) }
func (p Parameter) LogValue() slog.Value           { return slog.StringValue(p.String()) }
func (p Parameter) MarshalText() ([]byte, error)   { return []byte(p.String()), nil }
func (p Parameter) MarshalBinary() ([]byte, error) { return p.MarshalText() }

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

// WithFragment appends parameters to a registered URI as its fragment (RFC 6749 §4.2.2). A
// space is %20, which scripts read whether or not they know the plus of forms.
func WithFragment(uri string, params ...Parameter) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := byte('#')
	for _, param := range params {
		b.WriteByte(separator)
		separator = '&'
		b.WriteString(fragmentEscape(param.Name))
		b.WriteByte('=')
		b.WriteString(fragmentEscape(param.Value))
	}
	return b.String()
}

func fragmentEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Redirect sends the browser to a client. The response is never cached, and no
// referrer leaves it.
func Redirect(w http.ResponseWriter, uri string) {
	NoStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	SeeOther(w, uri)
}
