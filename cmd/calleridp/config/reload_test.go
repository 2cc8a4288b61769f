// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"calleridp/cmd/calleridp/envtest"
	"calleridp/provider/client"
	"calleridp/truecaller"
)

// Every key either is taken over by a running server, or is named as needing a restart: none
// is lost.
func TestReloadForgetsNoKey(t *testing.T) {
	var keys []string
	var vary func(key string, v reflect.Value)
	base := Config{TLS: TLS{CertFile: "a", KeyFile: "a"}, TruecallerApps: make([]Truecaller, 1), Clients: make([]Client, 1)}
	vary = func(key string, v reflect.Value) {
		for i := range v.NumField() {
			name, field := under(key, v.Type().Field(i).Tag.Get("yaml")), v.Field(i)
			if field.Kind() == reflect.Struct && field.NumField() > 0 && field.Type().Field(0).Tag.Get("yaml") != "" {
				vary(name, field)
				continue
			}
			keys = append(keys, name)
		}
	}
	vary("", reflect.ValueOf(&base).Elem())
	for _, key := range keys {
		next := base
		next.TruecallerApps, next.Clients = slices.Clone(base.TruecallerApps), slices.Clone(base.Clients)
		field := reflect.ValueOf(&next).Elem()
		for part := range strings.SplitSeq(key, ".") {
			found, _ := fieldNamed(field.Type(), part)
			field = field.FieldByIndex(found.Index)
		}
		switch field.Kind() {
		case reflect.String:
			field.SetString("other")
		case reflect.Bool:
			field.SetBool(!field.Bool())
		case reflect.Float64:
			field.SetFloat(field.Float() + 7)
		case reflect.Int, reflect.Int64:
			field.SetInt(field.Int() + 7)
		case reflect.Slice:
			field.Set(reflect.Append(field, reflect.Zero(field.Type().Elem())))
		case reflect.Struct: // Rate, Delay
			field.Field(0).SetInt(7)
		default:
			t.Fatalf("%s: no other value of %s", key, field.Type())
		}
		used, restart := Settings{Config: base}.Reload(Settings{Config: next})
		taken := reflect.DeepEqual(used.Config, next)
		if named := slices.Contains(restart, key); taken == named {
			t.Errorf("%s: taken over %v, needs a restart %q; want one of them", key, taken, restart)
		}
		if reloads := isReloadable(key); taken != reloads {
			t.Errorf("%s: taken over %v, want %v", key, taken, reloads)
		}
	}
	if len(keys) < 80 {
		t.Errorf("got %d keys, want all", len(keys))
	}
}

// Secrets that are read at the start alone are named when they change in their files; TLS is
// neither turned on nor off.
func TestReloadNamesWhatItCannotTakeOver(t *testing.T) {
	one := Settings{Apps: []truecaller.App{{ID: "default", Key: "one"}}}
	one.Truecaller.ID = "default"
	two := one
	two.Apps = []truecaller.App{{ID: "default", Key: "two"}}
	two.TLS.CertFile, two.TLS.KeyFile = "cert", "key"
	used, restart := one.Reload(two)
	if want := []string{"tls", "truecaller.app_key_file"}; !slices.Equal(restart, want) {
		t.Errorf("got %q, want %q", restart, want)
	}
	if used.TLS.CertFile != "" || used.Apps[0].Key != "one" {
		t.Errorf("got %+v, want what the server runs with", used.TLS)
	}
}

func TestClientChanges(t *testing.T) {
	one := Settings{Clients: []client.Client{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
	two := Settings{Clients: []client.Client{{ID: "d"}, {ID: "b", Name: "B"}, {ID: "a"}}}
	want := []string{"clients: b changed", "clients: c removed", "clients: d added"}
	if got := one.ClientChanges(two); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// ACME is for one server.
func TestACMEWithADatabase(t *testing.T) {
	envtest.Clear(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "calleridp.yaml")
	text := fmt.Sprintf("issuer: https://id.example.com\ndata_dir: %s\nstorage: {engine: postgres}\ntls: {acme: {directory: https://acme.example.com/, accept_terms: true}}\n", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "tls.acme (line 4): is for one server") {
		t.Errorf("got %v, want that ACME is for one server", err)
	}
}
