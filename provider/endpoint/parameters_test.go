package endpoint

import (
	"net/url"
	"testing"
)

// What is read is what net/url reads, without what came twice or is empty.
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
		"%61=1&a=2",
		"a+b=c+d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		in, err := parse(raw)
		want, wantErr := url.ParseQuery(raw)
		if err != nil {
			if in.values != nil || in.repeated != nil {
				t.Fatalf("%q: got %v with parameters %+v, want none", raw, err, in)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("%q: got no error, want %v", raw, wantErr)
		}
		for name, values := range want {
			switch {
			case len(values) > 1 && !repeatable[name]:
				if !in.repeated[name] || in.Get(name) != "" || !in.Has(name) {
					t.Fatalf("%q twice: got %q, repeated %v, want none, true", name, in.Get(name), in.repeated[name])
				}
			case len(values) == 1 && in.Get(name) != values[0]:
				t.Fatalf("%q: got %q, want %q", name, in.Get(name), values[0])
			}
		}
		if len(in.values)+len(in.repeated) > len(want) {
			t.Fatalf("%q: got %+v, want %v", raw, in, want)
		}
	})
}
