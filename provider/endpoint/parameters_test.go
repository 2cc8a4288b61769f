package endpoint

import (
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
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
