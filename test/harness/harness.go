// SPDX-License-Identifier: Apache-2.0

// Package harness runs the built binary for tests, and signs in to it with an
// HTTP client that behaves like a browser without JavaScript.
package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var build = sync.OnceValues(func() (string, error) {
	if binary := os.Getenv("CALLERIDP"); binary != "" {
		return binary, nil
	}
	dir, err := os.MkdirTemp("", "calleridp-build-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "calleridp")
	out, err := exec.Command("go", "build", "-o", binary, "calleridp/cmd/calleridp").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building calleridp: %v\n%s", err, out)
	}
	return binary, nil
})

// Timeout is how long a test waits for something that must happen. A test that
// passes does not wait so long; a slow machine may.
const Timeout = time.Minute

// CutOff is in the log of a server that stopped before all requests had finished.
const CutOff = "stopping: requests that had not finished were cut off"

// Binary returns the path of the binary under test: the one that CALLERIDP names,
// or one that it builds.
func Binary(t testing.TB) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// Server is a running `calleridp dev`.
type Server struct {
	Issuer    string `json:"issuer"`
	Simulator string `json:"simulator"`
	Demo      string `json:"demo"`
	Data      string `json:"-"`

	t     testing.TB
	extra []string
	cmd   *exec.Cmd
	done  chan struct{}
	log   *logBuffer
}

// Dev starts `calleridp dev` on free ports, and stops it after the test.
func Dev(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Data: t.TempDir(), extra: args}
	s.start(FreePort(t), FreePort(t), FreePort(t))
	t.Cleanup(func() {
		s.Stop(os.Interrupt)
		s.log.showIfFailed(t)
	})
	return s
}

func (s *Server) start(provider, simulator, demo string) {
	s.t.Helper()
	args := append([]string{"dev", "--output", "json", "--data", s.Data,
		"--provider-port", provider, "--simulator-port", simulator, "--demo-port", demo}, s.extra...)
	s.cmd = exec.Command(Binary(s.t), args...)
	if s.log == nil {
		s.log = &logBuffer{}
	}
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan error, 1)
	s.done = make(chan struct{})
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "{") {
				ready <- json.Unmarshal(lines.Bytes(), s)
				break
			}
		}
		io.Copy(io.Discard, stdout)
		s.cmd.Wait()
		close(s.done)
	}()
	select {
	case err = <-ready:
	case <-s.done:
		err = errors.New("exited before it was ready")
	case <-time.After(Timeout):
		s.cmd.Process.Kill()
		err = fmt.Errorf("not ready within %s", Timeout)
	}
	if err != nil {
		s.t.Fatalf("calleridp dev: %v\n%s", err, s.log.tail(8000))
	}
}

// Stop sends sig to the process and waits for its exit. Stopping it twice is
// harmless.
func (s *Server) Stop(sig os.Signal) { stop(s.t, s.cmd, s.done, sig) }

func stop(t testing.TB, cmd *exec.Cmd, done <-chan struct{}, sig os.Signal) {
	cmd.Process.Signal(sig)
	select {
	case <-done:
	case <-time.After(Timeout):
		cmd.Process.Kill()
		<-done
		t.Errorf("calleridp did not exit within %s of %v", Timeout, sig)
	}
}

// Restart starts the server again, at the same addresses and with the same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.start(port(s.t, s.Issuer), port(s.t, s.Simulator), port(s.t, s.Demo))
}

// Log returns what the process has logged so far.
func (s *Server) Log() string { return s.log.tail(1 << 20) }

// Logged waits until the process has logged all texts, and returns its log. A
// response can arrive before the line about it.
func (s *Server) Logged(texts ...string) string { return s.log.has(s.t, texts) }

