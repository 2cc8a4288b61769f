// SPDX-License-Identifier: Apache-2.0

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTracing(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("key", "Authorization: Bearer a-key\nX-Scope-OrgID: 7\n")
	for _, c := range []struct {
		tracing Tracing
		want    string // of the error, "" for none
	}{
		{Tracing{}, ""},
		{Tracing{Endpoint: "http://collector:4318/v1/traces"}, ""},
		{Tracing{Endpoint: "https://collector.example/v1/traces", HeadersFile: key, Sample: 0.1}, ""},
		{Tracing{Endpoint: "http://127.0.0.1:4318/v1/traces", HeadersFile: key}, ""},
		{Tracing{Endpoint: "http://collector:4318/v1/traces", HeadersFile: key}, "headers may be secret"},
		{Tracing{Endpoint: "http://127.0.0.1:4318"}, "the path is missing"},
		{Tracing{Endpoint: "127.0.0.1:4318/v1/traces"}, "is not a URL"},
		{Tracing{Endpoint: "https://user:word@collector.example/v1/traces"}, "without user"},
		{Tracing{Endpoint: "https://collector.example/v1/traces?key=a"}, "without user, query"},
		{Tracing{Sample: 0.5}, "tracing.endpoint"},
		{Tracing{HeadersFile: key}, "tracing.endpoint"},
		{Tracing{Endpoint: "https://collector.example/v1/traces", HeadersFile: file("no", "a-key-alone")}, "line 1 is no header"},
		{Tracing{Endpoint: "https://collector.example/v1/traces", HeadersFile: file("no2", "A: b\nA b: c")}, "line 2 is no header"},
		{Tracing{Endpoint: "https://collector.example/v1/traces", CAFile: key}, "no certificate in PEM"},
		{Tracing{Endpoint: "https://collector.example/v1/traces", CAFile: filepath.Join(dir, "none")}, "no file"},
	} {
		d := newDecoder("")
		traces := d.checkTracing(c.tracing)
		got := ""
		if err := d.err("x"); err != nil {
			got = err.Error()
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "a-key") || strings.Contains(got, "user:word") {
			t.Errorf("%+v: got %q, want %q and no secret", c.tracing, got, c.want)
		}
		if c.want == "" && c.tracing.HeadersFile != "" && traces.Header().Get("Authorization") != "Bearer a-key" {
			t.Errorf("%+v: got the headers %v", c.tracing, traces.Header())
		}
	}
	for text, ok := range map[string]bool{"1": true, "0.001": true, "0": false, "1.1": false, "-1": false, "NaN": false, "Inf": false, "x": false} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("a share of %s: got %v", text, err)
		}
	}
}
