// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// reloadable are the keys, and the tables, whose values a running server takes over when it
// reads the configuration again. All others need a restart.
var reloadable = []string{"clients", "client_networks", "ui", "log.level", "tls.cert_file", "tls.key_file",
	"console.numbers", "console.viewers", "console.subs"}

// isReloadable reports whether a running server takes over a change of the key.
func isReloadable(key string) bool {
	return slices.ContainsFunc(reloadable, func(r string) bool { return key == r || strings.HasPrefix(key, r+".") || strings.HasPrefix(key, r+"[") }) ||
		strings.HasSuffix(key, ".callback_secret_file")
}

// Reload returns what a server that runs with s uses after it has read next, and the keys
// that differ and need a restart.
func (s Settings) Reload(next Settings) (used Settings, restart []string) {
	changed := changes("", reflect.ValueOf(s.Config), reflect.ValueOf(next.Config))
	if (s.TLS.CertFile == "") != (next.TLS.CertFile == "") { // TLS is turned on, off, or to ACME
		next.TLS.CertFile, next.TLS.KeyFile = s.TLS.CertFile, s.TLS.KeyFile
		restart = append(restart, "tls")
	}
	for _, key := range changed {
		if !isReloadable(key) {
			restart = append(restart, key)
		}
	}
	restart = append(restart, s.changedSecrets(next)...)
	slices.Sort(restart)

	used = s
	used.Clients, used.Config.Clients = next.Clients, next.Config.Clients
	used.ClientNetworks, used.Config.ClientNetworks = next.ClientNetworks, next.Config.ClientNetworks
	used.Brand, used.UI = next.Brand, next.UI
	used.Operators = next.Operators
	used.Console.Numbers, used.Console.Viewers, used.Console.Subs = next.Console.Numbers, next.Console.Viewers, next.Console.Subs
	used.LogLevel, used.Log.Level = next.LogLevel, next.Log.Level
	used.TLS.CertFile, used.TLS.KeyFile = next.TLS.CertFile, next.TLS.KeyFile
	used.Truecaller.CallbackSecretFile = next.Truecaller.CallbackSecretFile
	if len(s.TruecallerApps) == len(next.TruecallerApps) {
		used.TruecallerApps = slices.Clone(s.TruecallerApps)
		for i := range used.TruecallerApps {
			used.TruecallerApps[i].CallbackSecretFile = next.TruecallerApps[i].CallbackSecretFile
		}
	}
	return used, slices.Compact(restart)
}

// changedSecrets returns the keys of secrets that are read at the start and have changed in
// their files.
func (s Settings) changedSecrets(next Settings) (keys []string) {
	apps := s.keyedApps()
	for i, app := range s.Apps {
		if i < len(next.Apps) && i < len(apps) && app.ID == next.Apps[i].ID && app.Key != next.Apps[i].Key {
			keys = append(keys, apps[i].key+".app_key_file")
		}
	}
	if s.Postgres != nil && next.Postgres != nil {
		if s.Postgres.DSN != next.Postgres.DSN {
			keys = append(keys, "storage.dsn_file")
		}
		if s.Postgres.ListenDSN != next.Postgres.ListenDSN {
			keys = append(keys, "storage.listen_dsn_file")
		}
	}
	return keys
}

// changes returns the keys of two tables of the same type whose values differ. A list is one
// value, unless it is one of tables and has as many as before.
func changes(key string, a, b reflect.Value) (keys []string) {
	switch {
	case a.Kind() == reflect.Struct && a.NumField() > 0 && a.Type().Field(0).Tag.Get("yaml") != "":
		for i := range a.NumField() {
			keys = append(keys, changes(under(key, a.Type().Field(i).Tag.Get("yaml")), a.Field(i), b.Field(i))...)
		}
		return keys
	case a.Kind() == reflect.Slice && a.Type().Elem().Kind() == reflect.Struct && a.Len() == b.Len():
		for i := range a.Len() {
			keys = append(keys, changes(fmt.Sprintf("%s[%d]", key, i), a.Index(i), b.Index(i))...)
		}
		return keys
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		return []string{key}
	}
	return nil
}

// ClientChanges says which clients a server that runs with s gains, loses and changes by
// next, like "clients: shop added".
func (s Settings) ClientChanges(next Settings) (changes []string) {
	before := map[string]any{}
	for _, c := range s.Clients {
		before[c.ID] = c
	}
	for _, c := range next.Clients {
		switch old, known := before[c.ID]; {
		case !known:
			changes = append(changes, "clients: "+c.ID+" added")
		case !reflect.DeepEqual(old, any(c)):
			changes = append(changes, "clients: "+c.ID+" changed")
		}
		delete(before, c.ID)
	}
	for id := range before {
		changes = append(changes, "clients: "+id+" removed")
	}
	slices.Sort(changes)
	return changes
}
