package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// devCertificate makes a certificate, or takes the one that is there if it is for
// this host and good for another day, and a client that trusts it and nothing
// else.
func devCertificate(dir, host string) (*certificates, *http.Client, error) {
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	c, leaf, err := readDevCertificate(certFile, keyFile)
	if err != nil || leaf.VerifyHostname(host) != nil || time.Until(leaf.NotAfter) < 24*time.Hour {
		if err := makeCertificate(certFile, keyFile, host); err != nil {
			return nil, nil, fmt.Errorf("--tls: %w", err)
		}
		if c, leaf, err = readDevCertificate(certFile, keyFile); err != nil {
			return nil, nil, fmt.Errorf("--tls: %w", err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	trust := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
	}}
	return c, trust, nil
}

func readDevCertificate(certFile, keyFile string) (*certificates, *x509.Certificate, error) {
	c, err := loadCertificates(certFile, keyFile)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(c.current.Load().Certificate[0])
	return c, leaf, err
}

// makeCertificate writes a certificate that signs itself, for three months.
func makeCertificate(certFile, keyFile, host string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 3, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if net.ParseIP(host) == nil {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
