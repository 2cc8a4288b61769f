// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// watchInterval is how often files are checked for changes.
const watchInterval = 5 * time.Second

// Certificates is where the public listener has its certificate from: files, or an ACME
// server.
type Certificates interface {
	// Get implements tls.Config's GetCertificate.
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Protocols returns the protocols of ALPN that it needs beside HTTP's.
	Protocols() []string
	// Ends returns when the certificate ends; the zero time if there is none.
	Ends() time.Time
}

// Certificate is a TLS certificate that is read again when its file changes.
type Certificate struct {
	current atomic.Pointer[tls.Certificate]

	mu                sync.Mutex // protects what follows, and held while files are read
	certFile, keyFile string
	changed           time.Time
}

// LoadCertificate reads a certificate and its private key.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

func (c *Certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.changed = info.ModTime()
	c.current.Store(&pair)
	return nil
}

// Get implements tls.Config's GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Leaf returns the current certificate itself, without its chain.
func (c *Certificate) Leaf() *x509.Certificate { return c.current.Load().Leaf }

// Protocols implements Certificates.
func (c *Certificate) Protocols() []string { return nil }

// Ends implements Certificates.
func (c *Certificate) Ends() time.Time { return c.Leaf().NotAfter }

// Prepare reads a certificate from these files. use replaces the current one by it; renewed
// reports whether that is another one.
func (c *Certificate) Prepare(certFile, keyFile string) (use func(), renewed bool, err error) {
	info, err := os.Stat(certFile)
	if err != nil {
		return nil, false, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, false, fmt.Errorf("the certificate does not load: %w", err)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.certFile, c.keyFile, c.changed = certFile, keyFile, info.ModTime()
		c.current.Store(&pair)
	}, !bytes.Equal(pair.Leaf.Raw, c.Leaf().Raw), nil
}

// Watch reads the certificate again when its file changes, until ctx ends. If the new pair
// does not load, the old one stays in use.
func (c *Certificate) Watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch loaded, err := c.reread(); {
		case err != nil:
			log.Error("the new certificate does not load; the old one stays in use", "error", err)
		case loaded:
			log.Info("certificate loaded")
		}
	}
}

// reread loads the certificate if its file has changed.
func (c *Certificate) reread() (loaded bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.certFile)
	if err != nil || info.ModTime().Equal(c.changed) {
		return false, err
	}
	err = c.load()
	return err == nil, err
}
