// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/cmd/calleridp/serve"
	"calleridp/provider/admin"
	pages "calleridp/ui/console"
)

// The console says of each certificate that the server should have when it ends, or that it
// is not there: also of one that an ACME server has not issued yet, which is in no file.
func TestCertificatesOfTheConsole(t *testing.T) {
	now := time.Date(2026, 11, 30, 6, 20, 0, 0, time.UTC)
	for left, want := range map[time.Duration]pages.Fact{
		15 * 24 * time.Hour: {Name: "Certificate", Value: "until 2026-12-15", Note: "15 days left", Good: true},
		14 * 24 * time.Hour: {Name: "Certificate", Value: "until 2026-12-14", Note: "14 days left", Bad: true},
	} {
		if got := certificateFact("Certificate", now.Add(left), now); got != want {
			t.Errorf("%s left: got %+v, want %+v", left, got, want)
		}
	}
	with := func(s config.Settings) *running {
		r := &running{program: &serve.Program{}}
		r.settings.Store(&s)
		return r
	}
	r := with(config.Settings{})
	if facts, c := r.certificateFacts(now), r.certificate(); len(facts) > 0 || c != (admin.Certificate{Source: "none"}) {
		t.Errorf("without TLS: got %+v, %+v", facts, c)
	}
	r = with(config.Settings{Config: config.Config{TLS: config.TLS{ACME: config.ACME{Directory: "https://acme.example/directory"}}}})
	if facts, c := r.certificateFacts(now), r.certificate(); len(facts) != 1 || facts[0].Value != "none yet" || !facts[0].Bad || c.Source != "acme" {
		t.Errorf("before ACME has one: got %+v, %+v", facts, c)
	}
	dir := t.TempDir()
	own := config.AdminTLS{CertFile: filepath.Join(dir, "a.crt"), KeyFile: filepath.Join(dir, "a.key")}
	if err := selfsigned.Write(own.CertFile, own.KeyFile, "localhost"); err != nil {
		t.Fatal(err)
	}
	r = with(config.Settings{Config: config.Config{AdminTLS: own}})
	if facts := r.certificateFacts(time.Now()); len(facts) != 1 || !facts[0].Good && !facts[0].Bad || facts[0].Value == "none yet" {
		t.Errorf("that of admin_listen: got %+v", facts)
	}
	if err := os.Remove(own.CertFile); err != nil {
		t.Fatal(err)
	}
	if facts := r.certificateFacts(now); len(facts) != 1 || !facts[0].Bad {
		t.Errorf("without its file: got %+v", facts)
	}
}
