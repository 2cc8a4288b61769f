// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"calleridp/provider/client"
	"calleridp/provider/redact"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// maxParameters is how many bytes of parameters are read. Of each character a URL
// makes up to three bytes, and an id_token_hint is long.
const maxParameters = 32 << 10

// MaxState is the longest state, in bytes: hubs put requests of their own into it.
const MaxState = 4 << 10

// Errors of reading parameters. Their texts are for the client's developer.
var (
	ErrTooLarge  = errors.New("the parameters are longer than 32 KiB")
	ErrForm      = errors.New("the body could not be read")
	ErrMediaType = errors.New("the body is not application/x-www-form-urlencoded")
	ErrRepeated  = errors.New("a parameter is given more than once")
)

// GarbledState says that a state cannot be sent back as it came.
const GarbledState = "state is not UTF-8; write it in printable ASCII (RFC 6749 appendix A.5)"

// Parameters are the parameters of a request. Each is given at most once, except
// resource and audience (RFC 8707, RFC 8693), of which the first counts here. A
// parameter without a value is treated as omitted (RFC 6749 §3.1).
//
// Names and values are UTF-8; bytes that are not have become U+FFFD. No identifier
// or secret has that character, so such a value matches nothing. A room that sends
// a value back asks Garbled first.
type Parameters struct {
	values   map[string]string
	repeated map[string]bool // given more than once (RFC 6749 §3.1); their values are not kept
	garbled  map[string]bool // given in bytes that are not UTF-8
}

// Format and LogValue keep what a client sends in secret out of logs (invariant 10).
func (Parameters) Format(f fmt.State, _ rune) { redact.Format(f) }
func (Parameters) LogValue() slog.Value       { return redact.Value() }

// Get returns the value of a parameter, "" when it is omitted.
func (p Parameters) Get(name string) string { return p.values[name] }

// List returns the values of a parameter that is a list, such as scope; none when it
// is omitted. One space separates them (RFC 6749 §3.3). If anything else does, or a value
// has a control character, ok is false and there are no values. A value may have
// characters that the section does not allow: no such value is known.
func (p Parameters) List(name string) (values []string, ok bool) {
	text := p.Get(name)
	if text == "" {
		return nil, true
	}
	values = strings.Split(text, " ")
	if slices.Contains(values, "") || strings.ContainsFunc(text, isSeparator) {
		return nil, false
	}
	return values, true
}

// isSeparator reports whether r separates words, but not the values of a list.
func isSeparator(r rune) bool { return r != ' ' && (unicode.IsSpace(r) || unicode.IsControl(r)) }

// Scope returns the values of scope, none when it is omitted. The error is an
// invalid_scope.
func (p Parameters) Scope() ([]string, error) {
	scopes, ok := p.List("scope")
	if !ok {
		return nil, oidc.ErrInvalidScope().WithDescription("scope is malformed: it must be names with one space between them (RFC 6749 section 3.3)")
	}
	return scopes, nil
}

// ScopeFor returns the scopes that a client gets of those that a request asks for: those
// that exist and that it may have; others are ignored (OpenID Connect Core §3.1.2.1). A
// request without any has the client's default (RFC 6749 §3.3). The error is an
// invalid_scope: scope is malformed, or has no openid.
func (p Parameters) ScopeFor(c client.Client) ([]string, error) {
	requested, err := p.Scope()
	if err != nil {
		return nil, err
	}
	if !p.Has("scope") {
		requested = c.DefaultScopes
	}
	if !slices.Contains(requested, oidc.ScopeOpenID) {
		return nil, oidc.ErrInvalidScope().WithDescription("scope must contain openid")
	}
	return c.GrantableScopes(requested), nil
}

// State returns the state. One that is longer than MaxState is refused with a page:
// it could not be kept, and the client must not get a response without it (RFC 6749
// §4.1.2.1).
func (p Parameters) State() (string, error) {
	state := p.Get("state")
	if len(state) > MaxState {
		return "", NewPageError(ErrorTooLarge, http.StatusRequestEntityTooLarge,
			"state is longer than %d bytes (got %d)", MaxState, len(state)).In(p.UILocales())
	}
	return state, nil
}

// Has reports whether a parameter is present, also when it is repeated.
func (p Parameters) Has(name string) bool { return p.values[name] != "" || p.repeated[name] }

