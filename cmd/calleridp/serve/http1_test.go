// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/selfsigned"
)

// The server offers HTTP/2, unless tls.http1_only says otherwise.
func TestHTTP1Only(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := selfsigned.Write(certFile, keyFile, "localhost"); err != nil {
		t.Fatal(err)
	}
	certificate, err := LoadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for only, want := range map[bool]string{false: "HTTP/2.0", true: "HTTP/1.1"} {
		public, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := &Program{
			Public:      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }),
			Admin:       http.NotFoundHandler(),
			Connections: NewConnections(10, 10, ClientAddresses{}),
			Store:       stepStore{steps: new(steps)},
			Drain:       func() {},
			LastLines:   func() {},
		}
		var s config.Settings
		s.AdminSocket = filepath.Join(t.TempDir(), "admin.sock")
		s.TLS.HTTP1Only = only
		ctx, stop := context.WithCancel(t.Context())
		err = p.Run(ctx, s, public, certificate, slog.New(slog.DiscardHandler), func() {
			go func() {
				defer stop()
				trusting := &http.Transport{
					TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // of this test's own server
					ForceAttemptHTTP2: true,
				}
				defer trusting.CloseIdleConnections()
				answer, err := (&http.Client{Transport: trusting}).Get("https://" + public.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				defer answer.Body.Close()
				if got, err := io.ReadAll(answer.Body); err != nil || string(got) != want {
					t.Errorf("http1_only %v: the request was %s, %v, want %s", only, got, err, want)
				}
			}()
		})
		if err != nil {
			t.Errorf("http1_only %v: %v", only, err)
		}
	}
}
