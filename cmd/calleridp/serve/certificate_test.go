// SPDX-License-Identifier: Apache-2.0

package serve_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/cmd/calleridp/serve"
)

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	written := time.Unix(1_000_000_000, 0)
	write := func(host string) {
		t.Helper()
		if err := selfsigned.Write(certFile, keyFile, host); err != nil {
			t.Fatal(err)
		}
		written = written.Add(time.Second)
		if err := os.Chtimes(certFile, written, written); err != nil {
			t.Fatal(err)
		}
	}
	write("one.example.com")
	synctest.Test(t, func(t *testing.T) {
		c, err := serve.LoadCertificate(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		host := func() string {
			pair, err := c.Get(nil)
			if err != nil {
				t.Fatal(err)
			}
			return pair.Leaf.Subject.CommonName
		}
		var log bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { c.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil))); close(ended) }()
		wait := func() { time.Sleep(6 * time.Second); synctest.Wait() }

		write("two.example.com")
		wait()
		if got := host(); got != "two.example.com" {
			t.Errorf("after a change: got %s, want two.example.com", got)
		}
		// In the middle of a change, key and certificate do not match.
		if err := os.WriteFile(certFile, []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
		wait()
		if host() != "two.example.com" || !strings.Contains(log.String(), "the old one stays in use") {
			t.Errorf("after half a change: got %s, log %s; want two.example.com and an error in the log", host(), log.String())
		}
		write("three.example.com")
		wait()
		if got := host(); got != "three.example.com" {
			t.Errorf("after another change: got %s, want three.example.com", got)
		}
		// Two files of the same time: only a reload shows that one is new.
		info, err := os.Stat(certFile)
		if err != nil {
			t.Fatal(err)
		}
		write("four.example.com")
		if err := os.Chtimes(certFile, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		use, renewed, err := c.Prepare(certFile, keyFile)
		if err != nil || !renewed || host() != "three.example.com" {
			t.Fatalf("got %v, %v and %s; want another certificate that is not used yet", renewed, err, host())
		}
		use()
		if got := host(); got != "four.example.com" || !c.Ends().Equal(c.Leaf().NotAfter) {
			t.Errorf("after a reload: got %s until %v, want four.example.com", got, c.Ends())
		}
		if _, renewed, err := c.Prepare(certFile, keyFile); renewed || err != nil {
			t.Errorf("the same files again: got %v, %v; want no other certificate", renewed, err)
		}
		if _, _, err := c.Prepare(certFile, filepath.Join(dir, "missing")); err == nil {
			t.Error("a missing key: got no error")
		}
		wait() // Watch knows the new file
		if strings.Count(log.String(), "certificate loaded") != 2 {
			t.Errorf("got %s, want two certificates loaded by themselves", log.String())
		}
		stop()
		<-ended
	})
}
