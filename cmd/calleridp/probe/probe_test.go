// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"calleridp/cmd/calleridp/probe"
	"calleridp/cmd/calleridp/serve"
	"calleridp/keys"
)

func master(t *testing.T, b byte) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster(bytes.Repeat([]byte{b}, keys.MasterSize))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// behind is what serves the requests that are no probes.
var behind = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "behind", http.StatusTeapot)
})

func server(m *keys.Master) http.Handler {
	trusting := serve.ClientAddresses{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	return probe.NewServer(m, trusting, true).Wrap(behind)
}

func callback(m *keys.Master) *http.Request {
	token := probe.Token(m, probe.Callback, time.Now())
	return httptest.NewRequest("POST", "https://id.test"+probe.CallbackPath("default", token), strings.NewReader("12345"))
}

func TestReportSaysHowTheProbeCame(t *testing.T) {
	m := master(t, 1)
	r := callback(m)
	r.RemoteAddr = "10.0.0.1:1000"
	r.Header.Add("X-Forwarded-For", "203.0.113.9")
	r.AddCookie(probe.Cookie(true))
	w := httptest.NewRecorder()
	server(m).ServeHTTP(w, r)
	got, err := probe.ParseReport(m, w.Body.Bytes())
	if err != nil {
		t.Fatalf("%v: %d %s", err, w.Code, w.Body)
	}
	if got.Peer != "10.0.0.1" || !got.Trusted || got.Client != "203.0.113.9" || len(got.Forwarded) != 1 || got.Forwarded[0] != "203.0.113.9" ||
		got.Host != "id.test" || got.Proto != "HTTP/1.1" || got.Method != "POST" || got.Body != 5 || got.Cookie != probe.CookieValue {
		t.Errorf("got %+v", got)
	}
	if age := time.Since(got.Time); age < 0 || age > time.Minute {
		t.Errorf("the server's time is %s", got.Time)
	}
	set := w.Result().Cookies()
	if len(set) != 1 || set[0].Name != "__Host-calleridp_probe" || !set[0].Secure || set[0].Path != "/" || set[0].Domain != "" {
		t.Errorf("got the cookies %v", set)
	}
}

// A stranger can make no probe, and learns nothing from one that they copy: what a server
// reports is for the holders of its master key.
func TestThreat_ProbesAreForTheHoldersOfTheMasterKey(t *testing.T) {
	m := master(t, 1)
	h := server(m)
	past := func(age time.Duration) string { return probe.Token(m, probe.Callback, time.Now().Add(-age)) }
	path := func(token string) string { return probe.CallbackPath("default", token) }
	for name, one := range map[string]struct{ method, path string }{
		"another master key":           {"POST", path(probe.Token(master(t, 2), probe.Callback, time.Now()))},
		"too old":                      {"POST", path(past(probe.Life))},
		"of the future":                {"POST", path(past(-probe.Life - time.Minute))},
		"another kind":                 {"POST", path(probe.Token(m, probe.Events, time.Now()))},
		"a callback's on the events":   {"GET", probe.EventsPath(probe.Token(m, probe.Callback, time.Now()))},
		"another method":               {"GET", path(past(0))},
		"changed":                      {"POST", path(past(0)[:40] + "A" + past(0)[41:])},
		"more behind it":               {"POST", path(past(0) + "/x")},
		"no token":                     {"POST", path("probe-")},
		"an attempt":                   {"GET", "/attempt/abc/events"},
		"another path":                 {"POST", "/token/" + past(0)},
		"a secret that begins like it": {"POST", path("probe-0123456789abcdef0123456789abcdef")},
		"a page":                       {"GET", "/"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(one.method, one.path, nil))
		if w.Code != http.StatusTeapot || w.Body.String() != "behind\n" || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: got %d %s, want what every request gets", name, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	r := callback(m)
	r.RemoteAddr = "10.20.30.40:1000"
	h.ServeHTTP(w, r)
	if w.Code != 200 || strings.Contains(w.Body.String(), "10.20.30.40") {
		t.Errorf("got %d, %s; want a report that only the master key opens", w.Code, w.Body)
	}
	if _, err := probe.ParseReport(master(t, 2), w.Body.Bytes()); !errors.Is(err, probe.ErrReport) {
		t.Errorf("another master key opens the report: %v", err)
	}
}

// What no server of ours has written is no report.
func TestParseReportRefuses(t *testing.T) {
	m := master(t, 1)
	w := httptest.NewRecorder()
	server(m).ServeHTTP(w, callback(m))
	good := w.Body.String()
	for _, bad := range []string{"", "<html>", good[:60], strings.Replace(good, "<!--", "<!--A", 1), "x" + good} {
		if r, err := probe.ParseReport(m, []byte(bad)); !errors.Is(err, probe.ErrReport) {
			t.Errorf("%.80q: got %+v and %v, want ErrReport", bad, r, err)
		}
	}
}

// The second event comes while the stream is open, over every version of HTTP, and the
// stream ends when its reader goes away.
func TestStream(t *testing.T) {
	m := master(t, 1)
	for _, version := range []int{1, 2} {
		s := httptest.NewUnstartedServer(server(m))
		s.EnableHTTP2 = version == 2
		s.StartTLS()
		response, err := s.Client().Get(s.URL + probe.EventsPath(probe.Token(m, probe.Events, time.Now())))
		if err != nil {
			t.Fatal(err)
		}
		if response.ProtoMajor != version || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("got %s and %v", response.Proto, response.Header)
		}
		lines := bufio.NewReader(response.Body)
		for _, want := range []string{"data: first\n", "\n", "data: second\n", "\n"} {
			if got, err := lines.ReadString('\n'); got != want || err != nil {
				t.Fatalf("HTTP/%d: got %q and %v, want %q", version, got, err, want)
			}
		}
		response.Body.Close()
		s.Close() // waits for the handler
	}
}

// No more streams than a few are open at once, and each ends by itself.
func TestStreamsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := master(t, 1)
		h := server(m)
		ask := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", probe.EventsPath(probe.Token(m, probe.Events, time.Now())), nil).WithContext(t.Context()))
			return w
		}
		begun := time.Now()
		done := make(chan *httptest.ResponseRecorder)
		for range 4 {
			go func() { done <- ask() }()
		}
		synctest.Wait()
		if w := ask(); w.Code != http.StatusServiceUnavailable {
			t.Errorf("the fifth stream: got %d, want 503", w.Code)
		}
		for range 4 {
			if w := <-done; w.Code != 200 || w.Body.String() != "data: first\n\ndata: second\n\n" {
				t.Errorf("got %d, %q", w.Code, w.Body)
			}
		}
		if took := time.Since(begun); took != probe.StreamFor {
			t.Errorf("they ended after %s, want %s", took, probe.StreamFor)
		}
		if w := ask(); w.Code != 200 {
			t.Errorf("afterwards: got %d, want 200", w.Code)
		}
	})
}

func FuzzReport(f *testing.F) {
	m, err := keys.NewMaster(bytes.Repeat([]byte{1}, keys.MasterSize))
	if err != nil {
		f.Fatal(err)
	}
	w := httptest.NewRecorder()
	server(m).ServeHTTP(w, callback(m))
	f.Add(w.Body.Bytes())
	f.Add([]byte("<!doctype html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := probe.ParseReport(m, body)
		if err != nil && (r.Peer != "" || r.Client != "" || r.Forwarded != nil) {
			t.Errorf("a refused report says %+v", r)
		}
	})
}
