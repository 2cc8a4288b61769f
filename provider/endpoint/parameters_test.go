// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// brokenEscape matches a percent sign that begins no escape, with what follows it.
var brokenEscape = regexp.MustCompile(`%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)`)

// repaired writes out what the URL standard reads into a query, so that net/url
// reads the same.
func repaired(raw string) string {
	raw = strings.ReplaceAll(raw, ";", "%3B")
	for brokenEscape.MatchString(raw) {
		raw = brokenEscape.ReplaceAllString(raw, "%25$1")
	}
	return raw
}

// A form is read as net/url reads it, where that reads it at all; a semicolon and a
// percent sign are then ordinary characters. What came twice, is empty or is not
// UTF-8 is not a value.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{
		"",
		"a=1&b=2",
		"a=1&a=2",
		"a=&b",
		"a=%ff",
		"a=%zz",
		"a=1;b=2",
		"resource=1&resource=2",
		"resource=&resource&resource=2",
		"%61=1&a=2",
		"a+b=c+d",
		"state=a;b&utm=50%off",
		"a=%&b=%4&c=%%41",
		"a=caf\xe9&\xe9=1",
		"&&=x&=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		in := parse(raw)
		want, err := url.ParseQuery(repaired(raw))
		if strings.Count(raw, "&") > 1000 { // net/url has a limit, and Query another one
			return
		}
		if err != nil {
			t.Fatalf("%q: got %v for %q, want a repaired query", raw, err, repaired(raw))
		}
		if got := ParseForm(raw); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %q, want %q", raw, got, want)
		}
		for name, values := range want {
			if first := slices.IndexFunc(values, func(v string) bool { return v != "" }); repeatable[name] && first > 0 {
				values = values[first:]
			}
			switch {
			case len(values) > 1 && !repeatable[name]:
				if !in.Repeated(name) || in.Get(name) != "" || !in.Has(name) {
					t.Fatalf("%q twice: got %q, repeated %v, want none, true", name, in.Get(name), in.Repeated(name))
				}
			case utf8.ValidString(values[0]):
				if in.Get(name) != values[0] || in.Garbled(name) {
					t.Fatalf("%q: got %q, garbled %v, want %q, false", name, in.Get(name), in.Garbled(name), values[0])
				}
			case !in.Garbled(name) || !utf8.ValidString(in.Get(name)) || in.Get(name) == "":
				t.Fatalf("%q: got %q, garbled %v, want UTF-8, true", name, in.Get(name), in.Garbled(name))
			}
		}
		names := maps.Clone(in.repeated)
		for name := range in.values {
			set(&names, name)
		}
		if len(names) > len(want) {
			t.Fatalf("%q: got %+v, want %v", raw, in, want)
		}
	})
}

// Parameters have a size, which is the same in a query and in a body.
func TestParametersHaveASize(t *testing.T) {
	for size, want := range map[int]error{maxParameters: nil, maxParameters + 1: ErrTooLarge} {
		raw := "a=" + strings.Repeat("x", size-2)
		query := httptest.NewRequest("GET", "/?"+raw, nil)
		body := httptest.NewRequest("POST", "/?b=1", strings.NewReader(raw))
		body.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		for what, r := range map[string]*http.Request{"query": query, "body": body} {
			in, err := Read(r)
			if err != want || (in.Get("a") != "") != (want == nil) || in.Has("b") {
				t.Errorf("%d bytes in the %s: got %d bytes, %v, want %v", size, what, len(in.Get("a")), err, want)
			}
		}
	}
	failing := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("a=1"), iotest.ErrReader(errors.New("reset"))))
	failing.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if in, err := Read(failing); err != ErrForm || in.Has("a") {
		t.Errorf("a body that breaks off: got %v, %v, want %v", in, err, ErrForm)
	}
	state := parse("state=" + strings.Repeat("s", MaxState))
	if got, err := state.State(); len(got) != MaxState || err != nil {
		t.Errorf("the longest state: got %d bytes, %v, want it", len(got), err)
	}
	state = parse("ui_locales=sv&state=" + strings.Repeat("s", MaxState+1))
	_, err := state.State()
	refused, ok := errors.AsType[*PageError](err)
	if !ok || refused.View.Status != 413 || !slices.Equal(refused.View.UILocales, []string{"sv"}) {
		t.Errorf("a longer state: got %v, want a page with status 413 in sv", err)
	}
}

