// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/redact"
	"calleridp/provider/redact/leak"
	"calleridp/truecaller"
)

// Neither the configuration as it was read nor what became of it prints a secret.
func TestInvariant10_ConfigurationsAreRedacted(t *testing.T) {
	app := Truecaller{ID: "app", AppKey: leak.Secret, CallbackSecret: leak.Secret}
	c := Config{
		MasterKey:      leak.Secret,
		Truecaller:     app,
		TruecallerApps: []Truecaller{app},
		Clients:        []Client{{ID: "app", Secret: leak.Secret}},
	}
	master, err := keys.NewMaster([]byte(leak.Secret))
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{
		Config:  c,
		Master:  master,
		Apps:    []truecaller.App{{ID: "app", Key: leak.Secret, CallbackSecrets: []string{leak.Secret}}},
		Traces:  Traces{Headers: []TraceHeader{{Name: "Authorization", Value: leak.Secret}}},
		Clients: []client.Client{{ID: "app", SecretHashes: []client.SecretHash{leak.Hash()}}},
	}
	leak.Check(t, "Config", c)
	leak.Check(t, "Effective", c.Effective())
	shown := c.Effective()
	if shown["master_key"] != "(set)" || shown["truecaller"].(map[string]any)["app_key"] != "(set)" {
		t.Errorf("the effective configuration does not say that secrets are set: %v", shown)
	}
	leak.Check(t, "Truecaller", app)
	leak.Check(t, "Client", c.Clients[0])
	leak.Check(t, "keyedApp", c.keyedApps()[0])
	leak.Check(t, "Settings", s)
}

// A phone number in the configuration prints masked, however it is written.
func TestInvariant10_NumbersOfTheConfigurationAreMasked(t *testing.T) {
	c := Config{Console: Console{Numbers: []Number{"+46701740605"}, Viewers: []Number{"+46 70-174 06 06", "4670174O607"}}}
	for way, text := range leak.Printed(c) {
		if strings.Contains(text, "70174") || strings.Contains(text, "70-174") {
			t.Errorf("%s: got a whole number: %s", way, text)
		}
	}
	got := fmt.Sprint(c.Effective()["console"])
	if want := "map[numbers:[+46•••••0605] subs:[] url: viewers:[+46•••••0606 [redacted]]]"; got != want {
		t.Errorf("effective: got %s, want %s", got, want)
	}
}

// Each key that holds a secret is of a type that does not print.
func TestInvariant10_SecretKeysHaveTheirType(t *testing.T) {
	found := 0
	var look func(reflect.Type)
	look = func(in reflect.Type) {
		if in.Kind() == reflect.Slice {
			in = in.Elem()
		}
		if in.Kind() != reflect.Struct {
			return
		}
		for f := range in.Fields() {
			if f.Tag.Get("secret") == "" {
				look(f.Type)
				continue
			}
			found++
			if f.Type != reflect.TypeFor[redact.Text]() {
				t.Errorf("%s.%s: got a %s, want a redact.Text", in, f.Name, f.Type)
			}
		}
	}
	look(reflect.TypeFor[Config]())
	if found < 6 { // truecaller's twice
		t.Errorf("got %d secrets, want all", found)
	}
}
