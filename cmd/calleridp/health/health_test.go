// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calleridp/cmd/calleridp/config"
	"calleridp/cmd/calleridp/envtest"
	"calleridp/cmd/calleridp/health"
)

func TestAsk(t *testing.T) {
	status := http.StatusOK
	name := ""
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			name = r.TLS.ServerName
		}
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/readyz", http.StatusFound)
			return
		}
		w.WriteHeader(status)
	})
	plain, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	_, port, _ := strings.Cut(at(plain), ":")
	ask := func(l config.Listener, path string) error { return health.Ask(t.Context(), l, path, 10*time.Second) }

	for name, l := range map[string]config.Listener{
		"plain":                    {Address: at(plain)},
		"every address of IPv4":    {Address: "0.0.0.0:" + port},
		"every address":            {Address: ":" + port},
		"TLS for the issuer's own": {Address: at(secure), TLS: true, Host: "login.example.com"},
	} {
		status = http.StatusOK
		if err := ask(l, "/readyz"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		status = http.StatusServiceUnavailable
		if err := ask(l, "/readyz"); err == nil || !strings.Contains(err.Error(), "responded to /readyz with status 503") {
			t.Errorf("%s, not ready: got %v", name, err)
		}
	}
	if name != "login.example.com" {
		t.Errorf("the certificate was asked for of %q, want that of the issuer", name)
	}
	for name, l := range map[string]config.Listener{
		"plain where TLS is": {Address: at(secure)},
		"TLS where none is":  {Address: at(plain), TLS: true},
		"nothing":            {Address: "127.0.0.1:1"},
		"no address":         {Address: "8080"},
	} {
		if err := ask(l, "/readyz"); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if err := ask(config.Listener{Address: at(plain)}, "/away"); err == nil {
		t.Error("a redirect counts as healthy")
	}
}

// It reads where the server listens, and no file that the container's other process reads.
func TestReadListener(t *testing.T) {
	envtest.Clear(t)
	file := filepath.Join(t.TempDir(), "calleridp.yaml")
	if err := os.WriteFile(file, []byte("issuer: https://login.example.com:444\nmaster_key_file: /nonexistent\ntls: {cert_file: /nonexistent}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.ReadListener(file)
	if want := (config.Listener{Address: ":8443", TLS: true, Host: "login.example.com"}); err != nil || l != want {
		t.Errorf("got %+v, %v; want %+v", l, err, want)
	}
	t.Setenv("CALLERIDP_LISTEN", "127.0.0.1:9")
	if l, err := config.ReadListener(""); err != nil || l.Address != "127.0.0.1:9" || l.TLS {
		t.Errorf("got %+v, %v; want the address of the environment, without TLS", l, err)
	}
}
