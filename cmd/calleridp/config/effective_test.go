package config

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The configuration prints with the keys of the file, and its numbers as they are written.
func TestConfigurationIsYAML(t *testing.T) {
	var out bytes.Buffer
	if err := PrintEffective(&out, json.RawMessage(`{"apps":[{"id":"a"}],"issuer":"https://id","keys":{"n":20000000,"on":true},"none":[]}`)); err != nil {
		t.Fatal(err)
	}
	want := `apps:
- id: a
issuer: https://id
keys:
  "n": 20000000
  "on": true
none: []
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
