// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"calleridp/provider/redact"
)

// TLS is the server's certificate: from files, which are read again when they change, or
// from an ACME server. Without either the server speaks plain HTTP and must run behind a
// proxy that terminates TLS.
type TLS struct {
	// CertFile is the file with the certificate and its chain (PEM).
	CertFile string `yaml:"cert_file"`
	// KeyFile is the file with the private key (PEM).
	KeyFile string `yaml:"key_file"`
	// ACME obtains the certificate, and renews it.
	ACME ACME `yaml:"acme"`
	// HTTPListen is the address of a second listener, for plain HTTP, like :80. It redirects
	// browsers that open the issuer's host to https, and answers ACME's challenge HTTP-01. If
	// unset, there is none.
	HTTPListen string `yaml:"http_listen"`
	// HSTS is how long browsers that were here use https alone (RFC 6797), also behind a
	// proxy; 0s sends no such header. Default 365d if the issuer is https.
	HSTS Delay `yaml:"hsts"`
	// HTTP1Only offers browsers no HTTP/2. A page that waits for an approval then needs
	// about 12 KiB of memory and not 65.
	HTTP1Only bool `yaml:"http1_only"`
}

// ACME obtains the certificate of the issuer's host from an ACME server (RFC 8555), for one
// server with the embedded store. Account and certificate are kept in the folder acme of
// data_dir. See docs/operators/proxies.md.
type ACME struct {
	// Directory is the directory URL of the ACME server, like
	// https://acme-v02.api.letsencrypt.org/directory. If unset, there is no ACME.
	Directory string `yaml:"directory"`
	// AcceptTerms says that you accept the terms of service of the ACME server. Required.
	AcceptTerms bool `yaml:"accept_terms"`
	// Email is the address to which the ACME server may write. Optional.
	Email string `yaml:"email"`
	// CAFile is the file with the root certificates (PEM) that the ACME server's own
	// certificate is checked against, for a private one. Default those of the system.
	CAFile string `yaml:"ca_file"`
	// KeyID is the key identifier of an external account (RFC 8555 section 7.3.4), for ACME
	// servers that require one.
	KeyID string `yaml:"key_id"`
	// MACKeyFile is the file with its MAC key, in base64url. Required with key_id, unless
	// CALLERIDP_TLS_ACME_MAC_KEY holds it.
	MACKeyFile string      `yaml:"mac_key_file"`
	MACKey     redact.Text `yaml:"mac_key" secret:"environment"`
}

// AdminTLS is the certificate of admin_listen. Its files are read again when they change.
type AdminTLS struct {
	// CertFile is the file with the certificate and its chain (PEM).
	CertFile string `yaml:"cert_file"`
	// KeyFile is the file with the private key (PEM).
	KeyFile string `yaml:"key_file"`
}

// On reports whether the server speaks TLS itself.
func (c TLS) On() bool { return c.CertFile != "" || c.ACME.On() }

// On reports whether the certificate comes from an ACME server.
func (c ACME) On() bool { return c.Directory != "" }

// ACMEDir returns the folder of the ACME account and the certificate.
func (s Settings) ACMEDir() string { return filepath.Join(s.DataDir, "acme") }

// Host returns the issuer's host without its port.
func (c Config) Host() string {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// checkTLS returns the root certificates of the ACME server, and the MAC key of an external
// account.
func (d *decoder) checkTLS(c Config) (roots *x509.CertPool, macKey redact.Text) {
	t := c.TLS
	switch {
	case t.ACME != (ACME{}):
		roots, macKey = d.checkACME(c)
	case t.CertFile == "" && t.KeyFile == "":
		if t.HTTP1Only {
			d.refuse("tls.http1_only", "there is no certificate: set cert_file and key_file, or remove it")
		}
		if t.HTTPListen != "" {
			d.refuse("tls.http_listen", "there is no certificate, so that it would redirect to nothing: set cert_file and key_file, or acme, or remove it")
		}
	default:
		d.checkCertificate("tls", t.CertFile, t.KeyFile)
	}
	if t.HTTPListen != "" {
		_, port, _ := net.SplitHostPort(t.HTTPListen)
		_, public, _ := net.SplitHostPort(c.Listen)
		switch {
		case !isListenAddress(t.HTTPListen):
			d.refuse("tls.http_listen", "%q is not an address like :80", t.HTTPListen)
		case port == public:
			d.refuse("tls.http_listen", "port %s is already used by listen", port)
		}
	}
	if t.HSTS.Duration > 0 && !c.IsHTTPS() {
		d.refuse("tls.hsts", "the issuer is not https; remove it")
	}
	return roots, macKey
}

// checkACME checks the ACME client of a server.
func (d *decoder) checkACME(c Config) (roots *x509.CertPool, macKey redact.Text) {
	a := c.TLS.ACME
	if c.TLS.CertFile != "" || c.TLS.KeyFile != "" {
		d.refuse("tls.acme", "there are cert_file or key_file already; remove them, or acme")
	}
	switch u, err := url.Parse(a.Directory); {
	case a.Directory == "":
		d.refuse("tls.acme.directory", "missing; write the directory URL of the ACME server, like https://acme-v02.api.letsencrypt.org/directory")
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "": // RFC 8555 §6.1
		d.refuse("tls.acme.directory", "%q is not an https URL (RFC 8555 section 6.1)", a.Directory)
	}
	if !a.AcceptTerms {
		d.refuse("tls.acme.accept_terms", "must be true: read the terms of service of the ACME server, and say that you accept them")
	}
	if _, err := netip.ParseAddr(c.Host()); c.Issuer != "" && (!c.IsHTTPS() || err == nil) {
		d.refuse("tls.acme", "the issuer must be an https URL with a name, not with an address, because the certificate is for that name (got %q)", c.Issuer)
	}
	if c.Storage.Engine == EnginePostgres {
		d.refuse("tls.acme", "is for one server: with storage.engine postgres, any server may get the challenge of another one, and each would order a certificate of its own; use cert_file and key_file with one certificate for all, or end TLS at the load balancer")
	}
	if a.CAFile != "" {
		if text, err := os.ReadFile(a.CAFile); err != nil {
			d.refuse("tls.acme.ca_file", "%s", fileReason(a.CAFile, err))
		} else if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			d.refuse("tls.acme.ca_file", "%s has no certificate in PEM", a.CAFile)
		}
	}
	macKey = d.secret("tls.acme.mac_key", a.MACKey, a.MACKeyFile)
	if (a.KeyID == "") != (macKey == "") && !d.failed("tls.acme.mac_key_file") {
		d.refuse("tls.acme.key_id", "set key_id and mac_key_file together, or neither")
	}
	if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(string(macKey), "=")); err != nil {
		d.refuse("tls.acme.mac_key_file", "is not in base64url; write the key as the ACME server shows it")
	}
	return roots, macKey
}
