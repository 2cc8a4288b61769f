// SPDX-License-Identifier: Apache-2.0

// Package config reads and checks the configuration: a YAML file and the
// environment, which wins.
//
//	config.go    the structs, that of clients in clients.go; their comments are the manual,
//	             docs/configuration.md
//	values.go    durations, rates and bits, as the file writes them
//	decode.go    decodes the file, strictly
//	environment.go  the same for the environment
//	text.go      text files, as editors write them
//	load.go      the way from the file to Settings
//	defaults.go  what unset keys mean
//	check.go     what is refused; tls.go, storage.go, backup.go, apps.go, clients.go, ui.go and
//	             tracing.go continue it
//	secretfiles.go  files of secrets: systemd's credentials, and who may read them
//	reload.go    what a running server takes over when it reads all of it again
//	warnings.go  what is allowed and probably a mistake
//	writable.go  what the server could not write
//	errors.go    errors, each with its key and origin
//	command.go   calleridp config check
//
// All errors of a configuration are reported at once. Libraries validate values
// and name the field that they refuse; check.go maps fields to keys.
package config

import (
	"crypto/x509"
	"log/slog"
	"net/netip"
	"strings"

	"calleridp/cmd/calleridp/country"
	"calleridp/keys"
	"calleridp/provider/client"
	"calleridp/provider/console"
	"calleridp/provider/redact"
	"calleridp/storage/postgres"
	"calleridp/truecaller"
	"calleridp/ui/page"
)

// Settings is the configuration, checked, with the files that it names read.
type Settings struct {
	Config
	Master         *keys.Master
	Postgres       *postgres.Options // nil for the embedded engine
	Apps           []truecaller.App  // the first serves clients that name none
	Clients        []client.Client   // in the place of Config.Clients
	Proxies        []netip.Prefix
	ClientNetworks []netip.Prefix
	Brand          page.Brand
	Traces         Traces
	ACMERoots      *x509.CertPool    // nil for the system's
	ACMEMACKey     redact.Text       // of an external account, "" for none
	CountryDB      *country.Database // nil if none is configured
	LogLevel       slog.Level
	Operators      []console.Operator
	// StorageKey returns what sets an option of the database (postgres.Options), for errors.
	StorageKey func(field string) string
	// AfterDecline is how long a number stays locked after a decline. Zero: limits.lock.
	AfterDecline Duration
}

// Load reads and checks the configuration: the file, unless that is "", and the
// environment. The error is an *InvalidError if values are refused.
func Load(file string) (Settings, error) {
	c, d, err := read(file)
	if err != nil {
		return Settings{}, err
	}
	s := d.check(c)
	return s, d.err(source(file))
}

// Check checks a configuration that no file holds. source describes it in errors,
// and clientKeys what its clients are called there. Clients may have secrets in the
// clear.
func Check(c Config, source string, clientKeys []string) (Settings, error) {
	d := newDecoder(secretsOfDev)
	d.clientKeys = clientKeys
	s := d.check(c)
	return s, d.err(source)
}

// ReadClients reads a YAML file with a list as under clients. Clients may have
// secrets in the clear. Check checks their values.
func ReadClients(file string) ([]Client, error) {
	d := newDecoder(secretsOfDev)
	var clients []Client
	if err := d.readDocument(file, "clients", &clients); err != nil {
		return nil, err
	}
	return clients, d.err(file)
}

// AdminSocket returns the admin socket that the configuration sets, "" if that
// names neither a socket nor a data_dir. It checks nothing.
func AdminSocket(file string) (string, error) {
	c, _, err := read(file)
	if err != nil || c.DataDir == "" && c.AdminSocket == "" {
		return "", err
	}
	c.setDefaults()
	return c.AdminSocket, nil
}

// secretsOfDev lets a document fill the fields with the tag `secret:"dev"`.
const secretsOfDev = "dev"

func read(file string) (Config, *decoder, error) {
	var c Config
	d := newDecoder("")
	if file != "" {
		if err := d.readDocument(file, "", &c); err != nil {
			return Config{}, nil, err
		}
	}
	d.readEnvironment(&c)
	return c, d, nil
}

// source describes where the configuration comes from.
func source(file string) string {
	if file == "" {
		return "the environment (--config FILE adds a file)"
	}
	return file
}

// IsHTTPS reports whether the issuer is an https URL.
func (c Config) IsHTTPS() bool { return strings.HasPrefix(c.Issuer, "https://") }

// CallbackSecretFile returns the file with the callback secret of the app with
// this id, "" if its secret comes from the environment.
func (c Config) CallbackSecretFile(id string) string {
	for _, app := range c.keyedApps() {
		if app.ID == id && app.CallbackSecret == "" {
			return app.CallbackSecretFile
		}
	}
	return ""
}
