// SPDX-License-Identifier: Apache-2.0

package dev

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/cmd/calleridp/serve"
)

// certificateFor returns a certificate for the host, and an HTTP client that
// trusts it and no other. It reuses the certificate in dir if that is for this
// host and valid for another day, so that browsers need not accept a new one.
func certificateFor(dir, host string) (*serve.Certificate, *http.Client, error) {
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	c, err := serve.LoadCertificate(certFile, keyFile)
	if err != nil || c.Leaf().VerifyHostname(host) != nil || time.Until(c.Leaf().NotAfter) < 24*time.Hour {
		if err := selfsigned.Write(certFile, keyFile, host); err != nil {
			return nil, nil, fmt.Errorf("--tls: %w", err)
		}
		if c, err = serve.LoadCertificate(certFile, keyFile); err != nil {
			return nil, nil, fmt.Errorf("--tls: %w", err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(c.Leaf())
	trusting := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
		},
	}
	return c, trusting, nil
}
