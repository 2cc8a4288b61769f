// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"iter"
	"os"
	"reflect"
	"runtime"
	"strings"
)

// credentials is the folder in which systemd puts the credentials of a service
// (LoadCredential=). A file's name in the configuration may begin with it.
const credentials = "${CREDENTIALS_DIRECTORY}"

// expandCredentials writes out the folder of the credentials in the names of files. v is
// a struct, and key what the configuration calls it.
func (d *decoder) expandCredentials(key string, v reflect.Value) {
	for i := range v.NumField() {
		name := under(key, v.Type().Field(i).Tag.Get("yaml"))
		switch field := v.Field(i); {
		case field.Kind() == reflect.Struct:
			d.expandCredentials(name, field)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for j := range field.Len() {
				d.expandCredentials(fmt.Sprintf("%s[%d]", name, j), field.Index(j))
			}
		case field.Kind() == reflect.String && strings.HasSuffix(name, "_file"):
			rest, ok := strings.CutPrefix(field.String(), credentials+"/")
			if !ok {
				continue
			}
			folder := os.Getenv("CREDENTIALS_DIRECTORY")
			if folder == "" {
				d.refuse(name, "CREDENTIALS_DIRECTORY is unset, which systemd sets for a unit with LoadCredential; name the file itself, or run this in such a unit")
				continue
			}
			field.SetString(folder + "/" + rest)
		}
	}
}

// secretFile is a file with a secret, and the key that names it.
type secretFile struct{ key, path string }

// secretFiles returns the files of all secrets that the configuration names.
func (c Config) secretFiles() []secretFile {
	files := []secretFile{{"master_key_file", c.MasterKeyFile}, {"tls.key_file", c.TLS.KeyFile}, {"admin_tls.key_file", c.AdminTLS.KeyFile},
		{"tls.acme.mac_key_file", c.TLS.ACME.MACKeyFile},
		{"storage.dsn_file", c.Storage.DSNFile}, {"storage.listen_dsn_file", c.Storage.ListenDSNFile},
		{"tracing.headers_file", c.Tracing.HeadersFile}}
	for _, app := range c.keyedApps() {
		files = append(files,
			secretFile{app.key + ".app_key_file", app.AppKeyFile},
			secretFile{app.key + ".callback_secret_file", app.CallbackSecretFile})
	}
	for i, client := range c.Clients {
		files = append(files, secretFile{fmt.Sprintf("clients[%d].secret_file", i), client.SecretFile})
	}
	return files
}

// SecretFiles returns them by their keys, for those who look at more than their permissions.
func (s Settings) SecretFiles() iter.Seq2[string, string] {
	return func(yield func(key, path string) bool) {
		for _, file := range s.secretFiles() {
			if file.path != "" && !yield(file.key, file.path) {
				return
			}
		}
	}
}

// checkPrivate refuses files of secrets that every user of the machine can use.
func (d *decoder) checkPrivate(c Config) {
	for _, file := range c.secretFiles() {
		if reason := public(file.path); reason != "" {
			d.refuse(file.key, "%s", reason)
		}
	}
}

// public returns why a file is not private enough for a secret, "" if it is, or if there
// is none. Its group may read it: orchestrators give files to a service in this way.
func public(path string) (reason string) {
	if path == "" || runtime.GOOS == "windows" { // Windows has no such permissions
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o006 != 0:
		return fmt.Sprintf("every user of this machine can read or change %s (mode %04o); make the server's user its owner and run chmod 600 on it; if others may have read it, replace the secret", path, mode)
	case mode&0o020 != 0:
		return fmt.Sprintf("its group can change %s (mode %04o); run chmod 600 on it, or 640 if the group must read it", path, mode)
	}
	return ""
}
