// Package harness runs the built binary for tests, and walks through sign-ins
// as a browser without a screen would.
package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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

// Binary is the built binary: the one that CALLERIDP names, or one built now.
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

// Dev starts `calleridp dev` on free ports, and stops it when the test ends.
func Dev(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Data: t.TempDir(), extra: args}
	s.start("0", "0", "0")
	t.Cleanup(func() {
		s.Stop(os.Interrupt)
		if t.Failed() {
			t.Logf("calleridp's log:\n%s", s.log.tail(8000))
		}
	})
	return s
}

func (s *Server) start(provider, simulator, demo string) {
	s.t.Helper()
	args := append([]string{"dev", "--json", "--data", s.Data,
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
		err = fmt.Errorf("it ended before it was ready")
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		err = fmt.Errorf("it was not ready in 30 s")
	}
	if err != nil {
		s.t.Fatalf("calleridp dev: %v\n%s", err, s.log.tail(8000))
	}
}

// Stop ends the process and waits for it.
func (s *Server) Stop(sig os.Signal) {
	s.cmd.Process.Signal(sig)
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		<-s.done
		s.t.Errorf("calleridp did not end within 20 s of %v", sig)
	}
}

// Restart starts it again, at the same addresses and over the same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.start(port(s.t, s.Issuer), port(s.t, s.Simulator), port(s.t, s.Demo))
}

// Log is what the process has logged so far.
func (s *Server) Log() string { return s.log.tail(1 << 20) }

// Logged waits until the process has logged all of these, and returns what it has
// logged then. A page can be there before the line that tells of it.
func (s *Server) Logged(texts ...string) string { return s.log.has(s.t, texts) }

func port(t testing.TB, base string) string {
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
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

func (b *logBuffer) has(t testing.TB, texts []string) string {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; {
		log := b.tail(1 << 20)
		missing := slices.IndexFunc(texts, func(text string) bool { return !strings.Contains(log, text) })
		if missing < 0 {
			return log
		}
		if time.Now().After(deadline) {
			t.Errorf("not logged within 15 s: %s", texts[missing])
			return log
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Browser keeps cookies and follows no redirect by itself.
type Browser struct {
	http.Client
	t      testing.TB
	Issuer string
}

// NewBrowser is a browser without cookies.
func NewBrowser(t testing.TB, issuer string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, Issuer: issuer}
	b.Jar = jar
	b.Timeout = 20 * time.Second
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// Page is an answer, read whole.
type Page struct {
	URL    string
	Status int
	Header http.Header
	Body   string
}

// Get asks for a page.
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
	answer, err := b.Client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		b.t.Fatal(err)
	}
	return Page{URL: r.URL.String(), Status: answer.StatusCode, Header: answer.Header, Body: string(body)}
}

var requestField = regexp.MustCompile(`<input[^>]*name="request"[^>]*>`)
var valueAttr = regexp.MustCompile(`value="([^"]*)"`)

// Sealed is the sealed request in a page's form, "" if there is none.
func (p Page) Sealed() string {
	field := requestField.FindString(p.Body)
	if m := valueAttr.FindStringSubmatch(field); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// Has says whether the page has an element with this id.
func (p Page) Has(id string) bool { return strings.Contains(p.Body, `id="`+id+`"`) }

// Submit sends number from the sign-in page p.
func (b *Browser) Submit(p Page, number string) Page {
	b.t.Helper()
	if p.Sealed() == "" {
		b.t.Fatalf("no sign-in form at %s (%d):\n%s", p.URL, p.Status, p.Body)
	}
	return b.Post(b.Issuer+"/signin", url.Values{"request": {p.Sealed()}, "phone": {number}})
}

// Follow goes on from p by redirects and by the waiting page's refresh, until
// the flow leaves the provider (the address is returned), a page wants a
// person (nil is returned, with the page), or patience ends.
func (b *Browser) Follow(p Page, patience time.Duration) (*url.URL, Page) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; {
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

// Simulated calls the simulator's control API and decodes its answer into v.
func (s *Server) Simulated(method, at, body string, v any) int {
	s.t.Helper()
	r := must(http.NewRequest(method, s.Simulator+at, strings.NewReader(body)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, _ := io.ReadAll(answer.Body)
	if v != nil {
		if err := json.Unmarshal(raw, v); err != nil {
			s.t.Fatalf("%s %s: %d %s", method, at, answer.StatusCode, raw)
		}
	}
	return answer.StatusCode
}

// Eventually waits until ok, asking often.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Number is one of the Swedish numbers reserved for fiction: +46 70 174 06 xx.
func Number(xx int) string { return fmt.Sprintf("+467017406%02d", xx%100) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
