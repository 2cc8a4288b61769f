package provider

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// maxParameters is how many bytes of parameters are read. A state or nonce of
// several thousand characters is legitimate.
const maxParameters = 32 << 10

// Errors of reading parameters.
var (
	errTooLarge   = errors.New("the parameters are longer than 32 KiB")
	errForm       = errors.New("the parameters are not application/x-www-form-urlencoded in UTF-8")
	errMediaType  = errors.New("the body is not application/x-www-form-urlencoded")
	errDuplicates = errors.New("a parameter is given more than once")
)

// parameters are those of a request, each given at most once but for those that
// may be repeated, of which the first counts here. A parameter
// without a value counts as left out (RFC 6749 §3.1).
type parameters struct {
	values   map[string]string
	repeated map[string]bool // given more than once (RFC 6749 §3.1); their values are not kept
}

func (p parameters) get(name string) string { return p.values[name] }

func (p parameters) has(name string) bool { return p.values[name] != "" || p.repeated[name] }

// repeatable are the parameters that other specifications let come several
// times: RFC 8707 and RFC 8693.
var repeatable = map[string]bool{"resource": true, "audience": true}

// anyRepeated names a parameter that was given twice, "" for none.
func (p parameters) anyRepeated() string {
	first := ""
	for name := range p.repeated {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

// queryParameters reads the query, and nothing else.
func queryParameters(r *http.Request) (parameters, error) {
	if len(r.URL.RawQuery) > maxParameters {
		return parameters{}, errTooLarge
	}
	return parseParameters(r.URL.RawQuery)
}

// bodyParameters reads the body, and nothing else: what stands in the query of
// a POST is ignored, so that no secret can be sent there.
func bodyParameters(r *http.Request) (parameters, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return parameters{}, errMediaType
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxParameters+1))
	if err != nil {
		return parameters{}, errForm
	}
	if len(body) > maxParameters {
		return parameters{}, errTooLarge
	}
	return parseParameters(string(body))
}

func parseParameters(raw string) (parameters, error) {
	parsed, err := url.ParseQuery(raw)
	if err != nil {
		return parameters{}, errForm
	}
	p := parameters{values: make(map[string]string, len(parsed))}
	for name, values := range parsed {
		for _, v := range values {
			if !utf8.ValidString(v) {
				return parameters{}, errForm
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

// form is the parameters for the library.
func (p parameters) form() url.Values {
	form := make(url.Values, len(p.values))
	for name, v := range p.values {
		form[name] = []string{v}
	}
	return form
}
