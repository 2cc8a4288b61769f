// SPDX-License-Identifier: Apache-2.0

// Package acme obtains the server's certificate from an ACME server (RFC 8555) and renews
// it. Account, certificate and key are files in one folder, which only the server's user
// can read.
//
// The ACME server checks that the host is ours by one of two challenges: TLS-ALPN-01 (RFC
// 8737) at the public listener, or HTTP-01 (RFC 8555 §8.3) at one for plain HTTP.
//
// certmagic does the work. Only this package knows it.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// Config says which certificate is obtained, and where. The terms of service of the ACME
// server must have been accepted.
type Config struct {
	Host      string         // DNS name that the certificate is for
	Directory string         // URL of the ACME server's directory
	Roots     *x509.CertPool // that sign the ACME server's own certificate; nil: the system's
	Email     string         // that the ACME server may write to; "" for none
	KeyID     string         // of an external account (RFC 8555 §7.3.4); "" for none
	MACKey    string         // of the external account, base64url
	Dir       string         // folder of account and certificates; made with mode 0700
	TLSPort   int            // that the public listener listens on
	HTTPPort  int            // that the listener for plain HTTP listens on; 0: there is none
	Log       *slog.Logger
}

// Manager holds the certificate. It is safe for concurrent use.
type Manager struct {
	host   string
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
	log    *slog.Logger
}

// ErrHost means that a client asked for another host, or that there is no certificate yet.
var ErrHost = errors.New("acme: no certificate for this host")

// checkInterval is how often it is checked whether the certificate must be renewed.
const checkInterval = 10 * time.Minute

// New returns a manager, which has done nothing yet.
func New(cfg Config) *Manager { return newManager(cfg, checkInterval) }

func newManager(cfg Config, check time.Duration) *Manager {
	m := &Manager{host: strings.ToLower(cfg.Host), log: cfg.Log}
	logger := zap.New(core{log: cfg.Log})
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		RenewCheckInterval: check,
		Logger:             logger,
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage:           &certmagic.FileStorage{Path: cfg.Dir},
		DefaultServerName: m.host, // for health checks by address, which send no name
		OCSP:              certmagic.OCSPConfig{DisableStapling: true},
		OnEvent:           m.happened,
		Logger:            logger,
	})
	issuer := certmagic.ACMEIssuer{
		CA:                        cfg.Directory,
		Email:                     cfg.Email,
		Agreed:                    true,
		TrustedRoots:              cfg.Roots,
		DisableHTTPChallenge:      cfg.HTTPPort == 0,
		DisableDistributedSolvers: true, // there is no other server
		AltHTTPPort:               cfg.HTTPPort,
		AltTLSALPNPort:            cfg.TLSPort,
		Logger:                    logger,
	}
	if cfg.KeyID != "" {
		issuer.ExternalAccount = &acme.EAB{KeyID: cfg.KeyID, MACKey: strings.TrimRight(cfg.MACKey, "=")}
	}
	m.issuer = certmagic.NewACMEIssuer(m.magic, issuer)
	m.magic.Issuers = []certmagic.Issuer{m.issuer}
	return m
}

// Start uses the stored certificate, and obtains one in the background if there is none or
// it must be renewed, again and again until it succeeds or ctx ends. The listeners must be
// open. It returns an error if the folder cannot be used.
func (m *Manager) Start(ctx context.Context) error {
	if err := m.magic.ManageAsync(ctx, []string{m.host}); err != nil {
		return fmt.Errorf("acme: %w", err)
	}
	return nil
}

// Stop ends the work in the background.
func (m *Manager) Stop() { m.cache.Stop() }

// Get implements tls.Config's GetCertificate.
func (m *Manager) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if name := strings.TrimSuffix(hello.ServerName, "."); name != "" && !strings.EqualFold(name, m.host) {
		return nil, ErrHost // without a look into the folder
	}
	return m.magic.GetCertificate(hello)
}

// Protocols returns the protocol of the challenge TLS-ALPN-01 (RFC 8737 §3).
func (m *Manager) Protocols() []string { return []string{acmez.ACMETLS1Protocol} }

// Ends returns the end of the certificate that is in use; the zero time if there is none.
func (m *Manager) Ends() (latest time.Time) {
	for _, c := range m.cache.AllMatchingCertificates(m.host) {
		if c.Leaf != nil && c.Leaf.NotAfter.After(latest) {
			latest = c.Leaf.NotAfter
		}
	}
	return latest
}

// Challenges responds to the challenge HTTP-01 that is under way for the host (RFC 8555 §8.3),
// and leaves all other requests to next. The library would sign any token for any host at any
// time, and read the account's key from the disk for each.
func (m *Manager) Challenges(next http.Handler) http.Handler {
	solver := m.issuer.HTTPChallengeHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if _, underWay := certmagic.GetACMEChallenge(m.host); !underWay || !strings.EqualFold(host, m.host) {
			next.ServeHTTP(w, r)
			return
		}
		solver.ServeHTTP(w, r)
	})
}

// happened logs what became of the certificate.
func (m *Manager) happened(ctx context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		m.log.InfoContext(ctx, "ACME: certificate obtained", "host", m.host, "renewal", data["renewal"])
	case "cert_failed":
		message := "ACME: no certificate could be obtained, and browsers get none; it is tried again"
		if ends := m.Ends(); !ends.IsZero() {
			message = "ACME: the certificate could not be renewed, and stays in use; it is tried again"
			m.log.ErrorContext(ctx, message, "host", m.host, "ends", ends, "error", data["error"])
			return nil
		}
		m.log.ErrorContext(ctx, message, "host", m.host, "error", data["error"])
	}
	return nil
}
