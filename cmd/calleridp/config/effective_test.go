// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"reflect"
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

// What is unset has its default, also in what the console compares with.
func TestDefaultsAreThoseOfTheServer(t *testing.T) {
	c := Config{Issuer: "https://id.example.com", DataDir: "/var/lib/calleridp"}
	c.Log.Level = "debug"
	c.setDefaults()
	shown, usual := c.Effective(), c.Defaults()
	if level := usual["log"].(map[string]any)["level"]; level != "info" {
		t.Errorf("the default of log.level: got %v, want info", level)
	}
	shown["log"].(map[string]any)["level"] = "info"
	if !reflect.DeepEqual(shown, usual) {
		t.Errorf("got %v, want %v", usual, shown)
	}
}
