package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// watchInterval is how often files are checked for changes.
const watchInterval = 5 * time.Second

// Certificate is a TLS certificate that is read again when its file changes.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	changed           time.Time
	reload            chan struct{} // holds at most one demand to read the files again
}

// LoadCertificate reads a certificate and its private key.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, reload: make(chan struct{}, 1)}
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

// Reload makes Watch read the certificate again, also if its file's time is the same.
func (c *Certificate) Reload() {
	select {
	case c.reload <- struct{}{}:
	default: // it is about to
	}
}

// Watch reads the certificate again when its file changes or Reload demands it, until
// ctx ends. If the new pair does not load, the old one stays in use.
func (c *Certificate) Watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.reload:
			c.changed = time.Time{}
		}
		info, err := os.Stat(c.certFile)
		if err == nil && info.ModTime().Equal(c.changed) {
			continue
		}
		if err == nil {
			err = c.load()
		}
		if err != nil {
			log.Error("the new certificate does not load; the old one stays in use", "error", err)
			continue
		}
		log.Info("certificate loaded")
	}
}
