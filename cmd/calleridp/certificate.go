package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificates is a certificate that is read again when its file changes.
type certificates struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	changed           time.Time
}

func loadCertificates(certFile, keyFile string) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

func (c *certificates) load() error {
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

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// watch looks at the file every few seconds. A pair that does not load leaves
// the old one in use.
func (c *certificates) watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
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
