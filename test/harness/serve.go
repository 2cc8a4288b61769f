// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Production is a running `calleridp serve` with the configuration and secrets of
// a test.
type Production struct {
	Issuer         string
	CallbackSecret string
	Socket         string
	Dir            string

	t       testing.TB
	address string // where it listens; the issuer's, except in a Cluster
	file    string
	binary  string // "": Binary
	cmd     *exec.Cmd
	done    chan struct{}
	log     *logBuffer
}

const (
	// AppKey is the Truecaller appKey of a Production.
	AppKey = "test-app-key"
	// ClientSecret is the client_secret of its client.
	ClientSecret = "demo-secret-of-a-production-0123"
	// RedirectURI is the redirect URI of its client.
	RedirectURI = "http://127.0.0.1:1/callback"
)

// Serve starts `calleridp serve` with the Truecaller at truecallerURL, and stops it
// after the test. Its client is demo with ClientSecret and RedirectURI.
// more is added to the end of the configuration, keys to its section truecaller.
func Serve(t testing.TB, truecallerURL, more string, keys ...string) *Production {
	t.Helper()
	dir := t.TempDir()
	return serve(t, dir, filepath.Join(dir, "data"), truecallerURL, more, keys)
}

// ServeBehind is Serve behind a proxy of the test, whose address is the issuer.
func ServeBehind(t testing.TB, issuer, truecallerURL, more string, keys ...string) *Production {
	t.Helper()
	dir := t.TempDir()
	master := filepath.Join(dir, "master.key")
	if out, err := Run(t, "keys", "init-master", "--out", master); err != nil {
		t.Fatalf("keys init-master: %v\n%s", err, out)
	}
	p := configured(t, issuer, dir, filepath.Join(dir, "data"), master, truecallerURL, more, keys)
	p.run()
	return p
}

func serve(t testing.TB, dir, data, truecallerURL, more string, keys []string) *Production {
	t.Helper()
	master := filepath.Join(dir, "master.key")
	if out, err := Run(t, "keys", "init-master", "--out", master); err != nil {
		t.Fatalf("keys init-master: %v\n%s", err, out)
	}
	p := configured(t, "", dir, data, master, truecallerURL, more, keys)
	p.run()
	return p
}

// run starts the server, and stops it after the test.
func (p *Production) run() {
	p.t.Helper()
	p.Start()
	p.t.Cleanup(func() {
		p.Stop(os.Interrupt)
		p.log.showIfFailed(p.t)
	})
}