func TestUILocales(t *testing.T) {
	long := strings.Repeat("x", 35)
	many := strings.Repeat("a ", 20)
	for text, want := range map[string][]string{
		"":                      nil,
		"sv en-GB  bn":          {"sv", "en-GB", "bn"},
		"sv_SE en":              {"en"},
		"en <script> é sv\x00":  {"en"},
		long + " " + long + "x": {long},
		many:                    slices.Repeat([]string{"a"}, 16),
	} {
		if got := parse(url.Values{"ui_locales": {text}}.Encode()).UILocales(); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// The names of several repeated parameters always give the same message.
func TestAnyRepeated(t *testing.T) {
	for raw, want := range map[string]string{"": "", "a=1": "", "b=1&b=2&a=1&a=2&c=1&c=2": "a", "resource=1&resource=2": ""} {
		for range 20 {
			if got := parse(raw).AnyRepeated(); got != want {
				t.Fatalf("%q: got %q, want %q", raw, got, want)
			}
		}
	}
}

func TestAll(t *testing.T) {
	want := []Parameter{{"a", "1"}, {"b", "2 3"}}
	if got := parse("b=2+3&c=&a=1&d=1&d=2").All(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A media type that is broken is none, also if it begins like that of a form.
func TestBrokenMediaTypes(t *testing.T) {
	for kind, want := range map[string]error{
		"application/x-www-form-urlencoded":                nil,
		"Application/X-WWW-Form-URLEncoded; charset=UTF-8": nil,
		"application/x-www-form-urlencoded; charset":       ErrMediaType,
		"application/x-www-form-urlencoded, text/plain":    ErrMediaType,
		"application/x-www-form-urlencode":                 ErrMediaType,
		"":                                                 ErrMediaType,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader("a=1"))
		r.Header.Set("Content-Type", kind)
		if _, err := Body(r); err != want {
			t.Errorf("%q: got %v, want %v", kind, err, want)
		}
	}
}

// Each byte can be escaped, in capitals or not; what is next to the hexadecimal digits is
// none.
func TestEscapes(t *testing.T) {
	for b := range 256 {
		for _, escape := range []string{"%02x", "%02X"} {
			if got := unescape("x%" + fmt.Sprintf(escape, b) + "y"); got != "x"+string([]byte{byte(b)})+"y" {
				t.Errorf("%#x: got %q", b, got)
			}
		}
	}
	for _, text := range []string{"%", "%4", "%4/", "%4:", "%4@", "%4G", "%4`", "%4g", "%/4", "%g4", "a%"} {
		if got := unescape(text); got != text {
			t.Errorf("%q: got %q, want the same", text, got)
		}
	}
	if got := unescape("a+b%2B"); got != "a b+" {
		t.Errorf("got %q, want a b+", got)
	}
}

// What a request object says replaces parameters, or all of them; what was repeated stays
// known.
func TestParametersOfARequestObject(t *testing.T) {
	in := parse("a=1&b=%ff&c=3&c=4")
	with := in.With(map[string]string{"b": "2", "c": "5", "d": "\uFFFD", "a": ""})
	only := in.Only(map[string]string{"b": "2", "d": "\uFFFD", "e": ""})
	for what, row := range map[string]struct {
		got     Parameters
		values  map[string]string
		garbled string
	}{
		"with":   {with, map[string]string{"a": "1", "b": "2", "c": "5", "d": "\uFFFD", "e": ""}, "d"},
		"only":   {only, map[string]string{"a": "", "b": "2", "c": "", "d": "\uFFFD", "e": ""}, "d"},
		"before": {in, map[string]string{"a": "1", "b": "\uFFFD", "c": "", "d": ""}, "b"},
		"empty":  {Parameters{}.With(map[string]string{"a": "1"}), map[string]string{"a": "1"}, ""},
	} {
		for name, value := range row.values {
			if got := row.got.Get(name); got != value || row.got.Garbled(name) != (name == row.garbled) {
				t.Errorf("%s, %s: got %q, garbled %t", what, name, got, row.got.Garbled(name))
			}
		}
		if what != "empty" && row.got.AnyRepeated() != "c" {
			t.Errorf("%s: got %q repeated, want c", what, row.got.AnyRepeated())
		}
	}
}
