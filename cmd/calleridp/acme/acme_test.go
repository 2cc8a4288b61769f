// SPDX-License-Identifier: Apache-2.0

package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/test/harness"
)

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A certificate is obtained by TLS-ALPN-01, renewed while the server runs, and kept when the
// ACME server is away. Another host gets none. Only the server's user can read the key.
func TestRenewal(t *testing.T) {
	t.Parallel()
	const host = "login.example.com"
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	port := plain.Addr().(*net.TCPAddr).Port
	pebble := harness.NewPebble(t, harness.PebbleConfig{TLSPort: port, Validity: 8 * time.Second}, selfsigned.Write)
	pebble.Start()

	log, dir := &safeBuffer{}, filepath.Join(t.TempDir(), "acme")
	defer func() {
		if t.Failed() {
			t.Log(log)
		}
	}()
	ca, err := os.ReadFile(pebble.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	m := newManager(Config{
		Host: host, Directory: pebble.Directory, Roots: roots, Dir: dir, TLSPort: port,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, 200*time.Millisecond)
	defer m.Stop()
	listener := tls.NewListener(plain, &tls.Config{GetCertificate: m.Get, NextProtos: m.Protocols()})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { conn.(*tls.Conn).Handshake(); conn.Close() }()
		}
	}()
	if !m.Ends().IsZero() {
		t.Errorf("before the start: got an end at %v, want none", m.Ends())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		c, err := harness.CertificateFor(listener.Addr().String(), host, pebble.Roots())
		if err != nil {
			return ""
		}
		return c.SerialNumber.String()
	}
	harness.Eventually(t, "there is a certificate", func() bool { return serial() != "" })
	first, ends := serial(), m.Ends()
	if left := time.Until(ends); ends.IsZero() || left > 9*time.Second {
		t.Errorf("the certificate ends in %v, want within 9s", left)
	}
	if _, err := harness.CertificateFor(listener.Addr().String(), "other.example.com", pebble.Roots()); err == nil {
		t.Error("another host got a certificate")
	}
	harness.Eventually(t, "the certificate is renewed", func() bool { now := serial(); return now != "" && now != first })
	if !m.Ends().After(ends) {
		t.Errorf("after the renewal it ends at %v, want later than %v", m.Ends(), ends)
	}
	pebble.Stop()
	harness.Eventually(t, "a failed renewal is logged", func() bool {
		return strings.Contains(log.String(), "could not be renewed, and stays in use")
	})
	if c, err := m.Get(&tls.ClientHelloInfo{ServerName: host}); err != nil || c == nil {
		t.Errorf("without the ACME server: got %v", err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v (%v), want none for others", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

// What the library has to say reaches our log, at a level that fits.
func TestLogOfTheLibrary(t *testing.T) {
	var log bytes.Buffer
	m := New(Config{Host: "login.example.com", Directory: "https://127.0.0.1:1/", Dir: t.TempDir(),
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	defer m.Stop()
	logger := m.magic.Logger
	logger.Debug("a message of the protocol")
	logger.Info("about to do something")
	logger.Warn("something is odd")
	logger.Named("x").Error("something failed")
	got := log.String()
	for text, want := range map[string]bool{
		"a message of the protocol": false, "about to do something": false,
		`level=WARN msg="ACME: something is odd"`: true, `level=ERROR msg="ACME: something failed"`: true,
	} {
		if strings.Contains(got, text) != want {
			t.Errorf("%q is in the log: want %v\n%s", text, want, got)
		}
	}
	if _, err := m.Get(&tls.ClientHelloInfo{ServerName: "other.example.com"}); !errors.Is(err, ErrHost) {
		t.Errorf("another host: got %v, want ErrHost", err)
	}
}

// A stranger's token is not answered when no challenge is under way, whatever host they name.
func TestThreat_TokensOfStrangers(t *testing.T) {
	m := New(Config{Host: "login.example.com", Directory: "https://127.0.0.1:1/dir", Dir: t.TempDir(), HTTPPort: 80, Log: slog.New(slog.DiscardHandler)})
	defer m.Stop()
	left := m.Challenges(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, host := range []string{"login.example.com", "evil.example"} {
		w := httptest.NewRecorder()
		left.ServeHTTP(w, httptest.NewRequest("GET", "http://"+host+"/.well-known/acme-challenge/of-a-stranger", nil))
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: got %d with %q", host, w.Code, w.Body)
		}
	}
}