func port(t testing.TB, base string) string {
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// The ports that FreePort picks from. They are below those that Linux gives to
// outgoing connections and to listeners at port 0 (32768 and above), so that none
// of these takes a port while its server restarts.
const (
	firstPort = 20000
	blocks    = 60
	perBlock  = 200
)

var lastPort atomic.Int64

// portBlock returns the first port of a block that belongs to this process: go test
// runs the packages side by side. The lock ends with the process.
var portBlock = sync.OnceValues(func() (int64, error) {
	err := errors.New("no block of ports is free")
	for _, n := range rand.Perm(blocks) {
		first := int64(firstPort + n*perBlock)
		name := filepath.Join(os.TempDir(), fmt.Sprintf("calleridp-ports-%d-%d.lock", os.Getuid(), first))
		file, openErr := syscall.Open(name, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if openErr != nil {
			return 0, openErr
		}
		if err = syscall.Flock(file, syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return first, nil // the file stays open with its lock, until the process ends
		}
		syscall.Close(file)
	}
	return 0, err
})

// FreePort returns a port that is free and that no other test gets. The issuer must be
// known before its server listens.
func FreePort(t testing.TB) string {
	t.Helper()
	first, err := portBlock()
	if err != nil {
		t.Fatal(err)
	}
	for range perBlock {
		port := strconv.FormatInt(first+lastPort.Add(1)%perBlock, 10)
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.buf.String()
	if len(all) > n {
		return "..." + all[len(all)-n:]
	}
	return all
}

func (b *logBuffer) showIfFailed(t testing.TB) {
	if t.Failed() {
		t.Logf("calleridp's log:\n%s", b.tail(8000))
	}
}

func (b *logBuffer) has(t testing.TB, texts []string) (log string) {
	t.Helper()
	for _, text := range texts {
		Eventually(t, "logged: "+text, func() bool {
			log = b.tail(1 << 20)
			return strings.Contains(log, text)
		})
	}
	return log
}

// Browser is an HTTP client that keeps cookies. Only Follow follows redirects.
type Browser struct {
	http.Client
	t      testing.TB
	Issuer string
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t testing.TB, issuer string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, Issuer: issuer}
	b.Jar = jar
	b.Timeout = Timeout
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// Page is a response with its whole body.
type Page struct {
	URL    string
	Status int
	Header http.Header
	Body   string
}

// Get requests a page.
func (b *Browser) Get(at string) Page {
	b.t.Helper()
	return b.do(must(http.NewRequest(http.MethodGet, at, nil)))
}

// Post sends a form as a browser does from one of the issuer's own pages.
func (b *Browser) Post(at string, form url.Values) Page {
	b.t.Helper()
	r := must(http.NewRequest(http.MethodPost, at, strings.NewReader(form.Encode())))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.Issuer)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func (b *Browser) do(r *http.Request) Page {
	b.t.Helper()
	response, err := b.Client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		b.t.Fatal(err)
	}
	return Page{
		URL:    r.URL.String(),
		Status: response.StatusCode,
		Header: response.Header,
		Body:   string(body),
	}
}

var requestField = regexp.MustCompile(`<input[^>]*name="request"[^>]*>`)
var valueAttr = regexp.MustCompile(`value="([^"]*)"`)

// Sealed returns the sealed request of the page's form, "" if it has none.
func (p Page) Sealed() string {
	field := requestField.FindString(p.Body)
	if m := valueAttr.FindStringSubmatch(field); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// Has reports whether the page has an element with this id.
func (p Page) Has(id string) bool { return strings.Contains(p.Body, `id="`+id+`"`) }

// Submit sends the form of the sign-in page p with number.
func (b *Browser) Submit(p Page, number string) Page {
	b.t.Helper()
	if p.Sealed() == "" {
		b.t.Fatalf("no sign-in form at %s (%d):\n%s", p.URL, p.Status, p.Body)
	}
	return b.Post(b.Issuer+"/signin", url.Values{"request": {p.Sealed()}, "phone": {number}})
}

// Follow follows redirects and the waiting page's refresh. It returns the address
// at which the flow leaves the provider; or nil and the page that needs the user,
// which is the waiting page if that is still shown after timeout.
func (b *Browser) Follow(p Page, timeout time.Duration) (*url.URL, Page) {
	b.t.Helper()
	for deadline := time.Now().Add(timeout); ; {
		switch location := p.Header.Get("Location"); {
		case location != "":
			next := must(must(url.Parse(p.URL)).Parse(location))
			if !strings.HasPrefix(next.String(), b.Issuer+"/") {
				return next, p
			}
			p = b.Get(next.String())
		case p.Has("waiting") && time.Now().Before(deadline):
			<-time.After(50 * time.Millisecond) // the page's own refresh, hurried
			p = b.Get(p.URL)
		default:
			return nil, p
		}
	}
}

// Simulated calls the simulator's control API and decodes the response into v.
func (s *Server) Simulated(method, at, body string, v any) int {
	s.t.Helper()
	r := must(http.NewRequest(method, s.Simulator+at, strings.NewReader(body)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(raw, v); err != nil {
			s.t.Fatalf("%s %s: %d %s", method, at, response.StatusCode, raw)
		}
	}
	return response.StatusCode
}

// Eventually polls until ok returns true, and fails the test after Timeout.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Timeout); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", Timeout, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Number returns one of the Swedish numbers reserved for fiction: +46 70 174 06 xx.
func Number(xx int) string { return fmt.Sprintf("+467017406%02d", xx%100) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
