package harness

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Production is a running `calleridp serve`, with the configuration and secrets
// of a test.
type Production struct {
	Issuer         string
	CallbackSecret string
	Socket         string
	Dir            string

	t    testing.TB
	file string
	cmd  *exec.Cmd
	done chan struct{}
	log  *logBuffer
}

// AppKey is the Truecaller appKey of a Production.
const AppKey = "test-app-key"

// Serve starts `calleridp serve` against the Truecaller at truecallerURL, and
// stops it when the test ends. The client is demo / demo-secret, its redirect
// URI http://127.0.0.1:1/callback. more is added to the configuration.
func Serve(t testing.TB, truecallerURL, more string) *Production {
	t.Helper()
	p := &Production{t: t, Dir: t.TempDir(), CallbackSecret: strings.Repeat("c", 40), log: &logBuffer{}}
	p.Socket = filepath.Join(p.Dir, "data", "admin.sock")
	// A port that was free a moment ago: the issuer has to be known in advance.
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	address := l.Addr().String()
	l.Close()
	p.Issuer = "http://" + address
	write := func(name, text string) string {
		file := filepath.Join(p.Dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	if out, err := exec.Command(Binary(t), "keys", "init-master", "--out", filepath.Join(p.Dir, "master.key")).CombinedOutput(); err != nil {
		t.Fatalf("keys init-master: %v\n%s", err, out)
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
clients:
  - client_id: demo
    name: Demo
    secret_file: %s
    redirect_uris: ["http://127.0.0.1:1/callback"]
%s`, p.Issuer, address, filepath.Join(p.Dir, "data"), filepath.Join(p.Dir, "master.key"),
		write("appkey", AppKey), write("callback", p.CallbackSecret), truecallerURL, truecallerURL,
		write("secret", "demo-secret"), more))
	p.Start()
	t.Cleanup(func() {
		p.Stop(os.Interrupt)
		if t.Failed() {
			t.Logf("calleridp's log:\n%s", p.log.tail(8000))
		}
	})
	return p
}

// Start starts it, also again after Stop, and waits until it answers.
func (p *Production) Start() {
	p.t.Helper()
	p.cmd = exec.Command(Binary(p.t), "serve", "--config", p.file)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func() { p.cmd.Wait(); close(p.done) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if answer, err := http.Get(p.Issuer + "/healthz"); err == nil {
			answer.Body.Close()
			return
		}
		select {
		case <-p.done:
			p.t.Fatalf("calleridp serve ended\n%s", p.log.tail(4000))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("calleridp serve did not answer\n%s", p.log.tail(4000))
		}
	}
}

// Stop ends it and waits. Stopping it twice is harmless.
func (p *Production) Stop(sig os.Signal) {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		p.t.Errorf("calleridp serve did not end within 20 s of %v", sig)
	}
}

// CallbackURL is where Truecaller would post.
func (p *Production) CallbackURL() string { return p.Issuer + "/callback/default/" + p.CallbackSecret }

// Log is what it has logged so far.
func (p *Production) Log() string { return p.log.tail(1 << 20) }

// Logged is Server.Logged.
func (p *Production) Logged(texts ...string) string { return p.log.has(p.t, texts) }

// Run runs the binary with these arguments and returns what it printed.
func Run(t testing.TB, args ...string) (out string, err error) {
	t.Helper()
	raw, err := exec.Command(Binary(t), args...).CombinedOutput()
	return string(raw), err
}
