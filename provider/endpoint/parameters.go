package endpoint

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxParameters is how many bytes of parameters are read. Of each character a URL
// makes up to three bytes, and an id_token_hint is long.
const maxParameters = 32 << 10

// MaxState is the longest state, in bytes: hubs put requests of their own into it.
const MaxState = 4 << 10

// Errors of reading parameters. Their texts are for the client's developer.
var (
	ErrTooLarge  = errors.New("the parameters are longer than 32 KiB")
	ErrForm      = errors.New("the parameters are not application/x-www-form-urlencoded in UTF-8")
	ErrMediaType = errors.New("the body is not application/x-www-form-urlencoded")
	ErrRepeated  = errors.New("a parameter is given more than once")
)

// Parameters are the parameters of a request. Each is given at most once, except
// resource and audience (RFC 8707, RFC 8693), of which the first counts here. A
// parameter without a value is treated as omitted (RFC 6749 §3.1).
type Parameters struct {
	values   map[string]string
	repeated map[string]bool // given more than once (RFC 6749 §3.1); their values are not kept
}

// Get returns the value of a parameter, "" when it is omitted.
func (p Parameters) Get(name string) string { return p.values[name] }

// State returns the state. One that is longer than MaxState is refused with a page:
// it could not be kept, and the client must not get a response without it (RFC 6749
// §4.1.2.1).
func (p Parameters) State() (string, error) {
	state := p.Get("state")
	if len(state) > MaxState {
		return "", Refuse(ErrorTooLarge, http.StatusRequestEntityTooLarge,
			"state is longer than %d bytes (got %d)", MaxState, len(state)).In(p.UILocales())
	}
	return state, nil
}

// Has reports whether a parameter is present, also when it is repeated.
func (p Parameters) Has(name string) bool { return p.values[name] != "" || p.repeated[name] }

// Repeated reports whether a parameter that may be given once was repeated.
func (p Parameters) Repeated(name string) bool { return p.repeated[name] }

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

// Encode returns the parameters as a query, without those named.
func (p Parameters) Encode(without ...string) string {
	form := make(url.Values, len(p.values))
	for name, v := range p.values {
		form.Set(name, v)
	}
	for _, name := range without {
		form.Del(name)
	}
	return form.Encode()
}

var repeatable = map[string]bool{"resource": true, "audience": true}

// Query reads the query of a request, and nothing else.
func Query(r *http.Request) (Parameters, error) {
	if len(r.URL.RawQuery) > maxParameters {
		return Parameters{}, ErrTooLarge
	}
	return parse(r.URL.RawQuery)
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
	return parse(string(body))
}

// Read reads the body of a POST and the query of any other method, as OpenID
// Connect Core §3.1.2.1 has it.
func Read(r *http.Request) (Parameters, error) {
	if r.Method == http.MethodPost {
		return Body(r)
	}
	return Query(r)
}

func parse(raw string) (Parameters, error) {
	parsed, err := url.ParseQuery(raw)
	if err != nil {
		return Parameters{}, ErrForm
	}
	p := Parameters{values: make(map[string]string, len(parsed))}
	for name, values := range parsed {
		for _, v := range values {
			if !utf8.ValidString(v) {
				return Parameters{}, ErrForm
			}
		}
		switch {
		case len(values) == 1 || repeatable[name]:
			if values[0] != "" {
				p.values[name] = values[0]
			}
		default:
			if p.repeated == nil {
				p.repeated = map[string]bool{}
			}
			p.repeated[name] = true
		}
	}
	return p, nil
}

// UILocales reads ui_locales: BCP 47 tags, best first (OpenID Connect Core
// §3.1.2.1). Malformed tags are ignored.
func (p Parameters) UILocales() []string {
	const longest, most = 35, 16
	var tags []string
	for tag := range strings.FieldsSeq(p.Get("ui_locales")) {
		if len(tag) <= longest && len(tags) < most && strings.Trim(tag, tagAlphabet) == "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

const tagAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
