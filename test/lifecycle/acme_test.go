// SPDX-License-Identifier: Apache-2.0

//go:build linux

package lifecycle

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"calleridp/cmd/calleridp/selfsigned"
	"calleridp/test/harness"
)

// acmeHost is the host of the servers with ACME.
const acmeHost = "login.example.com"

// acmeServer is a server that obtains its certificate.
type acmeServer struct {
	*manager
	*harness.Production
	address string // of TLS
	plain   string // of plain HTTP, "" for none
	metrics string
	cmd     *exec.Cmd
	log     *output
}

// newACMEServer configures a server, which does not run yet. more are further keys of
// tls.acme.
func newACMEServer(t *testing.T, ports harness.PebbleConfig, plain bool, more string) (*acmeServer, *harness.Pebble) {
	t.Helper()
	s := &acmeServer{manager: newManager(t), Production: harness.Serve(t, "http://127.0.0.1:1", "")}
	s.Stop(os.Interrupt)
	s.address = strings.TrimPrefix(s.Issuer, "http://")
	s.metrics = "127.0.0.1:" + harness.FreePort(t)
	_, port, _ := net.SplitHostPort(s.address)
	listen := ""
	if plain {
		s.plain = "127.0.0.1:" + harness.FreePort(t)
		listen = "  http_listen: " + s.plain + "\n"
		_, plainPort, _ := net.SplitHostPort(s.plain)
		ports.HTTPPort, _ = strconv.Atoi(plainPort)
	} else {
		ports.TLSPort, _ = strconv.Atoi(port)
	}
	pebble := harness.NewPebble(t, ports, selfsigned.Write)
	s.Configure("issuer: "+s.Issuer, fmt.Sprintf(`metrics_listen: %s
issuer: https://%s
tls:
%s  acme:
    directory: %s
    ca_file: %s
    accept_terms: true
%s`, s.metrics, acmeHost, listen, pebble.Directory, pebble.CAFile, more))
	if err := os.RemoveAll(filepath.Dir(s.Socket)); err != nil { // it belongs to the other issuer
		t.Fatal(err)
	}
	return s, pebble
}

func (s *acmeServer) run() {
	s.manager.t.Helper()
	s.cmd, s.log = s.manager.start(s.File(), nil, nil)
	s.hears("READY=1")
}

func (s *acmeServer) stop() {
	s.manager.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.manager.t.Errorf("the server ended with %v\n%s", err, s.log)
	}
}

// certificate waits for the server's certificate.
func (s *acmeServer) certificate(roots *x509.CertPool) (c *x509.Certificate) {
	s.manager.t.Helper()
	harness.Eventually(s.manager.t, "the server has a certificate", func() bool {
		var err error
		c, err = harness.CertificateFor(s.address, acmeHost, roots)
		return err == nil
	})
	return c
}

// ends is the metric of the certificate's end.
func (s *acmeServer) ends() string {
	s.manager.t.Helper()
	response, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		s.manager.t.Fatal(err)
	}
	defer response.Body.Close()
	text := new(strings.Builder)
	if err := response.Write(text); err != nil {
		s.manager.t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^calleridp_certificate_end_seconds (\S+)`).FindStringSubmatch(text.String())
	if found == nil {
		s.manager.t.Fatal("there is no metric calleridp_certificate_end_seconds")
	}
	return found[1]
}

// TLS-ALPN-01 needs no other port than the public one. The certificate is kept over a restart
// while the ACME server is away, and another host gets none.
func TestACMEWithTLSALPN(t *testing.T) {
	t.Parallel()
	s, pebble := newACMEServer(t, harness.PebbleConfig{HTTPPort: 1, Validity: 90 * 24 * time.Hour}, false, "")
	pebble.Start()
	roots := pebble.Roots()
	s.run()
	c := s.certificate(roots)
	if want, got := float64(c.NotAfter.Unix()), s.ends(); got != strconv.FormatFloat(want, 'g', -1, 64) {
		t.Errorf("the metric of the certificate's end is %s, want %g", got, want)
	}
	if _, err := harness.CertificateFor(s.address, "other.example.com", roots); err == nil {
		t.Error("another host got a certificate")
	}
	s.stop()
	pebble.Stop()
	s.run()
	if again := s.certificate(roots); again.SerialNumber.Cmp(c.SerialNumber) != 0 {
		t.Error("after a restart: got another certificate, want the one before")
	}
	s.stop()
}

// HTTP-01 needs the listener for plain HTTP, which leads browsers to https, those of this
// host alone. Without the ACME server the server starts, and says that it has no certificate.
// A certificate that has ended is renewed at the start.
func TestACMEWithHTTP(t *testing.T) {
	t.Parallel()
	mac := filepath.Join(t.TempDir(), "mac")
	if err := os.WriteFile(mac, []byte("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, pebble := newACMEServer(t, harness.PebbleConfig{
		TLSPort: 1, Validity: 5 * time.Second,
		MACKeys: map[string]string{"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
	}, true, "    key_id: kid-1\n    mac_key_file: "+mac+"\n")
	s.run()
	if got := s.ends(); got != "NaN" {
		t.Errorf("without a certificate: the metric of its end is %s, want NaN", got)
	}
	if _, err := harness.CertificateFor(s.address, acmeHost, x509.NewCertPool()); err == nil {
		t.Error("there is a certificate without an ACME server")
	}
	if out, err := s.Command("keys", "list"); err != nil {
		t.Errorf("the server does not serve its operators: %v\n%s", err, out)
	}
	harness.Eventually(t, "the log says that there is no certificate", func() bool {
		return strings.Contains(s.log.String(), "no certificate could be obtained, and browsers get none")
	})
	s.stop()

	pebble.Start()
	s.run()
	first := s.certificate(pebble.Roots())
	redirects(t, s.plain)
	s.stop()
	<-time.After(time.Until(first.NotAfter))
	s.run()
	if again := s.certificate(pebble.Roots()); again.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("the certificate that has ended is still in use")
	}
	s.stop()
}

// redirects checks what the listener for plain HTTP does.
func redirects(t *testing.T, address string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, row := range []struct {
		method, host, path string
		status             int
		to                 string
	}{
		{"GET", acmeHost, "/account?a=b%20c", http.StatusPermanentRedirect, "https://" + acmeHost + "/account?a=b%20c"},
		{"HEAD", strings.ToUpper(acmeHost) + ":80", "", http.StatusPermanentRedirect, "https://" + acmeHost + "/"},
		{"GET", acmeHost, "//evil.example/", http.StatusPermanentRedirect, "https://" + acmeHost + "/evil.example/"},
		{"GET", "evil.example", "/", http.StatusMisdirectedRequest, ""},
		{"GET", "127.0.0.1", "/healthz", http.StatusMisdirectedRequest, ""},
		{"POST", acmeHost, "/token", http.StatusForbidden, ""},
	} {
		r, err := http.NewRequest(row.method, "http://"+address+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = row.host
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Location"); response.StatusCode != row.status || got != row.to {
			t.Errorf("%s %s at %s: got %d to %q, want %d to %q", row.method, row.path, row.host, response.StatusCode, got, row.status, row.to)
		}
		if response.Header.Get("Strict-Transport-Security") != "" {
			t.Error("got HSTS over plain HTTP (RFC 6797 §7.2)")
		}
	}
}
