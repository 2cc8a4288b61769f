// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"slices"
	"testing"

	"calleridp/cmd/calleridp/envtest"
	"calleridp/provider/console"
)

func TestConsoleIsChecked(t *testing.T) {
	good := Config{
		Issuer:      "https://login.example.com",
		AdminListen: "10.0.0.5:9443",
		Console: Console{
			URL:     "https://admin.example.com:9443",
			Numbers: []Number{"+46701740605"},
			Viewers: []Number{"+46701740606"},
		},
	}
	check := func(change func(*Config)) (*decoder, []console.Operator) {
		c := good
		change(&c)
		d := newDecoder("")
		return d, d.checkConsole(c)
	}
	d, operators := check(func(*Config) {})
	if len(d.errors) > 0 || len(operators) != 2 || operators[0].Role != console.Admin || operators[1].Role != console.Viewer {
		t.Errorf("got %v, %v; want an admin and a viewer", operators, d.errors)
	}
	if d, operators := check(func(c *Config) { c.Console, c.AdminListen = Console{}, "" }); len(d.errors) > 0 || operators != nil {
		t.Errorf("without a console: %v, %v", operators, d.errors)
	}
	for _, row := range []struct {
		key    string
		change func(*Config)
	}{
		{"console.url", func(c *Config) { c.Console.URL = "" }},
		{"console.url", func(c *Config) { c.Console.URL = "http://admin.example.com:9443" }},
		{"console.url", func(c *Config) { c.Console.URL += "/" }},
		{"console.url", func(c *Config) { c.Console.URL = c.Issuer }},
		{"admin_listen", func(c *Config) { c.AdminListen = "" }},
		{"console.numbers", func(c *Config) { c.Console.Numbers, c.Console.Viewers = nil, nil }},
		{"console.numbers[0]", func(c *Config) { c.Console.Numbers = []Number{"0701740605"} }},
		{"console.viewers[0]", func(c *Config) { c.Console.Viewers = []Number{"+46 70 174 06 05"} }},
	} {
		if d, _ := check(row.change); !d.failed(row.key) || len(d.errors) != 1 {
			t.Errorf("got %v, want %s refused alone", d.errors, row.key)
		}
	}
}

func TestOperatorsComeFromTheEnvironment(t *testing.T) {
	envtest.Clear(t)
	t.Setenv("CALLERIDP_CONSOLE_NUMBERS", "+46701740605, +46701740606")
	var c Config
	var known []string
	d := newDecoder("")
	d.environment("", reflect.ValueOf(&c).Elem(), &known)
	if want := []Number{"+46701740605", "+46701740606"}; !slices.Equal(c.Console.Numbers, want) || len(d.errors) > 0 {
		t.Errorf("got %d numbers and %v, want %d", len(c.Console.Numbers), d.errors, len(want))
	}
}