// configured writes the configuration of a server, which does not run yet. issuer is
// "" for its own address.
func configured(t testing.TB, issuer, dir, data, master, truecallerURL, more string, keys []string) *Production {
	t.Helper()
	p := &Production{t: t, Dir: dir, CallbackSecret: strings.Repeat("c", 40), log: &logBuffer{}}
	p.Socket = filepath.Join(data, "admin.sock")
	p.address = "127.0.0.1:" + FreePort(t)
	p.Issuer = cmp.Or(issuer, "http://"+p.address)
	if !strings.Contains(more, "drain:") {
		more += "\ndrain: {ready_delay: 0s}\n" // no load balancer looks at a test
	}
	if !strings.Contains(more, "audit:") {
		more += "\naudit: {to: [file, log]}\n" // tests read the log
	}
	write := func(name, text string) string {
		file := filepath.Join(p.Dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	p.file = write("calleridp.yaml", fmt.Sprintf(`
issuer: %s
listen: %s
data_dir: %s
master_key_file: %s
default_region: SE
truecaller:
  app_name: Test
  app_key_file: %s
  callback_secret_file: %s
  api_url: %s
  profile_urls: [%s]
  %s
clients:
  - client_id: demo
    name: Demo
    secret_file: %s
    redirect_uris: ["%s"]
%s`, p.Issuer, p.address, data, master,
		write("appkey", AppKey), write("callback", p.CallbackSecret), truecallerURL, truecallerURL,
		strings.Join(keys, "\n  "), write("secret", ClientSecret), RedirectURI, more))
	return p
}

// ServeWith is Serve with a Truecaller in the test's own process, made of the
// address to which it posts callbacks.
func ServeWith(t testing.TB, truecaller func(callbackURL string) http.Handler, more string, keys ...string) *Production {
	t.Helper()
	dir := t.TempDir()
	return serveWith(t, dir, filepath.Join(dir, "data"), truecaller, more, keys)
}

// ServeOn is ServeWith with this data_dir, which may be on another disk.
func ServeOn(t testing.TB, data string, truecaller func(callbackURL string) http.Handler, more string, keys ...string) *Production {
	t.Helper()
	return serveWith(t, t.TempDir(), data, truecaller, more, keys)
}

func serveWith(t testing.TB, dir, data string, truecaller func(string) http.Handler, more string, keys []string) *Production {
	t.Helper()
	// Truecaller needs the server's address, and the server Truecaller's.
	var handler atomic.Pointer[http.Handler]
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(at.Close)
	p := serve(t, dir, data, at.URL, more, keys)
	made := truecaller(p.CallbackURL())
	handler.Store(&made)
	return p
}

// Start starts the server, also after Stop, and waits until it responds.
func (p *Production) Start() {
	p.t.Helper()
	p.cmd = exec.Command(p.program(), "serve", "--config", p.file)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func() { p.cmd.Wait(); close(p.done) }()
	Eventually(p.t, "calleridp serve responds", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("calleridp serve exited\n%s", p.log.tail(4000))
		default:
		}
		response, err := http.Get(p.Address() + "/healthz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return true
	})
}

// File returns the path of its configuration.
func (p *Production) File() string { return p.file }

// Configure replaces old by new in the configuration, for the next start or reload.
func (p *Production) Configure(old, new string) {
	p.t.Helper()
	text, err := os.ReadFile(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	if strings.Count(string(text), old) != 1 {
		p.t.Fatalf("the configuration has not once %q:\n%s", old, text)
	}
	if err := os.WriteFile(p.file, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// Use makes the next Start run another binary; "" is Binary.
func (p *Production) Use(binary string) { p.binary = binary }

func (p *Production) program() string {
	p.t.Helper()
	if p.binary == "" {
		return Binary(p.t)
	}
	return p.binary
}

// Command runs a command of the server's binary with its configuration, and returns the
// output.
func (p *Production) Command(words ...string) (out string, err error) {
	p.t.Helper()
	raw, err := exec.Command(p.program(), append(words, "--config", p.file)...).CombinedOutput()
	return string(raw), err
}

// Config returns the file of the server's configuration.
func (p *Production) Config() string { return p.file }

// Address returns the URL at which this server listens.
func (p *Production) Address() string { return "http://" + p.address }

// Stop sends sig to the process and waits for its exit. Stopping it twice is
// harmless.
func (p *Production) Stop(sig os.Signal) { stop(p.t, p.cmd, p.done, sig) }

// Signal sends sig to the process, and does not wait.
func (p *Production) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// AuthorizationURL returns an authorization request of the client demo. more are
// names and values that it adds or replaces.
func (p *Production) AuthorizationURL(more ...string) string {
	query := url.Values{
		"client_id":             {"demo"},
		"redirect_uri":          {RedirectURI},
		"response_type":         {"code"},
		"scope":                 {"openid phone"},
		"code_challenge":        {strings.Repeat("A", 43)},
		"code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return p.Issuer + "/authorize?" + query.Encode()
}

// CallbackURL returns the address to which Truecaller posts callbacks.
func (p *Production) CallbackURL() string { return p.Issuer + "/callback/default/" + p.CallbackSecret }

// Log returns what the process has logged so far.
func (p *Production) Log() string { return p.log.tail(1 << 20) }

// Logged waits as Server.Logged does.
func (p *Production) Logged(texts ...string) string { return p.log.has(p.t, texts) }

// Run runs the binary with these arguments and returns its output.
func Run(t testing.TB, args ...string) (out string, err error) {
	t.Helper()
	raw, err := exec.Command(Binary(t), args...).CombinedOutput()
	return string(raw), err
}
