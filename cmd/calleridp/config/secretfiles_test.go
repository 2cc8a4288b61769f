// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"calleridp/cmd/calleridp/envtest"
)

// Git keeps no permissions but that to execute, so that the secrets of testdata are
// readable for all in a checkout.
func TestMain(m *testing.M) {
	files, err := filepath.Glob("testdata/config/files/*")
	for _, file := range files {
		if info, err2 := os.Stat(file); err2 == nil && info.Mode().IsRegular() {
			err = errors.Join(err, os.Chmod(file, 0o600))
		}
	}
	if err != nil || len(files) == 0 {
		fmt.Fprintln(os.Stderr, "testdata:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// everySecretFile is a configuration with each key that names a file of a secret. All
// files are in the folder that %[1]s stands for.
const everySecretFile = `
issuer: https://id.example.com
data_dir: %[1]s/data
master_key_file: %[1]s/master
storage:
  engine: postgres
  dsn_file: %[1]s/dsn
  pooler: transaction
  listen_dsn_file: %[1]s/listen
tls:
  cert_file: %[1]s/cert
  key_file: %[1]s/tls
  acme:
    directory: https://acme.example.com/directory
    key_id: id
    mac_key_file: %[1]s/mac
admin_listen: 127.0.0.1:9443
admin_tls:
  cert_file: %[1]s/cert
  key_file: %[1]s/admin
truecaller:
  app_name: A
  app_key_file: %[1]s/key
  callback_secret_file: %[1]s/callback
truecaller_apps:
  - id: b
    app_name: B
    app_key_file: %[1]s/key2
    callback_secret_file: %[1]s/callback2
clients:
  - client_id: shop
    name: Shop
    secret_file: %[1]s/client
    redirect_uris: ["https://shop.example.com/cb"]
tracing:
  headers_file: %[1]s/headers
`

// secretFileKeys are its keys, by the file's name.
var secretFileKeys = map[string]string{
	"master": "master_key_file", "dsn": "storage.dsn_file", "listen": "storage.listen_dsn_file", "tls": "tls.key_file", "mac": "tls.acme.mac_key_file", "admin": "admin_tls.key_file",
	"key": "truecaller.app_key_file", "callback": "truecaller.callback_secret_file",
	"key2": "truecaller_apps[0].app_key_file", "callback2": "truecaller_apps[0].callback_secret_file", "client": "clients[0].secret_file",
	"headers": "tracing.headers_file",
}

// refused returns the keys that are refused when every file has this mode, with the reasons.
func refused(t *testing.T, dir, document string, mode os.FileMode) map[string]string {
	t.Helper()
	for name := range secretFileKeys {
		file := filepath.Join(dir, name)
		text := "not read by this test"
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "calleridp.yaml")
	if err := os.WriteFile(file, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	keys := map[string]string{}
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		for _, e := range invalid.Keys {
			keys[e.Key] += e.Reason
		}
	}
	return keys
}

// The server does not start while a file of a secret is open to every user of the machine,
// or can be changed by a group. A group may read it.
func TestSecretFilesMustBePrivate(t *testing.T) {
	envtest.Clear(t)
	dir := t.TempDir()
	document := fmt.Sprintf(everySecretFile, dir)
	const open = "every user of this machine can read or change "
	for _, row := range []struct {
		mode os.FileMode
		says string
	}{
		{0o600, ""}, {0o400, ""}, {0o440, ""}, {0o640, ""},
		{0o644, open}, {0o604, open}, {0o602, open}, {0o666, open}, {0o660, "its group can change "},
	} {
		d := newDecoder("")
		var c Config
		if err := os.WriteFile(filepath.Join(dir, "doc"), []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, document, row.mode)
		if err := d.readDocument(filepath.Join(dir, "doc"), "", &c); err != nil {
			t.Fatal(err)
		}
		d.checkPrivate(c)
		got := map[string]string{}
		for _, e := range d.errors {
			got[e.Key] = e.Reason
		}
		for name, key := range secretFileKeys {
			want := row.says
			if want != "" {
				want += filepath.Join(dir, name)
			}
			if (got[key] == "") != (want == "") || !strings.HasPrefix(got[key], want) {
				t.Errorf("mode %04o: %s: got %q, want %q", row.mode, key, got[key], want)
			}
		}
	}
	if keys := refused(t, dir, document, 0o644); !strings.Contains(keys["tls.key_file"], open) {
		t.Errorf("got %q; want Load to refuse them", keys)
	}
}

// Every key that names a file of a secret is in that list: a new one cannot be forgotten.
func TestEverySecretFileIsListed(t *testing.T) {
	var want, got []string
	var collect func(key string, of reflect.Type)
	collect = func(key string, of reflect.Type) {
		for field := range of.Fields() {
			name, kind := under(key, field.Tag.Get("yaml")), field.Type
			if kind.Kind() == reflect.Slice {
				kind = kind.Elem()
			}
			if kind.Kind() == reflect.Struct {
				collect(name, kind)
			} else if strings.HasSuffix(name, "_file") && !slices.Contains(publicFiles, name) {
				want = append(want, name)
			}
		}
	}
	collect("", reflect.TypeFor[Config]())
	for _, key := range secretFileKeys {
		got = append(got, strings.ReplaceAll(key, "[0]", ""))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q; add a new key to secretFiles and to this test, or to publicFiles", got, want)
	}
}

// publicFiles are the keys whose files hold no secret.
var publicFiles = []string{"tls.cert_file", "admin_tls.cert_file", "tls.acme.ca_file", "ui.logo_file", "clients.jwks_file", "tracing.ca_file"}

// systemd's credentials can be named wherever a file can.
func TestCredentials(t *testing.T) {
	envtest.Clear(t)
	dir := t.TempDir()
	document := fmt.Sprintf(everySecretFile, "${CREDENTIALS_DIRECTORY}")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	keys := refused(t, dir, document, 0o600)
	for _, key := range secretFileKeys {
		if !strings.Contains(keys[key], "CREDENTIALS_DIRECTORY is unset") {
			t.Errorf("%s: got %q, want that the variable is unset", key, keys[key])
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	keys = refused(t, dir, document, 0o644)
	for name, key := range secretFileKeys {
		if !strings.Contains(keys[key], filepath.Join(dir, name)) {
			t.Errorf("%s: got %q, want the file of the credential", key, keys[key])
		}
	}
}
