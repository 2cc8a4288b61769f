// SPDX-License-Identifier: Apache-2.0

package truecaller

import (
	"bytes"
	"compress/gzip"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// slowly is a body that arrives a byte at a time and never ends.
type slowly struct{ sent atomic.Int64 }

func (s *slowly) Read(p []byte) (int, error) {
	<-time.After(10 * time.Millisecond)
	s.sent.Add(1)
	p[0] = ' '
	return 1, nil
}

// endless is a body that never ends.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.sent.Add(int64(len(p)))
	return len(p), nil
}

func serveHTTP2(t *testing.T, h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// A body that does not arrive in time is refused. The other rows of the test below
// have the usual time, because a busy machine must not make them slow as well.
func TestInvariant4_SlowCallbackOverHTTP2(t *testing.T) {
	w := newWorld(t)
	w.rc.read = 200 * time.Millisecond
	server := serveHTTP2(t, w.rc)
	response, err := server.Client().Post(server.URL+"/callback/main/secret-one", "application/json", new(slowly))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout || response.Proto != "HTTP/2.0" {
		t.Errorf("status %d over %s, want %d over HTTP/2.0", response.StatusCode, response.Proto, http.StatusRequestTimeout)
	}
	w.wantInbox()
}

// What is refused over HTTP/1.1 is refused over HTTP/2 too, where a connection
// has many callers and a handler cannot close it.
func TestInvariant4_CallbacksOverHTTP2(t *testing.T) {
	w := newWorld(t)
	server := serveHTTP2(t, w.rc)
	post := func(path string, body io.Reader, change ...func(*http.Request)) (status int, proto string) {
		r, err := http.NewRequest("POST", server.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range change {
			c(r)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, answer.Proto
	}
	const right, wrong = "/callback/main/secret-one", "/callback/main/wrong"
	bomb := &bytes.Buffer{}
	z := gzip.NewWriter(bomb)
	io.WriteString(z, strings.Repeat(" ", 10<<20))
	z.Close()
	rows := []struct {
		name, path string
		body       io.Reader
		change     func(*http.Request)
		want       int
	}{
		{"good", right, strings.NewReader(callbackBody), nil, 200},
		{"wrong path", wrong, strings.NewReader(callbackBody), nil, 404},
		{"malformed", right, strings.NewReader("{"), nil, 400},
		{"too large, as it says", right, strings.NewReader(strings.Repeat(" ", MaxCallback+1)), nil, 413},
		{"too large, of unknown length", right, io.LimitReader(new(endless), MaxCallback+1), nil, 413},
		{"a gzip bomb", right, bomb, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var changes []func(*http.Request)
			if row.change != nil {
				changes = append(changes, row.change)
			}
			if status, proto := post(row.path, row.body, changes...); status != row.want || proto != "HTTP/2.0" {
				t.Errorf("status %d over %s, want %d over HTTP/2.0", status, proto, row.want)
			}
		})
	}
	// A body without an end is cut off, and the others on its connection go on.
	for path, want := range map[string]int{right: 413, wrong: 404} {
		body := new(endless)
		if status, _ := post(path, body); status != want {
			t.Errorf("an endless body to %s got status %d, want %d", path, status, want)
		}
		if n := body.sent.Load(); n > 2<<20 {
			t.Errorf("the server read %d KiB at %s, want at most 2048", n>>10, path)
		}
	}
	if status, _ := post(right, strings.NewReader(callbackBody)); status != 200 {
		t.Errorf("the callback after that got status %d, want 200", status)
	}
	if len(w.inbox) != 1 {
		t.Errorf("%d deliveries in the inbox, want 1", len(w.inbox))
	}
	checkDiscreet(t, w.log.String())
}
