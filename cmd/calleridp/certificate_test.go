package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	written := time.Unix(1_000_000_000, 0)
	write := func(host string) {
		t.Helper()
		if err := makeCertificate(certFile, keyFile, host); err != nil {
			t.Fatal(err)
		}
		written = written.Add(time.Second)
		if err := os.Chtimes(certFile, written, written); err != nil {
			t.Fatal(err)
		}
	}
	write("one.example.com")
	synctest.Test(t, func(t *testing.T) {
		c, err := loadCertificates(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		host := func() string {
			pair, err := c.get(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(pair.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return leaf.Subject.CommonName
		}
		var log bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { c.watch(ctx, slog.New(slog.NewTextHandler(&log, nil))); close(ended) }()
		wait := func() { time.Sleep(6 * time.Second); synctest.Wait() }

		write("two.example.com")
		wait()
		if host() != "two.example.com" {
			t.Errorf("still %s", host())
		}
		// Half-way through a change, key and certificate do not match.
		if err := os.WriteFile(certFile, []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
		wait()
		if host() != "two.example.com" || !strings.Contains(log.String(), "the old one stays in use") {
			t.Errorf("%s; log %s", host(), log.String())
		}
		write("three.example.com")
		wait()
		if host() != "three.example.com" {
			t.Errorf("still %s", host())
		}
		stop()
		<-ended
	})
}

func TestCertificateOfDevIsForItsHostAndLoopback(t *testing.T) {
	dir := t.TempDir()
	c, trust, err := devCertificate(dir, "id.test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"id.test", "localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := leaf.VerifyHostname("example.com"); err == nil {
		t.Error("it is good for any host")
	}
	if trust == nil {
		t.Error("no client that trusts it")
	}
	again, _, err := devCertificate(dir, "id.test")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := again.get(nil); err != nil || !bytes.Equal(other.Certificate[0], pair.Certificate[0]) {
		t.Error("a second start makes another certificate, so that browsers ask again")
	}
	// Another host needs another certificate.
	renamed, _, err := devCertificate(dir, "other.test")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := renamed.get(nil); err != nil || bytes.Equal(other.Certificate[0], pair.Certificate[0]) {
		t.Error("the certificate is not for the new host")
	}
	info, err := os.Stat(filepath.Join(dir, "tls.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
