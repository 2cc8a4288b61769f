// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"calleridp/cmd/calleridp/command"
	"calleridp/cmd/calleridp/config"
	"calleridp/keys"
	"calleridp/provider/client"
)

// settings returns a configuration as `calleridp serve` would read it, with the
// simulator in place of Truecaller. Budgets are wide; the lock stays.
func settings(o options, issuer, phoneURL, shopURL string) (config.Settings, error) {
	masterFile := filepath.Join(o.data, "master.key")
	if _, err := os.Stat(masterFile); errors.Is(err, fs.ErrNotExist) {
		if err := keys.CreateMaster(masterFile); err != nil {
			return config.Settings{}, err
		}
	}
	region := o.region
	if region == "none" {
		region = ""
	}
	wide := config.Rate{Burst: 1_000_000, Period: time.Hour}
	c := config.Config{
		Issuer:        issuer,
		DataDir:       o.data,
		Storage:       config.Storage{Engine: o.storage, DSNFile: o.dsnFile},
		MasterKeyFile: masterFile,
		DefaultRegion: region,
		Truecaller: config.Truecaller{
			AppName:        "Demo shop",
			AppKey:         "simulated-app-key",
			CallbackSecret: "simulated-callback-secret-on-loopback-only",
			APIURL:         phoneURL,
			ProfileURLs:    []string{phoneURL},
			Methods:        []string{config.MethodPush, config.MethodOneTap, config.MethodNative},
			NativeClientID: "simulated-native-client-id",
			OAuthURL:       phoneURL,
		},
		TruecallerApps: []config.Truecaller{{
			ID:             "second",
			AppName:        "Second demo",
			AppKey:         "second-simulated-app-key",
			CallbackSecret: "second-callback-secret-on-loopback-only",
			APIURL:         phoneURL,
			ProfileURLs:    []string{phoneURL},
			Methods:        []string{config.MethodPush, config.MethodOneTap},
		}},
		Limits: config.Limits{
			Number:     wide, // and so of each network
			Network:    wide,
			Client:     wide,
			Deployment: wide,
			Challenge:  o.challenge,
		},
		Registration: config.Registration{
			Mode:                   o.registration,
			Network:                wide,
			Deployment:             wide,
			ShowLogos:              true,
			DangerouslyWithoutPKCE: o.withoutPKCE,
		},
		DeviceFlow: config.DeviceFlow{
			Enabled:    true,
			Network:    wide,
			Client:     wide,
			Deployment: wide,
			UserCodes:  wide,
		},
		Signals:   config.Signals{Enabled: true},
		Lifetimes: config.Lifetimes{Attempt: config.Duration(o.attemptLife)},
		// Clients on this machine may publish documents and get logout tokens.
		ClientNetworks: []string{"127.0.0.0/8", "::1/128"},
		RequestObjects: string(client.RequestObjectsAny), // unless a client registers an algorithm

		Audit:   config.Audit{To: []string{config.AuditFile, config.AuditLog}}, // the console shows it
		Log:     config.Log{Level: "warn", Format: "text"},
		Clients: demoClients(shopURL),
	}
	for _, t := range client.ResponseTypes { // each client still has only those that it names
		c.ResponseTypes = append(c.ResponseTypes, string(t))
	}
	if o.verbose || o.output == command.JSON {
		c.Log.Level = "info"
	}
	if o.output == command.JSON {
		c.Log.Format = "json"
	}
	names := make([]string, len(c.Clients))
	for i := range names {
		names[i] = fmt.Sprintf("the demo's clients[%d]", i)
	}
	for _, file := range o.clients {
		more, err := config.ReadClients(file)
		if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
			return config.Settings{}, invalid
		}
		if err != nil {
			return config.Settings{}, fmt.Errorf("--clients: %w", err)
		}
		for i, one := range more {
			c.Clients, names = append(c.Clients, one), append(names, fmt.Sprintf("%s: clients[%d]", file, i))
		}
	}
	s, err := config.Check(c, "the development configuration", names)
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		for i, e := range invalid.Keys {
			if flag := flags[e.Key]; flag != "" {
				invalid.Keys[i].Key = flag
			}
		}
	}
	s.StorageKey = func(string) string { return flags["storage.dsn_file"] }
	// The flag may turn the cool-down off: test suites decline a number and try it again.
	s.Limits.AfterApproval = 0 // and they sign a number in from one browser after the other
	s.Limits.CoolDown = config.Duration(o.coolDown)
	s.AfterDecline = s.Limits.CoolDown
	s.Limits.CoolDownMax = max(s.Limits.CoolDownMax, s.Limits.CoolDown)
	s.Drain.ReadyDelay = config.Delay{Set: true} // there is no load balancer
	return s, err
}

// flags are those that set keys of the configuration.
var flags = map[string]string{
	"storage.engine":    "--storage",
	"storage.dsn_file":  "--dsn-file",
	"registration.mode": "--registration",
}

// demoClients are the clients of the demo application, and others to try.
func demoClients(shopURL string) []config.Client {
	redirects, afterLogout := []string{shopURL + "/callback"}, []string{shopURL + "/"}
	return []config.Client{
		{
			ID:                     "demo",
			Name:                   "Demo shop",
			Secret:                 "demo-secret",
			RedirectURIs:           redirects,
			PostLogoutRedirectURIs: afterLogout,
		},
		{
			ID:                     "demo2",
			Name:                   "Second demo",
			Secret:                 "demo2-secret",
			TruecallerApp:          "second",
			RedirectURIs:           redirects,
			PostLogoutRedirectURIs: afterLogout,
		},
		{
			ID:           "demo-third",
			Name:         "Third-party demo",
			Secret:       "demo-third-secret",
			Consent:      "remember",
			RedirectURIs: redirects,
		},
		{
			ID:           "demo-es256",
			Name:         "Demo with ES256",
			Secret:       "demo-es256-secret",
			RedirectURIs: redirects,
			IDTokenAlg:   "ES256",
		},
		{
			ID:             "demo-public",
			Name:           "Public demo",
			Public:         true,
			RedirectURIs:   append([]string{"http://127.0.0.1/callback"}, redirects...),
			AllowedOrigins: []string{shopURL},
		},
		{
			ID:         "demo-device",
			Name:       "Demo for televisions",
			Public:     true,
			DeviceFlow: true,
		},
		{
			ID:     "demo-native",
			Name:   "Demo for Android",
			Public: true,
			Native: true,
		},
	}
}
