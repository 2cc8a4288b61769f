// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Pebble is an ACME server for tests, Let's Encrypt's own. It looks for every host on this
// machine.
type Pebble struct {
	Directory string // its URL
	CAFile    string // the certificate that its own is checked against

	t          testing.TB
	management string
	dns        string
	config     string
	cmd        *exec.Cmd
}

// PebbleConfig says how a Pebble checks hosts.
type PebbleConfig struct {
	HTTPPort int               // of challenge HTTP-01
	TLSPort  int               // of challenge TLS-ALPN-01
	Validity time.Duration     // of certificates
	MACKeys  map[string]string // external accounts, one of which is required; nil: none
}

var buildPebble = sync.OnceValues(func() (string, error) {
	top, err := Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "calleridp-pebble-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "pebble")
	build := exec.Command("go", "build", "-o", binary, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = filepath.Join(top, "test", "pebble")
	if out, err := build.CombinedOutput(); err != nil {
		return "", &buildError{err, string(out)}
	}
	return binary, nil
})

type buildError struct {
	error
	out string
}

func (e *buildError) Error() string { return "building pebble: " + e.error.Error() + "\n" + e.out }

// NewPebble configures an ACME server, which does not run yet. certificate writes one for a
// host to two files.
func NewPebble(t testing.TB, c PebbleConfig, certificate func(certFile, keyFile, host string) error) *Pebble {
	t.Helper()
	dir := t.TempDir()
	p := &Pebble{t: t, CAFile: filepath.Join(dir, "ca.pem"), config: filepath.Join(dir, "pebble.json")}
	key := filepath.Join(dir, "ca.key")
	if err := certificate(p.CAFile, key, "localhost"); err != nil {
		t.Fatal(err)
	}
	acme, management := FreePort(t), FreePort(t)
	p.Directory, p.management = "https://localhost:"+acme+"/dir", "https://localhost:"+management
	type table map[string]any
	config, err := json.Marshal(table{"pebble": table{
		"listenAddress": "127.0.0.1:" + acme, "managementListenAddress": "127.0.0.1:" + management,
		"certificate": p.CAFile, "privateKey": key,
		"httpPort": c.HTTPPort, "tlsPort": c.TLSPort,
		"keyAlgorithm":                   "ecdsa",
		"externalAccountBindingRequired": c.MACKeys != nil, "externalAccountMACKeys": c.MACKeys,
		"retryAfter": table{"authz": 1, "order": 1},
		"profiles":   table{"default": table{"description": "default", "validityPeriod": int(c.Validity.Seconds())}},
	}})
	if err == nil {
		err = os.WriteFile(p.config, config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.dns = answerNames(t)
	return p
}

// Start starts it, and stops it after the test.
func (p *Pebble) Start() {
	p.t.Helper()
	p.cmd = exec.Command(must(buildPebble()), "-config", p.config, "-dnsserver", p.dns)
	p.cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.Stop)
	Eventually(p.t, "the ACME server responds", func() bool {
		response, err := p.client().Get(p.Directory)
		if err != nil {
			return false
		}
		response.Body.Close()
		return true
	})
}

// Stop stops it. It keeps nothing.
func (p *Pebble) Stop() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

func (p *Pebble) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(p.CAFile)))
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
}

// Roots returns the certificates that sign those that it issues.
func (p *Pebble) Roots() *x509.CertPool {
	p.t.Helper()
	response, err := p.client().Get(p.management + "/roots/0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(must(io.ReadAll(response.Body))) {
		p.t.Fatal("the ACME server has no root certificate")
	}
	return roots
}

// answerNames serves DNS over TCP: every name is 127.0.0.1.
func answerNames(t testing.TB) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for answerName(conn) == nil {
				}
			}()
		}
	}()
	return l.Addr().String()
}

// answerName answers one question (RFC 1035 §4.2.2).
func answerName(conn net.Conn) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return err
	}
	m.Header.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

// CertificateFor returns the certificate that a server at this address of TLS has for a host,
// checked against roots.
func CertificateFor(address, host string, roots *x509.CertPool) (*x509.Certificate, error) {
	dialer := &net.Dialer{Timeout: Timeout}
	conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{ServerName: strings.ToLower(host), RootCAs: roots})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}
