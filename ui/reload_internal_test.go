// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"io/fs"
	"log/slog"
	"testing"
	"testing/fstest"

	"calleridp/ui/page"
)

// opened counts how often each file was asked for.
type opened struct {
	fs.FS
	times map[string]int
}

func (o opened) Open(name string) (fs.File, error) {
	o.times[name]++
	return o.FS.Open(name)
}

// A reload draws the pages once if a file, the name or the brand has changed, and else not.
func TestPrepareDrawsWhatHasChanged(t *testing.T) {
	files := fstest.MapFS{"static/custom.css": {Data: []byte(":root{--one:1}")}}
	counted := opened{files, map[string]int{}}
	c := Config{Overrides: counted, Countries: []page.Country{{Region: "SE", Code: 46}}, Log: slog.New(slog.DiscardHandler)}
	u, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	const drawn = "templates/signin.html" // which drawing asks for, and the digest does not
	once := counted.times[drawn]
	prepare := func(what string, c Config, differs bool) {
		t.Helper()
		clear(counted.times)
		use, changed, err := u.Prepare(c)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		use()
		want := 0
		if differs {
			want = once
		}
		if got := counted.times[drawn]; changed != differs || got != want {
			t.Errorf("%s: got changed %v and %d reads of a template, want %v and %d", what, changed, got, differs, want)
		}
	}
	prepare("without a change", c, false)
	files["static/custom.css"] = &fstest.MapFile{Data: []byte(":root{--two:2}")}
	prepare("another style", c, true)
	prepare("the same style", c, false)
	c.DeploymentName = "Second"
	prepare("another name", c, true)
	c.Brand.TermsURL = "https://example.com/terms"
	prepare("another brand", c, true)
	c.Overrides = nil
	if _, changed, err := u.Prepare(c); err != nil || !changed {
		t.Errorf("without the files: got %v, %v, want a change", changed, err)
	}
	files["static/other.css"] = &fstest.MapFile{}
	c.Overrides = counted
	if _, _, err := u.Prepare(c); err == nil {
		t.Error("a file without a meaning is accepted")
	}
}