// Repeated reports whether a parameter that may be given once was repeated.
func (p Parameters) Repeated(name string) bool { return p.repeated[name] }

// Garbled reports whether a parameter's value was not UTF-8, so that Get does not
// return what the client sent.
func (p Parameters) Garbled(name string) bool { return p.garbled[name] }

// AnyRepeated returns the name of a repeated parameter, "" for none.
func (p Parameters) AnyRepeated() string {
	first := ""
	for name := range p.repeated {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

// With returns the parameters with values in the place of those of the same names (OpenID
// Connect Core §6.1). An empty value replaces nothing.
func (p Parameters) With(values map[string]string) Parameters {
	merged := Parameters{values: maps.Clone(p.values), repeated: p.repeated, garbled: maps.Clone(p.garbled)}
	if merged.values == nil {
		merged.values = map[string]string{}
	}
	for name, value := range values {
		if value == "" {
			continue
		}
		merged.values[name] = value
		delete(merged.garbled, name)
		if strings.ContainsRune(value, '\uFFFD') {
			set(&merged.garbled, name)
		}
	}
	return merged
}

// Only returns values as the parameters, and nothing else (RFC 9101 §6.3). What was given
// more than once is still known.
func (p Parameters) Only(values map[string]string) Parameters {
	return Parameters{repeated: p.repeated}.With(values)
}

// All returns the parameters by name.
func (p Parameters) All() []Parameter {
	all := make([]Parameter, 0, len(p.values))
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		all = append(all, Parameter{Name: name, Value: p.values[name]})
	}
	return all
}

var repeatable = map[string]bool{"resource": true, "audience": true}

// Query reads the query of a request, and nothing else.
func Query(r *http.Request) (Parameters, error) {
	if len(r.URL.RawQuery) > maxParameters {
		return Parameters{}, ErrTooLarge
	}
	return parse(r.URL.RawQuery), nil
}

// Body reads the body of a request, and nothing else: the query of a POST is
// ignored, so that no secret can be sent there.
func Body(r *http.Request) (Parameters, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return Parameters{}, ErrMediaType
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxParameters+1))
	if err != nil {
		return Parameters{}, ErrForm
	}
	if len(body) > maxParameters {
		return Parameters{}, ErrTooLarge
	}
	return parse(string(body)), nil
}

// Read reads the body of a POST and the query of any other method, as OpenID
// Connect Core §3.1.2.1 has it.
func Read(r *http.Request) (Parameters, error) {
	if r.Method == http.MethodPost {
		return Body(r)
	}
	return Query(r)
}

func parse(raw string) Parameters {
	p := Parameters{values: map[string]string{}}
	for name, values := range ParseForm(raw) {
		if repeatable[name] { // the first that has a value
			values = append(slices.DeleteFunc(values, func(v string) bool { return v == "" }), "")
		}
		valid := strings.ToValidUTF8(values[0], "\uFFFD")
		switch {
		case len(values) > 1 && !repeatable[name]:
			set(&p.repeated, name)
		case valid != "":
			p.values[name] = valid
			if valid != values[0] {
				set(&p.garbled, name)
			}
		}
	}
	return p
}

func set(names *map[string]bool, name string) {
	if *names == nil {
		*names = map[string]bool{}
	}
	(*names)[name] = true
}

// ParseForm parses application/x-www-form-urlencoded as the URL standard does
// (https://url.spec.whatwg.org/#urlencoded-parsing), which refuses nothing: a
// semicolon is an ordinary character, and a percent sign that no two hexadecimal
// digits follow stands for itself. Values may hold bytes that are not UTF-8.
func ParseForm(raw string) url.Values {
	form := url.Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name = unescape(name)
		form[name] = append(form[name], unescape(value))
	}
	return form
}

// unescape decodes a name or a value of a form.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			decoded = append(decoded, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			decoded = append(decoded, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			decoded = append(decoded, s[i])
		}
	}
	return string(decoded)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// UILocales reads ui_locales: BCP 47 tags, best first (OpenID Connect Core
// §3.1.2.1). Malformed tags are ignored.
func (p Parameters) UILocales() []string {
	const longest, most = 35, 16
	var tags []string
	for tag := range strings.SplitSeq(p.Get("ui_locales"), " ") {
		if tag != "" && len(tag) <= longest && len(tags) < most && strings.Trim(tag, tagAlphabet) == "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

const tagAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
